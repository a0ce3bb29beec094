// Compilers as child processes.
#pragma once

#include "compressc/runtime/status.h"
#include <string>
#include <vector>

namespace compressc {

/// The compiler that `option` asks for ("none": none at all), or without a wish the first of the program that the
/// environment's `variable` names and of `names` that there is. NotFound when there is none; an error when the one asked
/// for does not exist.
StatusOr<std::string> FindCompiler(const std::string &asked, const std::string &option, const char *variable,
                                   std::vector<std::string> names);

/// Runs a compiler; an error holds its first message, and `without`, the option that does without it.
Status RunCompiler(const std::vector<std::string> &arguments, const std::string &without);

} // namespace compressc
