// Files with many prompts.
#pragma once

#include "compressc/runtime/status.h"
#include <string>
#include <vector>

namespace compressc {

/// The prompts of a UTF-8 file, plain or packed with gzip: lines of JSON objects with "prompt" when
/// its name ends in .jsonl or .jsonl.gz, otherwise a prompt on each line. Blank lines are skipped.
StatusOr<std::vector<std::string>> ReadPrompts(const std::string &path);

} // namespace compressc
