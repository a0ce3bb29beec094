#include "runtime/tasks/command.h"
#include "runtime/tasks/commands.h"
#include "runtime/tasks/runner.h"
#include "runtime/tasks/tasks.h"
#include <algorithm>
#include <gtest/gtest.h>

namespace compressc {
namespace {

Command MmluCommand() { return TaskCommand(MakeMmlu()); }
Command PerplexityCommand() { return TaskCommand(MakePerplexity()); }

/// Of an option, as text.
std::string valueOf(const Command &command, const char *option) { return command.options.find(option)->text(); }

std::string failure(const Command &command, std::vector<std::string> arguments) {
  Status status = command.options.parse(arguments);
  return status.ok() ? "no error" : std::string(status.message());
}

TEST(CommandTest, TakesBothSpellings) {
  Command command = MmluCommand();
  EXPECT_EQ(failure(command, {"--shots", "3", "--per_subject=7", "--quiet", "--subjects", "a,b"}), "no error");
  EXPECT_EQ(valueOf(command, "shots"), "3");
  EXPECT_EQ(valueOf(command, "per-subject"), "7");
  EXPECT_EQ(valueOf(command, "quiet"), "true");
  EXPECT_EQ(valueOf(command, "subjects"), "a,b");
  EXPECT_EQ(valueOf(MmluCommand(), "shots"), "5"); // options are a command's own
}

TEST(CommandTest, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(failure(MmluCommand(), {"--bogus", "1"}), "unknown option --bogus");
  EXPECT_EQ(failure(PerplexityCommand(), {"--shots", "1"}), "unknown option --shots");
  EXPECT_EQ(failure(MmluCommand(), {"--flagfile=x"}), "unknown option --flagfile");
  EXPECT_EQ(failure(MmluCommand(), {"three"}),
            "unexpected argument \"three\"; options are written --name value");
  EXPECT_EQ(failure(MmluCommand(), {"--shots", "x"}),
            "--shots: \"x\" is not a valid value (wanted N)");
  EXPECT_EQ(failure(MmluCommand(), {"--shots"}), "option --shots needs a value: N");
  EXPECT_EQ(failure(MmluCommand(), {"--quiet=maybe"}), "--quiet: \"maybe\" is not a valid value");
}

TEST(CommandTest, JsonOfInfoMayStandAlone) {
  Command command = InfoCommand();
  EXPECT_EQ(failure(command, {"--json", "--threads", "1"}), "no error");
  EXPECT_EQ(valueOf(command, "json"), "-");
  EXPECT_EQ(failure(command, {"--json", "file"}), "no error");
  EXPECT_EQ(valueOf(command, "json"), "file");
}

TEST(CommandTest, AListTakesEachValue) {
  TextList stops;
  Command command;
  command.options.add("stop", "TEXT", stops, "");
  EXPECT_EQ(failure(command, {}), "no error");
  EXPECT_TRUE(stops.items.empty());
  EXPECT_EQ(failure(command, {"--stop", "a,b", "--stop=", "--stop", "\n"}), "no error");
  EXPECT_EQ(stops.items, (std::vector<std::string>{"a,b", "", "\n"}));
  EXPECT_EQ(failure(GenerateCommand(), {"--stop", "a,b"}), "no error");
}

TEST(CommandTest, CommandsMayHaveOptionsOfOneName) {
  Command bench = BenchCommand(), generate = GenerateCommand();
  EXPECT_EQ(failure(bench, {"--prompt", "3"}), "no error");
  EXPECT_EQ(failure(generate, {"--prompt", "text"}), "no error");
  EXPECT_EQ(valueOf(bench, "prompt"), "3");
  EXPECT_EQ(valueOf(generate, "prompt"), "text");
}

TEST(CommandTest, ChecksWhatIsSet) {
  auto failure = [](std::vector<std::string> arguments) {
    Command command = MmluCommand();
    EXPECT_TRUE(command.options.parse(arguments).ok());
    return std::string(command.options.check().message());
  };
  EXPECT_EQ(failure({}), "");
  EXPECT_EQ(failure({"--shots", "6"}), "--shots must be from 0 to 5, not 6");
  EXPECT_EQ(failure({"--split", "train"}), "--split must be dev, val or test, not \"train\"");
  EXPECT_EQ(failure({"--normalise=all"}), "--normalise must be vocabulary or answers, not \"all\"");
}

TEST(CommandTest, HelpNamesEveryOptionWithItsDefault) {
  for (const Command &command : AllCommands()) {
    std::string help = CommandHelp("run", command);
    EXPECT_FALSE(command.options.all().empty()) << command.name;
    for (const Option &option : command.options.all()) {
      EXPECT_NE(help.find("  --" + option.name), std::string::npos) << option.name;
      EXPECT_FALSE(option.help.empty()) << option.name;
      EXPECT_EQ(command.options.find(option.name), &option) << option.name << " is there twice";
    }
    EXPECT_NE(help.find("\nexamples:\n  run "), std::string::npos);
  }
  EXPECT_NE(CommandHelp("run", MmluCommand()).find("0 to 5. (default 5)"), std::string::npos);
}

TEST(CommandTest, ExitCodes) {
  Command good = MmluCommand(), bad = InfoCommand(), stopped = GenerateCommand();
  good.main = [] { return absl::OkStatus(); };
  bad.main = [] { return Invalid("no"); };
  stopped.main = []() -> Status { return absl::CancelledError("stop"); };
  std::vector<Command> table = {good, bad, stopped};
  auto run = [&](std::vector<std::string> arguments) {
    return RunCommand("run", table, arguments);
  };
  EXPECT_EQ(run({"mmlu"}), 0);
  EXPECT_EQ(run({"info"}), 1);
  EXPECT_EQ(run({"generate"}), 130);
  EXPECT_EQ(run({}), 2);
  EXPECT_EQ(run({"nothing"}), 2);
  EXPECT_EQ(run({"mmlu", "--nothing"}), 2);
  EXPECT_EQ(run({"help"}), 0);
  EXPECT_EQ(run({"--help"}), 0);
  EXPECT_EQ(run({"help", "info"}), 0);
  EXPECT_EQ(run({"info", "--help"}), 0);
}

} // namespace
} // namespace compressc
