// A fixed set of worker threads. Work is split by index only, so results never depend on timing.
#pragma once

#include "compressc/runtime/status.h"
#include <cstdint>
#include <functional>
#include <memory>

namespace compressc {

class ThreadPool {
public:
  /// `threads` <= 0: one for each hardware thread.
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;

  int threads() const;

  /// Calls fn(index, worker) for every index in [0, count), indices handed out dynamically, and
  /// returns when all are done. `worker` is in [0, threads()) and no two concurrent calls share one:
  /// use it to pick scratch memory. Not reentrant: fn must not call parallelFor.
  void parallelFor(int64_t count, const std::function<void(int64_t index, int worker)> &fn);

private:
  struct Impl;
  std::unique_ptr<Impl> impl;
};

/// Runs call(0) here and each other one on a thread of its own. The first failure in the order of numbers.
Status OnThreads(size_t count, const std::function<Status(size_t)> &call);

} // namespace compressc
