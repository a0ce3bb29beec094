#include "compressc/runtime/thread_pool.h"

#include <atomic>
#include <gtest/gtest.h>
#include <thread>
#include <vector>

namespace compressc {
namespace {

TEST(ThreadPool, EveryIndexRunsOnceAndWorkersAreNotShared) {
  for (int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    ASSERT_EQ(pool.threads(), threads);
    for (int64_t count : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> calls(count);
      std::vector<std::atomic<int>> inside(threads);
      std::atomic<bool> shared = false, outside = false;
      pool.parallelFor(count, [&](int64_t i, int worker) {
        if (worker < 0 || worker >= threads) {
          outside = true;
          return;
        }
        if (inside[worker].fetch_add(1) != 0)
          shared = true;
        calls[i].fetch_add(1);
        inside[worker].fetch_sub(1);
      });
      EXPECT_FALSE(outside);
      EXPECT_FALSE(shared);
      for (int64_t i = 0; i < count; ++i)
        EXPECT_EQ(calls[i], 1) << i << " of " << count;
    }
  }
}

TEST(ThreadPool, ManyShortLoopsInARow) {
  ThreadPool pool(4);
  int64_t total = 0;
  for (int round = 0; round < 20000; ++round) {
    std::atomic<int64_t> sum = 0;
    pool.parallelFor(5, [&](int64_t i, int) { sum += i + round; });
    total += sum;
  }
  EXPECT_EQ(total, 20000LL * 10 + 5LL * 20000 * 19999 / 2);
}

TEST(ThreadPool, WorkIsSpreadOverTheThreads) {
  ThreadPool pool(3);
  std::atomic<int> waiting = 0;
  // Each call waits until all three have begun: this only ends when three workers run at once.
  pool.parallelFor(3, [&](int64_t, int) {
    ++waiting;
    while (waiting < 3)
      std::this_thread::yield();
  });
  EXPECT_EQ(waiting, 3);
}

TEST(OnThreads, TellsTheFirstFailure) {
  std::vector<int> called(4);
  auto call = [&](size_t i) -> Status {
    ++called[i];
    return i < 2 ? absl::OkStatus() : Invalid(i);
  };
  EXPECT_EQ(OnThreads(4, call).message(), "2");
  EXPECT_TRUE(OnThreads(2, call).ok());
  EXPECT_EQ(called, (std::vector<int>{2, 2, 1, 1}));
}

TEST(ThreadPool, DefaultIsTheHardware) { EXPECT_GE(ThreadPool().threads(), 1); }

} // namespace
} // namespace compressc
