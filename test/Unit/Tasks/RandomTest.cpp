#include "runtime/tasks/random.h"
#include <gtest/gtest.h>
#include <set>

namespace compressc {
namespace {

TEST(SplitMix64, GivesThePublishedNumbers) {
  SplitMix64 random(1234567);
  EXPECT_EQ(random.next(), 6457827717110365317u);
  EXPECT_EQ(random.next(), 3203168211198807973u);
  EXPECT_EQ(random.next(), 9817491932198370423u);
  EXPECT_EQ(random.next(), 4593380528125082431u);
  EXPECT_EQ(random.next(), 16408922859458223821u);
}

TEST(SplitMix64, BoundedNumbersAreTheRemainders) {
  SplitMix64 random(1234567);
  EXPECT_EQ(random.below(1000), 317u);
  EXPECT_EQ(random.below(7), 3203168211198807973u % 7);
  EXPECT_EQ(random.below(1), 0u);
}

TEST(UniformAt, IsAFunctionOfItsKey) {
  std::set<double> seen;
  for (uint64_t seed = 0; seed < 4; ++seed)
    for (uint64_t stream = 0; stream < 4; ++stream)
      for (uint64_t position = 0; position < 4; ++position) {
        double value = UniformAt(seed, stream, position);
        EXPECT_EQ(value, UniformAt(seed, stream, position));
        EXPECT_GE(value, 0);
        EXPECT_LT(value, 1);
        seen.insert(value);
      }
  EXPECT_EQ(seen.size(), 64u); // no two keys share a number, exchanged parts neither
}

TEST(UniformAt, FillsTheIntervalEvenlyAlongEachPartOfTheKey) {
  // 10,000 numbers in 10 bins: 1,000 each, with a standard deviation of 30.
  for (int part = 0; part < 3; ++part) {
    int bins[10] = {};
    for (uint64_t i = 0; i < 10000; ++i)
      ++bins[int(10 * UniformAt(part == 0 ? i : 7, part == 1 ? i : 7, part == 2 ? i : 7))];
    for (int count : bins)
      EXPECT_NEAR(count, 1000, 150) << part;
  }
}

} // namespace
} // namespace compressc
