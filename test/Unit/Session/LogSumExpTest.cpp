#include "../../../runtime/session/log_sum_exp.h"
#include <cmath>
#include <gtest/gtest.h>
#include <random>
#include <vector>

namespace compressc {
namespace {

double reference(const std::vector<float> &logits) {
  double highest = -INFINITY, sum = 0;
  for (float x : logits)
    highest = std::max(highest, double(x));
  for (float x : logits)
    sum += std::exp(double(x) - highest);
  return highest + std::log(sum);
}

double measured(const std::vector<float> &logits) {
  return ScoreRow(logits.data(), int64_t(logits.size())).logSumExp();
}

TEST(LogSumExp, EqualsTheReferenceForManySizes) {
  std::mt19937_64 random(3);
  for (size_t size : {1, 2, 15, 16, 17, 31, 100, 4096, 49152})
    for (double width : {0.1, 10.0, 60.0, 300.0}) {
      std::vector<float> logits(size);
      for (float &x : logits)
        x = float(width * (double(random() >> 11) / 9007199254740992.0 - 0.5));
      EXPECT_NEAR(measured(logits), reference(logits), 4e-7) << size << " " << width;
    }
}

TEST(LogSumExp, HasNoBiasOverManyEqualLogits) {
  std::vector<float> logits(100000, -3.5f);
  EXPECT_NEAR(measured(logits), -3.5 + std::log(100000.0), 1e-12);
}

TEST(LogSumExp, EveryTermIsAccurate) {
  for (float x = 0; x > -80; x -= 0.0371f) {
    // log(1 + e^x) - 0 would hide small terms: compare sums of many such terms.
    std::vector<float> logits(4097, x);
    logits[0] = 0;
    double small = std::expm1(measured(logits)), wanted = 4096 * std::exp(double(x));
    if (wanted > 1e-6) {
      EXPECT_NEAR(small / wanted, 1, 5e-7) << x;
    }
  }
}

TEST(LogSumExp, HandlesInfinities) {
  std::vector<float> logits(40, -INFINITY);
  logits[7] = 2;
  logits[39] = 2;
  EXPECT_NEAR(measured(logits), 2 + std::log(2.0), 1e-12);
  logits[8] = NAN;
  EXPECT_TRUE(std::isnan(measured(logits)));
  logits[8] = INFINITY;
  EXPECT_FALSE(std::isfinite(measured(logits)));
  EXPECT_FALSE(std::isfinite(measured(std::vector<float>(20, -INFINITY))));
  EXPECT_FALSE(std::isfinite(measured(std::vector<float>(20, NAN))));
}

} // namespace
} // namespace compressc
