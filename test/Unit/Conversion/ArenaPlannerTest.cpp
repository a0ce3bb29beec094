// Random lifetimes: what is alive at the same time never overlaps, and little is wasted.
#include "lib/Conversion/ArenaPlanner.h"
#include <algorithm>
#include <gtest/gtest.h>
#include <random>

namespace compressc {
namespace {

std::vector<Lifetime> randomBuffers(std::mt19937 &random, int count, int64_t calls, int64_t largest) {
  std::vector<Lifetime> buffers;
  for (int i = 0; i < count; ++i) {
    int64_t begin = int64_t(random() % uint64_t(calls));
    int64_t length = int64_t(random() % uint64_t(calls - begin));
    buffers.push_back({int64_t(random() % uint64_t(largest)), begin, begin + length});
  }
  return buffers;
}

bool aliveTogether(const Lifetime &a, const Lifetime &b) { return a.begin <= b.end && b.begin <= a.end; }

/// The most bytes that are alive during one call.
int64_t peak(const std::vector<Lifetime> &buffers) {
  int64_t most = 0;
  for (const Lifetime &at : buffers) { // a peak begins where some buffer does
    int64_t bytes = 0;
    for (const Lifetime &buffer : buffers)
      if (buffer.begin <= at.begin && at.begin <= buffer.end)
        bytes += buffer.bytes;
    most = std::max(most, bytes);
  }
  return most;
}

void expectValid(const std::vector<Lifetime> &buffers, int64_t total) {
  for (size_t i = 0; i < buffers.size(); ++i) {
    const Lifetime &a = buffers[i];
    EXPECT_GE(a.offset, 0);
    EXPECT_EQ(a.offset % 64, 0);
    EXPECT_LE(a.offset + a.bytes, total);
    for (size_t j = 0; j < i; ++j) {
      const Lifetime &b = buffers[j];
      if (a.bytes && b.bytes && aliveTogether(a, b))
        EXPECT_TRUE(a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset)
            << "buffers " << j << " and " << i << " overlap";
    }
  }
  EXPECT_GE(total, peak(buffers));
  EXPECT_EQ(total % 64, 0);
}

TEST(ArenaPlanner, NothingNeedsNoArena) {
  std::vector<Lifetime> buffers;
  EXPECT_EQ(PlanArena(buffers), 0);
}

TEST(ArenaPlanner, OneAfterTheOtherShare) {
  std::vector<Lifetime> buffers = {{100, 0, 1}, {100, 2, 3}, {60, 4, 4}};
  EXPECT_EQ(PlanArena(buffers), 128);
  for (const Lifetime &buffer : buffers)
    EXPECT_EQ(buffer.offset, 0);
}

TEST(ArenaPlanner, ReadAndWrittenByOneCallDoNotShare) {
  std::vector<Lifetime> buffers = {{64, 0, 1}, {64, 1, 2}};
  EXPECT_EQ(PlanArena(buffers), 128);
  EXPECT_NE(buffers[0].offset, buffers[1].offset);
}

TEST(ArenaPlanner, SmallBufferFillsTheGapBelow) {
  // The third is alive with the second only, and fits where the first was.
  std::vector<Lifetime> buffers = {{256, 0, 1}, {192, 1, 3}, {128, 2, 3}};
  EXPECT_EQ(PlanArena(buffers), 448);
  EXPECT_EQ(buffers[1].offset, 256);
  EXPECT_EQ(buffers[2].offset, 0);
}

TEST(ArenaPlanner, RandomBuffersNeverOverlap) {
  std::mt19937 random(1);
  for (int round = 0; round < 500; ++round) {
    int count = 1 + int(random() % 60);
    int64_t calls = 1 + int64_t(random() % 40);
    std::vector<Lifetime> buffers = randomBuffers(random, count, calls, 1 + int64_t(random() % 5000));
    int64_t total = PlanArena(buffers);
    expectValid(buffers, total);
    if (HasFailure())
      FAIL() << "round " << round;
  }
}

TEST(ArenaPlanner, ChainsNeedNoMoreThanTheirPeak) {
  // Each call reads what the last one wrote: two buffers of one size are enough.
  std::vector<Lifetime> buffers;
  for (int64_t call = 0; call < 100; ++call)
    buffers.push_back({4096, call, call + 1});
  int64_t total = PlanArena(buffers);
  expectValid(buffers, total);
  EXPECT_EQ(total, 2 * 4096);
}

TEST(ArenaPlanner, HugeBuffersDoNotOverflow) {
  std::vector<Lifetime> buffers = {{int64_t(1) << 40, 0, 1}, {(int64_t(1) << 40) + 1, 1, 2}};
  int64_t total = PlanArena(buffers);
  expectValid(buffers, total);
}

TEST(ArenaPlanner, SamePlanEveryTime) {
  std::mt19937 random(2);
  std::vector<Lifetime> first = randomBuffers(random, 200, 50, 3), second = first;
  EXPECT_EQ(PlanArena(first), PlanArena(second));
  for (size_t i = 0; i < first.size(); ++i)
    EXPECT_EQ(first[i].offset, second[i].offset) << i;
}

} // namespace
} // namespace compressc
