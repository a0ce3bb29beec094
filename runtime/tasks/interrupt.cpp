#include "runtime/tasks/interrupt.h"
#include <csignal>

namespace compressc {
namespace {

volatile std::sig_atomic_t interrupted = 0;

void onSignal(int) { interrupted = 1; }

} // namespace

void WatchForInterrupt() {
  struct sigaction action = {};
  action.sa_handler = onSignal;
  action.sa_flags = int(SA_RESETHAND);
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

Status CheckInterrupt() {
  if (interrupted)
    return absl::CancelledError("interrupted, nothing was written");
  return absl::OkStatus();
}

} // namespace compressc
