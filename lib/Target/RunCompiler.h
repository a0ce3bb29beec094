// Compilers as child processes.
#pragma once

#include "compressc/runtime/status.h"
#include <string>
#include <vector>

namespace compressc {

/// Runs a compiler; an error holds its first message, and `without`, the option that does without it.
Status RunCompiler(const std::vector<std::string> &arguments, const std::string &without);

} // namespace compressc
