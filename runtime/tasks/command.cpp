#include "runtime/tasks/command.h"
#include "absl/strings/str_split.h"
#include <algorithm>
#include <cstdio>

namespace compressc {
namespace {

bool isHelp(absl::string_view argument) { return argument == "--help" || argument == "-h"; }

} // namespace

std::string CommandHelp(absl::string_view program, const Command &command) {
  std::string help = absl::StrCat("usage: ", program, " ", command.name,
                                  command.options.all().empty() ? "" : " [--option value ...]", "\n\n",
                                  WrapText(command.details, 2), command.options.help(), "  --help\n",
                                  WrapText("This text.", 6));
  if (!command.examples.empty()) {
    absl::StrAppend(&help, "\nexamples:\n");
    for (absl::string_view line : absl::StrSplit(command.examples, '\n'))
      absl::StrAppend(&help, "  ", program, " ", line, "\n");
  }
  return help;
}

std::string ProgramHelp(absl::string_view program, absl::Span<const Command> commands) {
  std::string help = absl::StrCat("usage: ", program, " COMMAND [--option value ...]\n\n",
                                  "A compiled language model.\n\ncommands:\n");
  for (const Command &command : commands)
    absl::StrAppend(&help, "  ", command.name,
                    std::string(std::max<int>(2, 14 - int(command.name.size())), ' '),
                    command.summary, "\n");
  absl::StrAppend(&help, "  help        This text, or: ", program, " help COMMAND\n\nexamples:\n");
  for (const Command &command : commands)
    absl::StrAppend(&help, "  ", program, " ", command.examples.substr(0, command.examples.find('\n')), "\n");
  absl::StrAppend(&help, "\n",
                  "The environment variable COMPRESSC_ISA (amx, avx512bf16, avx512vnni, avx512, avx2, portable) asks for a "
                  "lower instruction set.\n",
                  "Exit code: 0 done, 1 failed, 2 wrong use, 130 interrupted.\n");
  return help;
}

int RunCommand(absl::string_view program, absl::Span<const Command> commands,
               absl::Span<const std::string> arguments) {
  auto fail = [&](absl::string_view message) {
    std::fprintf(stderr, "%.*s: error: %.*s\n", int(program.size()), program.data(),
                 int(message.size()), message.data());
  };
  if (arguments.empty()) {
    std::fputs(ProgramHelp(program, commands).c_str(), stderr);
    return 2;
  }
  std::string name = arguments[0];
  bool help = name == "help";
  if (isHelp(name) || (help && arguments.size() == 1)) {
    std::fputs(ProgramHelp(program, commands).c_str(), stdout);
    return 0;
  }
  if (help)
    name = arguments[1];
  auto found = std::find_if(commands.begin(), commands.end(),
                            [&](const Command &command) { return command.name == name; });
  if (found == commands.end()) {
    fail(absl::StrCat("unknown command \"", name, "\"; there are ",
                      absl::StrJoin(commands, ", ",
                                    [](std::string *out, const Command &command) {
                                      absl::StrAppend(out, command.name);
                                    }),
                      " and help"));
    return 2;
  }
  if (help || std::any_of(arguments.begin() + 1, arguments.end(), isHelp)) {
    std::fputs(CommandHelp(program, *found).c_str(), stdout);
    return 0;
  }
  if (Status status = found->options.parse(arguments.subspan(1)); !status.ok()) {
    fail(absl::StrCat(status.message(), "; see ", program, " ", name, " --help"));
    return 2;
  }
  Status status = found->options.check();
  if (status.ok())
    status = found->main();
  if (status.ok() && (std::fflush(stdout) != 0 || std::ferror(stdout)))
    status = IOError("standard output could not be written");
  if (status.ok())
    return 0;
  fail(status.message());
  return absl::IsCancelled(status) ? 130 : 1;
}

} // namespace compressc
