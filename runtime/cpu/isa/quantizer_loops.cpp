#include "../quantizer_loops.h"
#include "../../ops/quantizer.h"

// Vectors wider than the machine's are only used inside this file.
#pragma GCC diagnostic ignored "-Wpsabi"

namespace compressc::COMPRESSC_ISA {
namespace {

typedef float Lanes __attribute__((vector_size(64)));
typedef float HalfLanes __attribute__((vector_size(32)));
typedef double WideLanes __attribute__((vector_size(64)));
constexpr int width = 16;

#define COMPRESSC_INLINE static inline __attribute__((always_inline))

COMPRESSC_INLINE Lanes load(const float *from) {
  Lanes lanes;
  __builtin_memcpy(&lanes, from, sizeof lanes);
  return lanes;
}
COMPRESSC_INLINE void store(float *to, const Lanes &lanes) {
  __builtin_memcpy(to, &lanes, sizeof lanes);
}
COMPRESSC_INLINE Lanes smaller(const Lanes &a, const Lanes &b) { return a < b ? a : b; }
COMPRESSC_INLINE Lanes larger(const Lanes &a, const Lanes &b) { return a > b ? a : b; }

/// QuantizedLevel of quantizer.h, for lanes: code - zero.
COMPRESSC_INLINE Lanes levels(const Lanes &value, const Lanes &scale, const Lanes &bottom,
                              const Lanes &top) {
  Lanes level = smaller(larger(value / scale, bottom), top);
  constexpr float magic = 12582912.0f;
  return (level + magic) - magic;
}

} // namespace

void scaledErrorRow(const float *w, const float *s, const float *inverse, int64_t columns,
                    const PackedFormat &format, float *error) {
  const int64_t group = format.group, whole = group / width * width;
  const float maxCode = float((1 << format.bits) - 1);
  for (int64_t begin = 0; begin < columns; begin += group) {
    Lanes lows = {}, highs = {};
    for (int64_t k = begin; k < begin + whole; k += width) {
      Lanes value = load(w + k) * load(s + k);
      store(error + k, value);
      lows = smaller(lows, value);
      highs = larger(highs, value);
    }
    float low = 0, high = 0;
    for (int i = 0; i < width; ++i) {
      low = lows[i] < low ? lows[i] : low;
      high = highs[i] > high ? highs[i] : high;
    }
    for (int64_t k = begin + whole; k < begin + group; ++k) {
      error[k] = w[k] * s[k];
      low = error[k] < low ? error[k] : low;
      high = error[k] > high ? error[k] : high;
    }

    GroupQuantizer quantizer = ChooseQuantizer(low, high, format);
    const Lanes zeros = {};
    Lanes scale = zeros + quantizer.scale;
    Lanes bottom = zeros - quantizer.zero, top = zeros + (maxCode - quantizer.zero);
    for (int64_t k = begin; k < begin + whole; k += width) {
      Lanes level = levels(load(error + k), scale, bottom, top);
      store(error + k, level * scale * load(inverse + k) - load(w + k));
    }
    for (int64_t k = begin + whole; k < begin + group; ++k) {
      Lanes level = levels(zeros + error[k], scale, bottom, top);
      error[k] = level[0] * quantizer.scale * inverse[k] - w[k];
    }
  }
}

namespace {

/// The rows first, first + 1 … of the quadratic form, each lane its own: δ_i · (2 Σ_{j<first} G_ji
/// δ_j
/// + Σ_{j in these rows} G_ji δ_j).
template <int rows> COMPRESSC_INLINE Lanes quadraticRows(const ClipTile &tile, int64_t first) {
  Lanes sums[rows] = {};
  for (int64_t j = 0; j < first; ++j) {
    const float *gram = tile.gram + j * tile.gramStride + first;
    Lanes delta = load(tile.delta + j * width);
    for (int i = 0; i < rows; ++i)
      sums[i] += delta * gram[i];
  }
  for (int i = 0; i < rows; ++i)
    sums[i] += sums[i];
  for (int64_t j = first; j < first + rows; ++j) {
    const float *gram = tile.gram + j * tile.gramStride + first;
    Lanes delta = load(tile.delta + j * width);
    for (int i = 0; i < rows; ++i)
      sums[i] += delta * gram[i];
  }
  Lanes total = {};
  for (int i = 0; i < rows; ++i)
    total += sums[i] * load(tile.delta + (first + i) * width);
  return total;
}

/// δᵀ·G·δ of each row when it is quantised in [low, high].
COMPRESSC_INLINE Lanes rangeErrors(const ClipTile &tile, const PackedFormat &format,
                                   const Lanes &low, const Lanes &high) {
  const float maxCode = float((1 << format.bits) - 1);
  Lanes scale = {}, zero = {};
  for (int i = 0; i < width; ++i) {
    GroupQuantizer quantizer = ChooseQuantizer(low[i], high[i], format);
    scale[i] = quantizer.scale;
    zero[i] = quantizer.zero;
  }
  Lanes bottom = -zero, top = maxCode - zero;
  for (int64_t k = 0; k < format.group; ++k) {
    Lanes value = load(tile.values + k * width);
    store(tile.delta + k * width, levels(value, scale, bottom, top) * scale - value);
  }
  Lanes total = {};
  int64_t k = 0;
  for (; k + 4 <= format.group; k += 4)
    total += quadraticRows<4>(tile, k);
  for (; k < format.group; ++k)
    total += quadraticRows<1>(tile, k);
  return total;
}

} // namespace

void clipTile(const ClipTile &tile, const PackedFormat &format, float *lowOut, float *highOut,
              float *before, float *after) {
  const Lanes low0 = load(lowOut), high0 = load(highOut);
  Lanes low = low0, high = high0;
  Lanes best = rangeErrors(tile, format, low, high);
  store(before, best);
  auto consider = [&](const Lanes &newLow, const Lanes &newHigh) __attribute__((always_inline)) {
    Lanes errors = rangeErrors(tile, format, newLow, newHigh);
    auto better = errors < best;
    best = better ? errors : best;
    low = better ? newLow : low;
    high = better ? newHigh : high;
  };
  // 1, .95 … .55 of the range: both ends together, then the lower end alone, then the upper.
  float ratios[10];
  for (int i = 0; i < 10; ++i)
    ratios[i] = float(1.0 - i / 20.0);
  const Lanes largest = larger(-low0, high0);
  for (int i = 1; i < 10; ++i) {
    if (format.symmetric)
      consider(larger(low0, -largest * ratios[i]), smaller(high0, largest * ratios[i]));
    else
      consider(low0 * ratios[i], high0 * ratios[i]);
  }
  if (!format.symmetric) {
    const Lanes jointHigh = high;
    for (float ratio : ratios)
      consider(low0 * ratio, jointHigh);
    const Lanes loweredLow = low;
    for (float ratio : ratios)
      consider(loweredLow, high0 * ratio);
  }
  store(lowOut, low);
  store(highOut, high);
  store(after, best);
}

double dotInDouble(const float *a, const float *b, int64_t count) {
  WideLanes sums[2] = {};
  int64_t k = 0;
  for (; k + width <= count; k += width)
    for (int h = 0; h < 2; ++h) {
      HalfLanes x, y;
      __builtin_memcpy(&x, a + k + h * 8, sizeof x);
      __builtin_memcpy(&y, b + k + h * 8, sizeof y);
      sums[h] += __builtin_convertvector(x, WideLanes) * __builtin_convertvector(y, WideLanes);
    }
  double total = 0;
  for (int h = 0; h < 2; ++h)
    for (int i = 0; i < 8; ++i)
      total += sums[h][i];
  for (; k < count; ++k)
    total += double(a[k]) * double(b[k]);
  return total;
}

} // namespace compressc::COMPRESSC_ISA
