#include "Background.h"

namespace compressc {

/// A step's results each.
static constexpr size_t mostJobs = 4;

Background::Background() : thread([this] { work(); }) {}

Background::~Background() {
  {
    std::lock_guard lock(mutex);
    stopping = true;
    changed.notify_all();
  }
  thread.join();
}

Status Background::add(std::function<Status()> job) {
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return jobs.size() < mostJobs || !failure.ok(); });
  if (failure.ok()) {
    jobs.push_back(std::move(job));
    changed.notify_all();
  }
  return failure;
}

Status Background::wait() {
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return jobs.empty(); });
  return failure;
}

void Background::work() {
  std::unique_lock lock(mutex);
  while (true) {
    changed.wait(lock, [&] { return stopping || !jobs.empty(); });
    if (stopping)
      return;
    std::function<Status()> &job = jobs.front(); // stays where it is when the queue grows
    lock.unlock();
    Status status = job();
    lock.lock();
    jobs.pop_front();
    if (!status.ok()) {
      failure = status;
      jobs.clear();
    }
    changed.notify_all();
  }
}

} // namespace compressc
