// Subcommands over Abseil flags: each command names the flags it takes, so that a flag of another
// command is refused and --help shows one command only.
#pragma once

#include "absl/types/span.h"
#include "compressc/runtime/status.h"
#include <string>

#include "absl/strings/string_view.h"
#include <vector>

namespace compressc {

struct FlagUse {
  absl::string_view name;  // with hyphens
  absl::string_view value; // what --help calls its value; "" for switches
  absl::string_view help;
  absl::string_view bare = {}; // the value meant by the flag alone; "": a value must follow
  absl::string_view flag = {}; // its ABSL_FLAG; "": the name, with underscores for its hyphens
};

/// The type of a flag that may be given several times, each time with any text.
struct TextList {
  std::vector<std::string> items;
};
/// As text, each item is followed by a zero byte, which no argument of a program can hold.
bool AbslParseFlag(absl::string_view text, TextList *list, std::string *error);
std::string AbslUnparseFlag(const TextList &list);

struct Command {
  absl::string_view name;
  absl::string_view summary; // one line
  absl::string_view details; // shown by --help
  std::vector<FlagUse> flags;
  absl::string_view examples;
  Status (*main)();
};

/// Sets the flags from `--flag value`, `--flag=value` and `--switch`. Anything else is an error.
Status ParseFlags(const Command &command, absl::Span<const std::string> arguments);
bool AsksForHelp(absl::Span<const std::string> arguments);
std::string CommandHelp(absl::string_view program, const Command &command);
std::string ProgramHelp(absl::string_view program, absl::Span<const Command *const> commands);

/// Runs the command that `arguments` (without the program's name) ask for; the process's exit code:
/// 0 done, 1 failed, 2 wrong use, 130 interrupted.
int RunCommand(absl::string_view program, absl::Span<const Command *const> commands,
               absl::Span<const std::string> arguments);

} // namespace compressc
