// Ctrl-C ends a task between two steps, so that no file is left half written.
#pragma once

#include "compressc/runtime/status.h"

namespace compressc {

/// From now on the first SIGINT or SIGTERM only asks to stop; a second one ends the process.
void WatchForInterrupt();
/// Cancelled once a signal has come.
Status CheckInterrupt();

} // namespace compressc
