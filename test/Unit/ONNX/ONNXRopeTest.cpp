#include "lib/Import/ONNX/ONNXRope.h"
#include <cmath>
#include <gtest/gtest.h>
#include <limits>

namespace compressc {
namespace {

TEST(ONNXRope, FindsTheParametersThatFrequenciesCameFrom) {
  for (int64_t dim : {16, 64, 128})
    for (double theta : {10000.0, 100000.0, 500000.0, 1e6})
      for (double factor : {1.0, 2.0, 2.5, 8.0}) {
        RopeConfig rope{
            .theta = theta, .scaling = factor == 1 ? "default" : "linear", .factor = factor};
        std::optional<RopeConfig> found = FitRope(RopeFrequencies(rope, dim));
        ASSERT_TRUE(found) << dim << " " << theta << " " << factor;
        EXPECT_EQ(found->theta, theta) << dim << " " << factor;
        EXPECT_EQ(found->scaling, rope.scaling);
        EXPECT_EQ(found->factor, factor);
      }
}

TEST(ONNXRope, FindsLlama3UpToACommonMultiple) {
  RopeConfig rope{.theta = 500000,
                  .scaling = "llama3",
                  .factor = 8,
                  .lowFrequency = 1,
                  .highFrequency = 4,
                  .originalContext = 8192};
  std::optional<RopeConfig> found = FitRope(RopeFrequencies(rope, 128));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->scaling, "llama3");
  EXPECT_EQ(found->theta, 500000);
  EXPECT_EQ(found->factor, 8);
  EXPECT_TRUE(SameFrequencies(RopeFrequencies(*found, 128), RopeFrequencies(rope, 128)));

  RopeConfig doubled = rope;
  doubled.lowFrequency = 2, doubled.highFrequency = 8, doubled.originalContext = 16384;
  EXPECT_TRUE(SameFrequencies(RopeFrequencies(doubled, 128), RopeFrequencies(rope, 128)));
  std::optional<RopeConfig> same = FitRope(RopeFrequencies(doubled, 128));
  ASSERT_TRUE(same);
  EXPECT_EQ(same->originalContext, found->originalContext);
}

TEST(ONNXRope, BearsTheErrorOfFloatTables) {
  std::vector<double> frequencies = RopeFrequencies({.theta = 100000}, 64);
  for (size_t i = 0; i < frequencies.size(); ++i)
    frequencies[i] *= 1 + (i % 2 ? 2e-7 : -2e-7);
  std::optional<RopeConfig> found = FitRope(frequencies);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->theta, 100000);
  EXPECT_EQ(found->scaling, "default");
}

TEST(ONNXRope, RefusesOtherFrequencies) {
  std::vector<double> frequencies = RopeFrequencies({.theta = 10000}, 64);
  std::vector<double> changed = frequencies;
  changed[5] *= 1.001;
  EXPECT_FALSE(FitRope(changed));
  std::vector<double> reversed(frequencies.rbegin(), frequencies.rend());
  EXPECT_FALSE(FitRope(reversed));
  for (double bad : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    changed = frequencies;
    changed[3] = bad;
    EXPECT_FALSE(FitRope(changed)) << bad;
  }
  EXPECT_FALSE(FitRope({}));
}

TEST(ONNXRope, FrequenciesAreTheSameToAMillionth) {
  EXPECT_TRUE(SameFrequencies({1, 0.5}, {1, 0.5 * (1 + 5e-7)}));
  EXPECT_FALSE(SameFrequencies({1, 0.5}, {1, 0.5 * (1 + 5e-6)}));
  EXPECT_FALSE(SameFrequencies({1}, {1, 0.5}));
  EXPECT_FALSE(SameFrequencies({std::nan("")}, {1}));
}

} // namespace
} // namespace compressc
