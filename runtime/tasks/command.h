// Subcommands, each with options of its own: one of another command is refused, and --help shows one command only.
#pragma once

#include "runtime/tasks/options.h"
#include <memory>

namespace compressc {

struct Command {
  std::string name;
  std::string summary; // one line
  std::string details; // shown by --help
  std::string examples;
  Options options = {};
  std::function<Status()> main = {};
  std::shared_ptr<void> state = {}; // what the options set
};

std::string CommandHelp(absl::string_view program, const Command &command);
std::string ProgramHelp(absl::string_view program, absl::Span<const Command> commands);

/// Runs the command that `arguments` (without the program's name) ask for; the process's exit code:
/// 0 done, 1 failed, 2 wrong use, 130 interrupted.
int RunCommand(absl::string_view program, absl::Span<const Command> commands,
               absl::Span<const std::string> arguments);

} // namespace compressc
