// Codes, zeros and scales of a packed weight [N, K] one by one; see PackedSizes for how they lie.
#pragma once

#include "compressc/runtime/tensor.h"

namespace compressc {

class PackedView {
public:
  explicit PackedView(const Tensor &weight)
      : codes(weight.as<uint32_t>()), zeros(static_cast<const uint32_t *>(weight.zeros)),
        scales(weight.scales), format(weight.packed), groups(weight.dim(1) / format.group),
        words((weight.dim(1) * format.bits + 31) / 32) {}

  uint32_t code(int64_t row, int64_t column) const {
    return bitsAt(codes + row * words, 1, column);
  }
  uint32_t zero(int64_t row, int64_t group) const {
    return format.symmetric ? 1u << (format.bits - 1) : bitsAt(zeros + group, groups, row);
  }
  float scale(int64_t row, int64_t group) const {
    int64_t at = row * groups + group;
    switch (format.scaleType) {
    case DType::F16:
      return HalfToFloat(static_cast<const uint16_t *>(scales)[at]);
    case DType::BF16:
      return BFloat16ToFloat(static_cast<const uint16_t *>(scales)[at]);
    default:
      return static_cast<const float *>(scales)[at];
    }
  }
  float value(int64_t row, int64_t column) const {
    int64_t group = column / format.group;
    return scale(row, group) * float(int(code(row, column)) - int(zero(row, group)));
  }

private:
  /// Field `index` of a bit stream whose words lie `stride` apart.
  uint32_t bitsAt(const uint32_t *stream, int64_t stride, int64_t index) const {
    int64_t bit = index * format.bits, word = bit / 32;
    int shift = int(bit % 32);
    uint64_t window = stream[word * stride];
    if (shift + format.bits > 32)
      window |= uint64_t(stream[(word + 1) * stride]) << 32;
    return uint32_t(window >> shift) & ((1u << format.bits) - 1);
  }

  const uint32_t *codes, *zeros;
  const void *scales;
  PackedFormat format;
  int64_t groups, words;
};

} // namespace compressc
