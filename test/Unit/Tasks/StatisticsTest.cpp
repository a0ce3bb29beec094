#include "runtime/tasks/statistics.h"
#include <cmath>
#include <gtest/gtest.h>

namespace compressc {
namespace {

TEST(Statistics, StandardErrorOfASubject) {
  Tally tally{10, 7};
  EXPECT_DOUBLE_EQ(tally.accuracy(), 0.7);
  EXPECT_NEAR(tally.standardError(), 0.15275252316519467, 1e-15); // sqrt(0.21 / 9)
  EXPECT_TRUE(std::isnan((Tally{1, 1}).standardError()));
  EXPECT_EQ((Tally{5, 5}).standardError(), 0);
  EXPECT_EQ(Tally{}.accuracy(), 0);
}

TEST(Statistics, IsTheSampleStandardDeviationOverRootN) {
  // 3 of 8 right, by the definition.
  double mean = 3.0 / 8, squares = 3 * (1 - mean) * (1 - mean) + 5 * mean * mean;
  EXPECT_NEAR((Tally{8, 3}).standardError(), std::sqrt(squares / 7) / std::sqrt(8.0), 1e-15);
}

TEST(Statistics, StandardErrorOfAGroupIsPooledWithinSubjects) {
  GroupTally group;
  group.subjects = {{"a", {4, 2}}, {"b", {6, 4}}};
  EXPECT_EQ(group.total().questions, 10);
  EXPECT_EQ(group.total().correct, 6);
  // (4*1/4 + 6*2/9) / (10 - 2) / 10
  EXPECT_NEAR(group.standardError(), std::sqrt((1 + 4.0 / 3) / 8 / 10), 1e-15);
  // The same by the form var = sum((n-1) n se^2) / (N-k).
  double a = group.subjects["a"].standardError(), b = group.subjects["b"].standardError();
  EXPECT_NEAR(group.standardError(), std::sqrt((3 * 4 * a * a + 5 * 6 * b * b) / 8 / 10), 1e-15);
}

TEST(Statistics, GroupOfSingleQuestionsHasNoStandardError) {
  GroupTally group;
  group.add("a", true);
  group.add("b", false);
  EXPECT_TRUE(std::isnan(group.standardError()));
  group.add("b", true);
  EXPECT_NEAR(group.standardError(), std::sqrt(0.5 / 1 / 3), 1e-15);
}

TEST(McNemar, EqualsBinomialSumsByHand) {
  EXPECT_NEAR(McNemarExact(1, 5), 14.0 / 64, 1e-13);
  EXPECT_NEAR(McNemarExact(5, 1), 14.0 / 64, 1e-13);
  EXPECT_NEAR(McNemarExact(0, 10), 2.0 / 1024, 1e-14);
  EXPECT_NEAR(McNemarExact(2, 8), 112.0 / 1024, 1e-13);
  EXPECT_EQ(McNemarExact(3, 3), 1);
  EXPECT_EQ(McNemarExact(0, 0), 1);
  EXPECT_EQ(McNemarExact(0, 1), 1);
}

TEST(McNemar, HoldsForManyPairs) {
  // Near the normal approximation with continuity correction: z = (100 - 1) / sqrt(10000).
  double approximate = std::erfc(99 / 100.0 / std::sqrt(2.0));
  EXPECT_NEAR(McNemarExact(4950, 5050), approximate, 1e-4);
}

} // namespace
} // namespace compressc
