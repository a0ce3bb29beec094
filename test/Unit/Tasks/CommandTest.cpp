#include "runtime/tasks/command.h"
#include "absl/flags/declare.h"
#include "absl/flags/flag.h"
#include "absl/flags/reflection.h"
#include "runtime/tasks/commands.h"
#include <algorithm>
#include <gtest/gtest.h>

ABSL_DECLARE_FLAG(int64_t, shots);
ABSL_DECLARE_FLAG(int64_t, per_subject);
ABSL_DECLARE_FLAG(bool, quiet);
ABSL_DECLARE_FLAG(std::string, json);
ABSL_DECLARE_FLAG(std::vector<std::string>, subjects);
ABSL_DECLARE_FLAG(compressc::TextList, stop);
ABSL_DECLARE_FLAG(int64_t, bench_prompt);

namespace compressc {
namespace {

class CommandTest : public testing::Test {
  absl::FlagSaver saver; // flags are global: give each test the defaults
};

std::string failure(const Command &command, std::vector<std::string> arguments) {
  Status status = ParseFlags(command, arguments);
  return status.ok() ? "no error" : std::string(status.message());
}

TEST_F(CommandTest, TakesBothSpellings) {
  EXPECT_EQ(
      failure(MmluCommand(), {"--shots", "3", "--per-subject=7", "--quiet", "--subjects", "a,b"}),
      "no error");
  EXPECT_EQ(absl::GetFlag(FLAGS_shots), 3);
  EXPECT_EQ(absl::GetFlag(FLAGS_per_subject), 7);
  EXPECT_TRUE(absl::GetFlag(FLAGS_quiet));
  EXPECT_EQ(absl::GetFlag(FLAGS_subjects), (std::vector<std::string>{"a", "b"}));
}

TEST_F(CommandTest, RefusesWhatItDoesNotKnow) {
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

TEST_F(CommandTest, JsonOfInfoMayStandAlone) {
  EXPECT_EQ(failure(InfoCommand(), {"--json", "--threads", "1"}), "no error");
  EXPECT_EQ(absl::GetFlag(FLAGS_json), "-");
  EXPECT_EQ(failure(InfoCommand(), {"--json", "file"}), "no error");
  EXPECT_EQ(absl::GetFlag(FLAGS_json), "file");
}

TEST_F(CommandTest, AListTakesEachValue) {
  EXPECT_EQ(failure(GenerateCommand(), {}), "no error");
  EXPECT_TRUE(absl::GetFlag(FLAGS_stop).items.empty());
  EXPECT_EQ(failure(GenerateCommand(), {"--stop", "a,b", "--stop=", "--stop", "\n"}), "no error");
  EXPECT_EQ(absl::GetFlag(FLAGS_stop).items, (std::vector<std::string>{"a,b", "", "\n"}));
}

TEST_F(CommandTest, AnOptionMayHaveAFlagOfAnotherName) {
  EXPECT_EQ(failure(BenchCommand(), {"--prompt", "3"}), "no error");
  EXPECT_EQ(absl::GetFlag(FLAGS_bench_prompt), 3);
  EXPECT_EQ(failure(BenchCommand(), {"--bench-prompt", "3"}), "unknown option --bench-prompt");
}

TEST_F(CommandTest, HelpNamesEveryOptionWithItsDefault) {
  for (const Command &command :
       {MmluCommand(), PerplexityCommand(), GenerateCommand(), BenchCommand(), InfoCommand()}) {
    std::string help = CommandHelp("run", command);
    for (const FlagUse &use : command.flags) {
      std::string name(use.name);
      EXPECT_NE(help.find("  --" + name), std::string::npos) << name;
      if (!use.flag.empty())
        name = std::string(use.flag);
      std::replace(name.begin(), name.end(), '-', '_');
      EXPECT_NE(absl::FindCommandLineFlag(name), nullptr) << name;
    }
    EXPECT_NE(help.find("\nexamples:\n  run "), std::string::npos);
  }
  EXPECT_NE(CommandHelp("run", MmluCommand()).find("0 to 5. (default 5)"), std::string::npos);
}

TEST_F(CommandTest, ExitCodes) {
  Command good = MmluCommand(), bad = InfoCommand(), stopped = GenerateCommand();
  good.main = [] { return absl::OkStatus(); };
  bad.main = [] { return Invalid("no"); };
  stopped.main = []() -> Status { return absl::CancelledError("stop"); };
  std::vector<const Command *> table = {&good, &bad, &stopped};
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
