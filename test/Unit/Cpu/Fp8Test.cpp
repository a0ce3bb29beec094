// e4m3 against a search through all its numbers.
#include "../../../runtime/cpu/fp8.h"
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <limits>
#include <vector>

using namespace compressc;

namespace {

/// A number's definition.
double valueOf(int code) {
  int exponent = code >> 3 & 15, mantissa = code & 7;
  double value = exponent ? (1 + mantissa / 8.0) * std::pow(2.0, exponent - 7) : mantissa / 8.0 * std::pow(2.0, -6);
  return code & 128 ? -value : value;
}

bool isNaN(int code) { return (code & 127) == 127; }

/// The nearest; of two the one with an even mantissa.
int nearest(float value) {
  int best = -1;
  for (int code = std::signbit(value) ? 128 : 0, end = code + 127; code < end; ++code) {
    double distance = std::abs(valueOf(code) - double(value)), least = best < 0 ? INFINITY : std::abs(valueOf(best) - double(value));
    if (distance < least || (distance == least && code % 2 == 0))
      best = code;
  }
  return best;
}

TEST(E4M3, EveryCodeIsItsNumber) {
  for (int code = 0; code < 256; ++code) {
    float value = E4M3ToFloat(uint8_t(code));
    if (isNaN(code)) {
      EXPECT_TRUE(std::isnan(value)) << code;
      EXPECT_EQ(FloatToE4M3(value) & 127, 127) << code;
    } else {
      EXPECT_EQ(double(value), valueOf(code)) << code;
      EXPECT_EQ(int(FloatToE4M3(value)), code);
    }
  }
}

TEST(E4M3, RoundsToTheNearestAndSaturates) {
  std::vector<float> values = {0.0f, -0.0f, 447.9f, 464.0f, 465.0f, 1e30f, -1e30f, std::numeric_limits<float>::denorm_min(), 1e-20f};
  for (int code = 0; code < 126; ++code) { // ties and their neighbours
    auto middle = float((valueOf(code) + valueOf(code + 1)) / 2);
    for (float value : {middle, std::nextafter(middle, 0.0f), std::nextafter(middle, 1e9f)})
      values.insert(values.end(), {value, -value});
  }
  for (int i = 0; i < 20000; ++i)
    values.push_back(float(std::pow(2.0, i % 23 - 12) * std::sin(i)));
  for (float value : values)
    ASSERT_EQ(int(FloatToE4M3(value)), nearest(value)) << value;
  EXPECT_EQ(int(FloatToE4M3(INFINITY)), 126);
  EXPECT_EQ(int(FloatToE4M3(-INFINITY)), 254);
}

TEST(E4M3, EachRowHasAScale) {
  for (double size : {1e-3, 1e5, 1e-39}) {
    std::vector<float> x(300), before;
    for (size_t i = 0; i < x.size(); ++i)
      x[i] = float(std::sin(double(i)) * size * (i % 7 ? 1 : 1e-3));
    before = x;
    RoundRowToFp8(x.data(), 300);
    double most = 0;
    for (float each : before)
      most = std::max(most, std::abs(double(each)));
    for (size_t i = 0; i < x.size(); ++i) // half a step of three bits, or of the least number
      EXPECT_NEAR(x[i], before[i], size < 1e-38 ? 1e-38 : std::max(std::abs(double(before[i])) / 16, most / 448 / 1024) * 1.00001) << i;
    if (size < 1e-38)
      EXPECT_EQ(x[299], 0);
    for (float bad : {NAN, INFINITY}) {
      x = before;
      x[130] = bad;
      RoundRowToFp8(x.data(), 300);
      EXPECT_TRUE(std::isnan(x[0]) && std::isnan(x[130]) && std::isnan(x[299]));
    }
  }
}

} // namespace
