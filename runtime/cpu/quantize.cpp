#include "kernels.h"
#include <cmath>
#include <cstring>

namespace compressc {
namespace {

/// 32 rows fill whole words of the zeros' bit streams, whatever the number of bits.
constexpr int64_t tileRows = 32;

struct Destination {
  uint32_t *codes;
  void *scales;
  uint32_t *zeros;
  int64_t codeWords; // in a row
  int64_t groups;
};

void storeScale(const Destination &to, int64_t index, float scale, DType dtype) {
  if (dtype == DType::F32)
    static_cast<float *>(to.scales)[index] = scale;
  else
    static_cast<uint16_t *>(to.scales)[index] =
        dtype == DType::F16 ? FloatToHalf(scale) : FloatToBFloat16(scale);
}

/// Writes codes and scales of one row, and its zeros to zeros[group]. False when a scale overflows.
bool quantizeRow(const float *w, int64_t row, const PackedFormat &format, const Destination &to,
                 uint8_t *zeros) {
  const float maxCode = float(MaxCode(format));
  BitWriter codes(to.codes + row * to.codeWords);
  for (int64_t g = 0; g < to.groups; ++g) {
    const float *values = w + g * format.group;
    float low = 0, high = 0;
    for (int64_t k = 0; k < format.group; ++k) {
      low = std::min(low, values[k]);
      high = std::max(high, values[k]);
    }
    GroupQuantizer quantizer = ChooseQuantizer(low, high, format);
    if (!std::isfinite(quantizer.scale))
      return false;
    for (int64_t k = 0; k < format.group; ++k)
      codes.put(uint32_t(QuantizedLevel(values[k], quantizer, maxCode) + quantizer.zero),
                format.bits);
    storeScale(to, row * to.groups + g, quantizer.scale, format.scaleType);
    zeros[g] = uint8_t(quantizer.zero);
  }
  codes.finish();
  return true;
}

} // namespace

Status QuantizeKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(QuantizeOperands operands, ReadQuantize(call));
  const WeightMatrix &weight = operands.weight;
  const Tensor &out = operands.to;
  const PackedFormat &format = out.packed;
  const int64_t rows = weight.rows, columns = weight.columns;
  const Destination to{out.as<uint32_t>(), out.scales, static_cast<uint32_t *>(out.zeros),
                       (columns * format.bits + 31) / 32, columns / format.group};
  FirstIndex bad, overflow;
  context.pool.parallelFor((rows + tileRows - 1) / tileRows, [&](int64_t tile, int worker) {
    auto *values = static_cast<float *>(
        context.scratch.worker(worker, columns * sizeof(float) + tileRows * to.groups));
    auto *zeros = reinterpret_cast<uint8_t *>(values + columns); // [rows, groups]
    const int64_t begin = tile * tileRows, count = std::min(tileRows, rows - begin);
    for (int64_t r = 0; r < count; ++r) {
      DequantizeRow(weight, begin + r, values);
      if (int64_t column = FirstNonFinite(values, columns); column >= 0)
        return bad.note((begin + r) * columns + column);
      if (!quantizeRow(values, begin + r, format, to, zeros + r * to.groups))
        return overflow.note(begin + r);
    }
    if (format.symmetric)
      return;
    for (int64_t g = 0; g < to.groups; ++g) {
      BitWriter stream(to.zeros + tile * format.bits * to.groups + g, to.groups);
      for (int64_t r = 0; r < count; ++r)
        stream.put(zeros[r * to.groups + g], format.bits);
      stream.finish();
    }
  });
  return QuantizeFault(operands, {bad.found() ? bad.get() : -1, overflow.found() ? overflow.get() : -1});
}

} // namespace compressc
