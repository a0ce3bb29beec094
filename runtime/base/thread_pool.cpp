#include "compressc/runtime/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace compressc {

namespace {

/// Kernels follow each other within microseconds, much faster than a sleeping thread wakes up.
constexpr int spinRounds = 2000;

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

} // namespace

struct ThreadPool::Impl {
  using Function = std::function<void(int64_t, int)>;

  std::mutex mutex;
  std::condition_variable wake, idle;
  // Guarded by the mutex. A worker enters a job only while it is open, so the caller never waits
  // for a worker that wakes up after the work is gone.
  const Function *job = nullptr;
  bool stop = false;
  int64_t count = 0;

  std::atomic<uint64_t> generation{0};
  std::atomic<int> running{0};
  std::atomic<int64_t> next{0};
  bool spin = true;
  std::vector<std::thread> workers;

  void drain(const Function &fn, int64_t total, int worker) {
    for (int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < total;)
      fn(i, worker);
  }

  void workerMain(int worker) {
    uint64_t seen = 0;
    for (;;) {
      for (int i = 0; spin && i < spinRounds; ++i) {
        if (generation.load(std::memory_order_relaxed) != seen)
          break;
        relax();
      }
      std::unique_lock lock(mutex);
      wake.wait(lock, [&] { return stop || generation.load(std::memory_order_relaxed) != seen; });
      if (stop)
        return;
      seen = generation.load(std::memory_order_relaxed);
      if (!job)
        continue;
      const Function &fn = *job;
      int64_t total = count;
      running.fetch_add(1, std::memory_order_relaxed);
      lock.unlock();

      drain(fn, total, worker);

      lock.lock();
      if (running.fetch_sub(1, std::memory_order_acq_rel) == 1)
        idle.notify_one();
    }
  }
};

ThreadPool::ThreadPool(int threads) : impl(std::make_unique<Impl>()) {
  int hardware = std::max(1u, std::thread::hardware_concurrency());
  if (threads <= 0)
    threads = hardware;
  impl->spin = threads <= hardware;
  impl->workers.reserve(threads - 1);
  for (int i = 1; i < threads; ++i)
    impl->workers.emplace_back([this, i] { impl->workerMain(i); });
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(impl->mutex);
    impl->stop = true;
    impl->generation.fetch_add(1);
  }
  impl->wake.notify_all();
  for (std::thread &worker : impl->workers)
    worker.join();
}

int ThreadPool::threads() const { return int(impl->workers.size()) + 1; }

void ThreadPool::parallelFor(int64_t count, const std::function<void(int64_t, int)> &fn) {
  if (count <= 1 || impl->workers.empty()) {
    for (int64_t i = 0; i < count; ++i)
      fn(i, 0);
    return;
  }
  {
    std::lock_guard lock(impl->mutex);
    impl->job = &fn;
    impl->count = count;
    impl->next.store(0, std::memory_order_relaxed);
    impl->generation.fetch_add(1, std::memory_order_relaxed);
  }
  impl->wake.notify_all();
  impl->drain(fn, count, 0);

  std::unique_lock lock(impl->mutex);
  impl->job = nullptr;
  lock.unlock();
  for (int i = 0; impl->spin && i < spinRounds; ++i) {
    if (impl->running.load(std::memory_order_acquire) == 0)
      return;
    relax();
  }
  lock.lock();
  impl->idle.wait(lock, [&] { return impl->running.load(std::memory_order_acquire) == 0; });
}

Status OnThreads(size_t count, const std::function<Status(size_t)> &call) {
  std::vector<Status> results(count);
  std::vector<std::thread> threads;
  for (size_t i = 1; i < count; ++i)
    threads.emplace_back([&, i] { results[i] = call(i); });
  results[0] = call(0);
  for (std::thread &thread : threads)
    thread.join();
  for (const Status &result : results)
    COMPRESSC_RETURN_IF_ERROR(result);
  return absl::OkStatus();
}

} // namespace compressc
