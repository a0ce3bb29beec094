// Where results go.
#pragma once

#include "compressc/runtime/status.h"
#include <string>

namespace compressc {

/// Writes to standard output when `path` is "-", otherwise atomically to the file. A device or a
/// pipe is written as it is: to put a file in its place would break it for everyone.
Status WriteOutput(const std::string &path, const std::string &contents);
/// Whether WriteOutput would write a file: not standard output, no device, no pipe.
bool WritesFile(const std::string &path);

} // namespace compressc
