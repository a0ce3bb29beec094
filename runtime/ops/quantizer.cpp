#include "quantizer.h"
#include <cmath>

namespace compressc {

GroupQuantizer ChooseQuantizer(float low, float high, const PackedFormat &format) {
  float extent = format.symmetric ? std::max(-low, high) : high - low;
  int steps = format.symmetric ? (1 << (format.bits - 1)) - 1 : MaxCode(format);
  float scale = RoundToDType(std::max(extent, 1e-8f) / float(steps), format.scaleType);
  // An all-but-zero group must not get the scale 0: the smallest fp16 number stands in.
  if (format.scaleType == DType::F16)
    scale = std::max(scale, 0x1p-24f);
  if (format.symmetric)
    return {scale, float(1 << (format.bits - 1))};
  return {scale, RoundHalfEven(std::min(-low / scale, float(MaxCode(format))))};
}

Status CheckPackedFormat(const PackedFormat &format, int64_t columns) {
  if (format.bits != 2 && format.bits != 3 && format.bits != 4 && format.bits != 8)
    return Invalid("bits = ", format.bits, " is not supported; choose 2, 3, 4 or 8");
  if (format.group <= 0 || columns % format.group != 0)
    return Invalid("group = ", format.group, " does not divide the ", columns,
                   " columns of the weight; choose a divisor");
  if (format.scaleType != DType::F16 && format.scaleType != DType::BF16 &&
      format.scaleType != DType::F32)
    return Invalid("scale_type = ", TypeName(format.scaleType),
                   " is not supported; choose f16, bf16 or f32");
  return absl::OkStatus();
}

} // namespace compressc
