#include "runtime/tasks/command.h"
#include "absl/flags/commandlineflag.h"
#include "absl/flags/reflection.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include <algorithm>
#include <cstdio>

namespace compressc {
namespace {

constexpr size_t helpWidth = 96;

/// `text` broken at spaces, each line after `indent` spaces.
std::string wrap(absl::string_view text, size_t indent) {
  std::string out, line;
  for (absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    if (!line.empty() && indent + line.size() + 1 + word.size() > helpWidth) {
      absl::StrAppend(&out, std::string(indent, ' '), line, "\n");
      line.clear();
    }
    absl::StrAppend(&line, line.empty() ? "" : " ", word);
  }
  return absl::StrCat(out, std::string(indent, ' '), line, "\n");
}

/// C++ names of flags have underscores, options have hyphens; both are taken.
std::string flagName(absl::string_view option) { return absl::StrReplaceAll(option, {{"-", "_"}}); }

const FlagUse *findFlag(const Command &command, absl::string_view name) {
  for (const FlagUse &flag : command.flags)
    if (flagName(flag.name) == flagName(name))
      return &flag;
  return nullptr;
}

absl::CommandLineFlag *flagOf(const FlagUse &use) {
  return absl::FindCommandLineFlag(use.flag.empty() ? flagName(use.name) : std::string(use.flag));
}

bool isFlag(absl::string_view argument) { return absl::StartsWith(argument, "--"); }

bool isHelp(absl::string_view argument) { return argument == "--help" || argument == "-h"; }

} // namespace

bool AbslParseFlag(absl::string_view text, TextList *list, std::string *error) {
  list->items = absl::StrSplit(text, '\0');
  if (!list->items.back().empty()) {
    *error = "an item has no end";
    return false;
  }
  list->items.pop_back();
  return true;
}

std::string AbslUnparseFlag(const TextList &list) {
  std::string text;
  for (const std::string &item : list.items)
    text.append(item).push_back('\0');
  return text;
}

bool AsksForHelp(absl::Span<const std::string> arguments) {
  return std::any_of(arguments.begin(), arguments.end(), isHelp);
}

Status ParseFlags(const Command &command, absl::Span<const std::string> arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    absl::string_view argument = arguments[i];
    if (!isFlag(argument) || argument.size() == 2)
      return Invalid("unexpected argument \"", argument, "\"; options are written --name value");
    size_t equals = argument.find('=');
    absl::string_view name =
        argument.substr(2, equals == absl::string_view::npos ? equals : equals - 2);
    const FlagUse *use = findFlag(command, name);
    absl::CommandLineFlag *flag = use ? flagOf(*use) : nullptr;
    if (!flag)
      return Invalid("unknown option --", name);
    std::string value;
    if (equals != absl::string_view::npos)
      value = std::string(argument.substr(equals + 1));
    else if (flag->IsOfType<bool>())
      value = "true";
    else if (!use->bare.empty() && (i + 1 == arguments.size() || isFlag(arguments[i + 1])))
      value = std::string(use->bare);
    else if (i + 1 < arguments.size())
      value = arguments[++i];
    else
      return Invalid("option --", name, " needs a value: ", use->value);
    std::string error;
    std::string text = value;
    if (flag->IsOfType<TextList>())
      text = absl::StrCat(flag->CurrentValue(), value, absl::string_view("\0", 1));
    if (!flag->ParseFrom(text, &error))
      return Invalid("--", name, ": \"", value, "\" is not a valid value",
                     use->value.empty() ? "" : absl::StrCat(" (wanted ", use->value, ")"));
  }
  return absl::OkStatus();
}

std::string CommandHelp(absl::string_view program, const Command &command) {
  std::string help = absl::StrCat("usage: ", program, " ", command.name,
                                  command.flags.empty() ? "" : " [--option value ...]", "\n\n",
                                  wrap(command.details, 2));
  if (!command.flags.empty())
    absl::StrAppend(&help, "\noptions:\n");
  for (const FlagUse &use : command.flags) {
    std::string text(use.help);
    absl::CommandLineFlag *flag = flagOf(use);
    if (flag && !use.value.empty() && !flag->DefaultValue().empty())
      absl::StrAppend(&text, " (default ", flag->DefaultValue(), ")");
    absl::StrAppend(&help, "  --", use.name, use.value.empty() ? "" : " ", use.value, "\n",
                    wrap(text, 6));
  }
  absl::StrAppend(&help, "  --help\n", wrap("This text.", 6));
  if (!command.examples.empty()) {
    absl::StrAppend(&help, "\nexamples:\n");
    for (absl::string_view line : absl::StrSplit(command.examples, '\n'))
      absl::StrAppend(&help, "  ", program, " ", line, "\n");
  }
  return help;
}

std::string ProgramHelp(absl::string_view program, absl::Span<const Command *const> commands) {
  std::string help = absl::StrCat("usage: ", program, " COMMAND [--option value ...]\n\n",
                                  "A compiled language model.\n\ncommands:\n");
  for (const Command *command : commands)
    absl::StrAppend(&help, "  ", command->name,
                    std::string(std::max<int>(2, 14 - int(command->name.size())), ' '),
                    command->summary, "\n");
  absl::StrAppend(&help, "  help        This text, or: ", program, " help COMMAND\n\n",
                  "The environment variable COMPRESSC_ISA (amx, avx512bf16, avx512vnni, avx512, avx2, portable) asks for a "
                  "lower instruction set.\n",
                  "Exit code: 0 done, 1 failed, 2 wrong use, 130 interrupted.\n");
  return help;
}

int RunCommand(absl::string_view program, absl::Span<const Command *const> commands,
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
                            [&](const Command *command) { return command->name == name; });
  if (found == commands.end()) {
    fail(absl::StrCat("unknown command \"", name, "\"; there are ",
                      absl::StrJoin(commands, ", ",
                                    [](std::string *out, const Command *command) {
                                      absl::StrAppend(out, command->name);
                                    }),
                      " and help"));
    return 2;
  }
  const Command &command = **found;
  if (help || AsksForHelp(arguments.subspan(1))) {
    std::fputs(CommandHelp(program, command).c_str(), stdout);
    return 0;
  }
  if (Status status = ParseFlags(command, arguments.subspan(1)); !status.ok()) {
    fail(absl::StrCat(status.message(), "; see ", program, " ", name, " --help"));
    return 2;
  }
  Status status = command.main();
  if (status.ok() && (std::fflush(stdout) != 0 || std::ferror(stdout)))
    status = IOError("standard output could not be written");
  if (status.ok())
    return 0;
  fail(status.message());
  return absl::IsCancelled(status) ? 130 : 1;
}

} // namespace compressc
