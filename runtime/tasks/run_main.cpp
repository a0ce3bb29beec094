// OUT/run: a compiled model. The schedule is appended to this program, the weights lie in model/.
#include "runtime/tasks/commands.h"
#include "runtime/tasks/interrupt.h"

int main(int argc, char **argv) {
  absl::string_view program = argc > 0 ? argv[0] : "run";
  program = program.substr(program.rfind('/') + 1);
  compressc::WatchForInterrupt();
  std::vector<std::string> arguments(argv + (argc > 0), argv + argc);
  return compressc::RunCommand(program, compressc::AllCommands(), arguments);
}
