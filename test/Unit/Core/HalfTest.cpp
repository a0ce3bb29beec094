#include "compressc/runtime/tensor.h"

#include <bit>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>

namespace compressc {
namespace {

/// The value that the fields of a float with these widths spell, by the definition.
double valueOf(uint32_t bits, int exponentBits, int mantissaBits) {
  int sign = bits >> (exponentBits + mantissaBits) & 1;
  int exponent = bits >> mantissaBits & ((1 << exponentBits) - 1);
  int mantissa = bits & ((1 << mantissaBits) - 1);
  int bias = (1 << (exponentBits - 1)) - 1;
  double magnitude;
  if (exponent == (1 << exponentBits) - 1)
    magnitude = mantissa ? NAN : INFINITY;
  else if (exponent == 0)
    magnitude = std::ldexp(mantissa, 1 - bias - mantissaBits);
  else
    magnitude = std::ldexp(mantissa + (1 << mantissaBits), exponent - bias - mantissaBits);
  return sign ? -magnitude : magnitude;
}

/// Rounds to a multiple of the unit in the last place with the processor's own rounding.
double roundSlowly(float value, int mantissaBits, int smallestExponent, double largest) {
  if (std::isnan(value) || std::isinf(value) || value == 0)
    return value;
  int exponent = std::max(std::ilogb(value), smallestExponent);
  double unit = std::ldexp(1.0, exponent - mantissaBits);
  double rounded = std::nearbyint(double(value) / unit) * unit;
  return std::fabs(rounded) > largest ? std::copysign(INFINITY, rounded) : rounded;
}

bool same(double a, double b) {
  return std::isnan(a) ? std::isnan(b) : a == b && std::signbit(a) == std::signbit(b);
}

TEST(Half, EveryHalfHasItsValue) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    double expected = valueOf(bits, 5, 10);
    ASSERT_TRUE(same(HalfToFloat(uint16_t(bits)), expected)) << bits;
    if (!std::isnan(expected)) {
      ASSERT_EQ(FloatToHalf(float(expected)), bits);
    } else {
      ASSERT_EQ(FloatToHalf(HalfToFloat(uint16_t(bits))), bits | 0x200) << bits;
    }
  }
}

TEST(Half, EveryBoundaryBetweenTwoHalvesRoundsRight) {
  for (uint32_t bits = 0; bits < 0x7c00; ++bits) {
    float low = float(valueOf(bits, 5, 10));
    // Above the largest half the next step is where 65536 would stand.
    float high = bits + 1 == 0x7c00 ? 65536.0f : float(valueOf(bits + 1, 5, 10));
    float middle = (low + high) / 2;
    uint32_t even = bits & 1 ? bits + 1 : bits;
    ASSERT_EQ(FloatToHalf(middle), even) << bits;
    ASSERT_EQ(FloatToHalf(std::nextafter(middle, 0.0f)), bits);
    ASSERT_EQ(FloatToHalf(std::nextafter(middle, INFINITY)), bits + 1);
    ASSERT_EQ(FloatToHalf(-middle), even | 0x8000);
  }
}

TEST(Half, FloatsOfEveryKindRoundAsTheSlowReferenceDoes) {
  // Every 251st bit pattern: all exponents, both signs, NaNs and infinities.
  for (uint64_t bits = 0; bits <= 0xffffffff; bits += 251) {
    float value = std::bit_cast<float>(uint32_t(bits));
    double half = valueOf(FloatToHalf(value), 5, 10);
    ASSERT_TRUE(same(half, roundSlowly(value, 10, -14, 65504))) << bits;
    double brain = valueOf(FloatToBFloat16(value), 8, 7);
    double largest = std::ldexp(255.0, 120);
    ASSERT_TRUE(same(brain, roundSlowly(value, 7, -126, largest))) << bits;
  }
}

TEST(Half, BFloat16IsTheTopOfAFloat) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    double expected = valueOf(bits, 8, 7);
    ASSERT_TRUE(same(BFloat16ToFloat(uint16_t(bits)), expected)) << bits;
    if (!std::isnan(expected)) {
      ASSERT_EQ(FloatToBFloat16(float(expected)), bits);
    }
  }
}

TEST(Half, RoundToDType) {
  float third = 1.0f / 3;
  EXPECT_EQ(RoundToDType(third, DType::F32), third);
  EXPECT_EQ(RoundToDType(third, DType::F16), 0.333251953125f);
  EXPECT_EQ(RoundToDType(third, DType::BF16), 0.333984375f);
}

} // namespace
} // namespace compressc
