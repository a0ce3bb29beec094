// The subcommands of `run` that are no tasks.
#pragma once

#include "runtime/tasks/command.h"

namespace compressc {

Command GenerateCommand();
Command BenchCommand();
Command InfoCommand();

/// These and the tasks.
std::vector<Command> AllCommands();

} // namespace compressc
