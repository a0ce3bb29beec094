// The subcommands of `run`.
#pragma once

#include "runtime/tasks/command.h"

namespace compressc {

Command MmluCommand();
Command PerplexityCommand();
Command GenerateCommand();
Command BenchCommand();
Command InfoCommand();

} // namespace compressc
