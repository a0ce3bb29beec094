// Work that a materialisation does not wait for: files are written while the next step is computed.
#pragma once

#include "compressc/runtime/status.h"
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace compressc {

/// One thread that does one job after the other. After a job that fails, the others are dropped.
class Background {
public:
  Background();
  /// Finishes the job that is under way; the others are dropped.
  ~Background();

  /// Waits while some jobs are waiting already, which hold what they write. The first failure so far.
  Status add(std::function<Status()> job);
  /// Waits for all jobs. The first failure.
  Status wait();

private:
  void work();

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<Status()>> jobs; // the first is under way
  Status failure;
  bool stopping = false;
  std::thread thread;
};

} // namespace compressc
