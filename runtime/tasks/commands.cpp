#include "runtime/tasks/commands.h"
#include "runtime/tasks/runner.h"
#include "runtime/tasks/tasks.h"

namespace compressc {

std::vector<Command> AllCommands() {
  std::vector<Command> commands;
#define COMPRESSC_ADD_TASK(name) commands.push_back(TaskCommand(Make##name()));
  COMPRESSC_TASKS(COMPRESSC_ADD_TASK)
#undef COMPRESSC_ADD_TASK
  commands.push_back(GenerateCommand());
  commands.push_back(BenchCommand());
  commands.push_back(InfoCommand());
  return commands;
}

} // namespace compressc
