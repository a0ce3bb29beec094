#include "compressc/runtime/tensor.h"

#include <bit>

namespace compressc {

namespace {

struct TypeRow {
  DType dtype;
  std::string_view name;
  size_t size;
  BlockInfo block;
};

constexpr TypeRow types[] = {
    {DType::F32, "f32", 4, {1, 4}},       {DType::F16, "f16", 2, {1, 2}},
    {DType::BF16, "bf16", 2, {1, 2}},     {DType::I32, "i32", 4, {1, 4}},
    {DType::I64, "i64", 8, {1, 8}},       {DType::U8, "u8", 1, {1, 1}},
    {DType::Packed, "packed", 0, {1, 0}}, {DType::Statistics, "statistics", 0, {1, 0}},
    {DType::Q4_0, "q4_0", 0, {32, 18}},   {DType::Q4_1, "q4_1", 0, {32, 20}},
    {DType::Q8_0, "q8_0", 0, {32, 34}},   {DType::Q5_0, "q5_0", 0, {32, 22}},
    {DType::Q5_1, "q5_1", 0, {32, 24}},   {DType::Q4_K, "q4_k", 0, {256, 144}},
    {DType::Q5_K, "q5_k", 0, {256, 176}}, {DType::Q6_K, "q6_k", 0, {256, 210}},
};

const TypeRow &row(DType dtype) { return types[static_cast<size_t>(dtype)]; }

static_assert([] {
  for (size_t i = 0; i < std::size(types); ++i)
    if (static_cast<size_t>(types[i].dtype) != i)
      return false;
  return true;
}());

int64_t alignTo64(int64_t bytes) { return (bytes + 63) / 64 * 64; }
int64_t divideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

} // namespace

std::string_view DTypeName(DType dtype) { return row(dtype).name; }

std::optional<DType> DTypeFromName(std::string_view name) {
  for (const TypeRow &type : types)
    if (type.name == name)
      return type.dtype;
  return std::nullopt;
}

size_t DTypeSize(DType dtype) { return row(dtype).size; }
BlockInfo DTypeBlock(DType dtype) { return row(dtype).block; }

float HalfToFloat(uint16_t bits) {
  uint32_t sign = uint32_t(bits & 0x8000) << 16;
  uint32_t exponent = (bits >> 10) & 0x1f;
  uint32_t mantissa = bits & 0x3ff;
  if (exponent == 0x1f)
    return std::bit_cast<float>(sign | 0x7f800000u | mantissa << 13);
  if (exponent != 0)
    return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
  // Zero or subnormal: an integer number of 2^-24, exact in fp32.
  float magnitude = float(mantissa) * 0x1p-24f;
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
}

uint16_t FloatToHalf(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint16_t sign = (bits >> 16) & 0x8000;
  uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) // NaN: keep the top of the payload, make it quiet
    return sign | 0x7e00 | ((magnitude >> 13) & 0x3ff);
  if (magnitude >= 0x477ff000) // 65520 and above round to infinity
    return sign | 0x7c00;
  if (magnitude >= 0x38800000) { // normal: rebias, then round; a carry into the exponent is right
    uint32_t rebiased = magnitude - (112u << 23);
    return sign | uint16_t((rebiased + 0xfff + ((rebiased >> 13) & 1)) >> 13);
  }
  if (magnitude <= 0x33000000) // at most half of the smallest subnormal; the tie goes to zero
    return sign;
  uint32_t mantissa = (magnitude & 0x7fffff) | 0x800000;
  uint32_t shift = 126 - (magnitude >> 23); // 14..24: how far the unit 2^-24 lies above bit 0
  uint32_t half = 1u << (shift - 1);
  uint32_t rounded = (mantissa + half - 1 + ((mantissa >> shift) & 1)) >> shift;
  return sign | uint16_t(rounded);
}

uint16_t FloatToBFloat16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000)
    return uint16_t(bits >> 16) | 0x40;
  return uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

float RoundToDType(float value, DType dtype) {
  if (dtype == DType::F16)
    return HalfToFloat(FloatToHalf(value));
  if (dtype == DType::BF16)
    return BFloat16ToFloat(FloatToBFloat16(value));
  return value;
}

PackedSizes GetPackedSizes(int64_t rows, int64_t columns, const PackedFormat &format) {
  int64_t groups = divideUp(columns, format.group);
  PackedSizes sizes;
  sizes.codes = rows * divideUp(columns * format.bits, 32) * 4;
  sizes.scales = rows * groups * int64_t(DTypeSize(format.scaleType));
  sizes.zeros = format.symmetric ? 0 : divideUp(rows * format.bits, 32) * groups * 4;
  sizes.scalesOffset = alignTo64(sizes.codes);
  sizes.zerosOffset = sizes.scalesOffset + alignTo64(sizes.scales);
  sizes.total = sizes.zerosOffset + alignTo64(sizes.zeros);
  return sizes;
}

int64_t Tensor::bytes() const {
  if (dtype == DType::Packed)
    return GetPackedSizes(shape[0], shape[1], packed).total;
  if (dtype == DType::Statistics)
    return (shape[0] * shape[0] + shape[0] + 1) * int64_t(sizeof(float));
  BlockInfo block = DTypeBlock(dtype);
  return elements() / block.elements * block.bytes;
}

StatisticsView AsStatistics(const Tensor &tensor) {
  int64_t width = tensor.shape[0];
  float *gram = tensor.as<float>();
  float *absSum = gram + width * width;
  return {width, gram, absSum, absSum + width};
}

} // namespace compressc
