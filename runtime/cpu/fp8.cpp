#include "fp8.h"
#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <limits>

namespace compressc {

uint8_t FloatToE4M3(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value), magnitude = bits & 0x7fffffff;
  auto sign = uint8_t(bits >> 24 & 0x80);
  if (magnitude > 0x7f800000)
    return sign | 0x7f;
  float positive = std::bit_cast<float>(magnitude);
  if (positive >= 448.0f)
    return sign | 0x7e;
  if (positive < 0x1p-6f) // subnormal: the sum's last bit is worth 2^-9
    return sign | uint8_t(std::bit_cast<uint32_t>(positive + 0x1p14f) - std::bit_cast<uint32_t>(0x1p14f));
  magnitude += 0x7ffff + (magnitude >> 20 & 1); // may carry into the exponent
  return sign | uint8_t((magnitude >> 20) - (127 - 7) * 8);
}

float E4M3ToFloat(uint8_t code) {
  int exponent = code >> 3 & 15, mantissa = code & 7;
  float value = exponent ? std::ldexp(float(8 + mantissa), exponent - 10) : std::ldexp(float(mantissa), -9);
  if ((code & 0x7f) == 0x7f)
    value = std::numeric_limits<float>::quiet_NaN();
  return code & 0x80 ? -value : value;
}

void RoundRowToFp8(float *x, int64_t width) {
  uint32_t most = 0; // as integers, NaN is greater than all
  for (int64_t i = 0; i < width; ++i)
    most = std::max(most, std::bit_cast<uint32_t>(x[i]) & 0x7fffffff);
  float scale = std::bit_cast<float>(most) / 448.0f;
  if (scale < FLT_MIN)
    scale = 1;
  float inverse = 1.0f / scale;
  for (int64_t i = 0; i < width; ++i)
    x[i] = E4M3ToFloat(FloatToE4M3(x[i] * inverse)) * scale;
}

} // namespace compressc
