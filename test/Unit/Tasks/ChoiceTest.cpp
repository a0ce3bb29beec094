#include "SmallTokenizer.h"
#include "TaskRun.h"
#include "runtime/tasks/compare.h"
#include <cmath>
#include <gtest/gtest.h>

namespace compressc {
namespace {

ModelInfo makeInfo(int64_t contextLength = 100) {
  ModelInfo info;
  info.name = "toy";
  info.vocabularySize = 120;
  info.contextLength = contextLength;
  info.weightBytes = 250;
  info.originalWeightBytes = 1000;
  return info;
}

/// Every token's log-probability is minus its id.
Status scoreById(const std::vector<Request> &requests, const Targets &targets, const ScoreCallback &onScore,
                 const std::function<void(const PlannedBatch &)> &) {
  for (size_t r = requests.size(); r-- > 0;)
    for (int32_t position : requests[r].wanted)
      COMPRESSC_RETURN_IF_ERROR(onScore(int32_t(r), position, {-double(targets.tokens(int32_t(r), position)[0])}));
  return absl::OkStatus();
}

StatusOr<TaskRun> choose(const std::string &lines, std::vector<std::string> arguments = {},
                         const ModelInfo &info = makeInfo()) {
  TemporaryDirectory directory;
  arguments.push_back("--data=" + directory.write("q.jsonl", lines));
  return RunTask(*MakeChoice(), arguments, *MakeSmallTokenizer(), info, scoreById);
}

std::string failure(const std::string &lines, std::vector<std::string> arguments = {}, int64_t contextLength = 100) {
  std::string message(choose(lines, std::move(arguments), makeInfo(contextLength)).status().message());
  return message.substr(message.rfind("q.jsonl") == std::string::npos ? 0 : message.rfind("q.jsonl"));
}

std::string line(const std::string &continuations, const std::string &gold, const std::string &more = "") {
  return R"({"context":"ab","continuations":)" + continuations + R"(,"gold":)" + gold + more + "}\n";
}

TEST(Choice, SplitsTokensAsTheHarnessDoes) {
  // Ids: one of each character from '!' on; "Ġ" 94, " A" 96.
  StatusOr<TaskRun> run =
      choose(R"({"context":"ab \n","continuations":["A","cd"],"gold":1})" "\n" R"({"context":"a","continuations":[" A"," B","b"],"gold":0})");
  ASSERT_TRUE(run.ok()) << run.status();
  const Work &work = run->work;
  ASSERT_EQ(work.requests.size(), 5u);
  EXPECT_EQ(work.items, (std::vector<size_t>{0, 0, 1, 1, 1}));
  int a = 'a' - '!';
  // The space and the line end belong to the continuation.
  EXPECT_EQ(work.requests[0].tokens, (std::vector<int32_t>{a, a + 1, 94, 95}));
  EXPECT_EQ(work.requests[0].wanted, (std::vector<int32_t>{1, 2, 3}));
  EXPECT_EQ(work.targets[0], (std::vector<int32_t>{94, 95, 'A' - '!'}));
  EXPECT_EQ(work.targets[1], (std::vector<int32_t>{94, 95, a + 2, a + 3}));
  EXPECT_EQ(work.requests[2].tokens, std::vector<int32_t>{a});
  EXPECT_EQ(work.targets[2], std::vector<int32_t>{96});
  EXPECT_EQ(work.targets[3], std::vector<int32_t>{97});
  EXPECT_EQ(work.targets[4], std::vector<int32_t>{a + 1});
}

TEST(Choice, PredictsByTheSumAndByTheSumPerByte) {
  // "!" scores 0, "\"" -1, "#" -2, "$" -3, "%" -4.
  StatusOr<TaskRun> run = choose(line(R"(["$","\"\"\"\""])", "0", R"(,"group":"x")") +          // -3; -4 of 4 bytes
                                 line(R"(["%","\"\"","#","$","!%"])", "1", R"(,"group":"x")") + // -2 of 2 bytes
                                 line(R"(["!","\""])", "1", R"(,"group":"y")"));
  ASSERT_TRUE(run.ok()) << run.status();
  const nlohmann::json &json = run->json, &questions = json["questions"];
  EXPECT_EQ(questions[0].dump(), R"({"gold":0,"group":"x","logprobs":[-3.0,-4.0],"prediction":0,"prediction_norm":1,"row":0})");
  EXPECT_EQ(questions[1]["logprobs"], (std::vector<double>{-4, -2, -2, -3, -4}));
  EXPECT_EQ(questions[1]["prediction"], 1);
  EXPECT_EQ(questions[1]["prediction_norm"], 1);
  EXPECT_EQ(questions[2]["prediction"], 0);
  EXPECT_NEAR(json["accuracy"].get<double>(), 2.0 / 3, 1e-12);
  EXPECT_NEAR(json["accuracy_norm"].get<double>(), 1.0 / 3, 1e-12);
  EXPECT_EQ(json["groups"]["x"]["questions"], 2);
  EXPECT_EQ(json["groups"]["x"]["accuracy"], 1.0);
  EXPECT_EQ(json["groups"]["x"]["accuracy_norm"], 0.5);
  EXPECT_EQ(json["groups"]["x"]["accuracy_norm_stderr"], 0.5);
  EXPECT_TRUE(json["groups"]["y"]["accuracy_stderr"].is_null());
  EXPECT_FALSE(json.contains("subjects"));
  EXPECT_EQ(run->results.csv, "group,questions,correct,accuracy,stderr,correct_norm,accuracy_norm,stderr_norm\n"
                              "x,2,2,1.000000,0.000000,1,0.500000,0.500000\n"
                              "y,1,0,0.000000,,0,0.000000,\n"
                              "all,3,2,0.666667,0.000000,1,0.333333,0.408248\n");
  EXPECT_NE(run->results.table.find("overall                      3         2     66.67      0.00"), std::string::npos)
      << run->results.table;
}

TEST(Choice, NeedsNoGroups) {
  StatusOr<TaskRun> run = choose(line(R"(["!","\""])", "0") + line(R"(["!","\""])", "1"));
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_FALSE(run->json.contains("groups"));
  EXPECT_FALSE(run->json["questions"][0].contains("group"));
  EXPECT_EQ(run->json["accuracy"], 0.5);
  EXPECT_EQ(run->json["accuracy_stderr"], 0.5);
  EXPECT_EQ(choose(line(R"(["!","\""])", "0") + line(R"(["!","\""])", "1"), {"--rows=1"})->json["accuracy"], 0);
}

TEST(Choice, CutsLongContextsOnTheLeft) {
  StatusOr<TaskRun> run = choose(R"({"context":"abcdef","continuations":["gh","ij"],"gold":1})", {}, makeInfo(3));
  ASSERT_TRUE(run.ok()) << run.status();
  int a = 'a' - '!';
  EXPECT_EQ(run->work.requests[0].tokens, (std::vector<int32_t>{a + 4, a + 5, a + 6}));
  EXPECT_EQ(run->work.requests[0].wanted, (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(run->work.truncated, 2);
  EXPECT_EQ(failure(line(R"(["cdef","c"])", "0"), {}, 3),
            "q.jsonl:1: a continuation has 4 tokens, more than the context of 3");
}

TEST(Choice, RefusesHostileLines) {
  const std::string two = R"(["c","d"])";
  EXPECT_EQ(failure(line(two, "1")), "");
  for (const char *gold : {"2", "-1", "1.0", "\"A\"", "null", "true", "18446744073709551615"})
    EXPECT_EQ(failure("\n" + line(two, gold)), "q.jsonl:2: \"gold\" must be an integer from 0 to 1") << gold;
  for (const char *continuations : {"[]", R"(["c"])", R"(["c",""])", R"(["c",1])", "{}", "\"cd\""})
    EXPECT_EQ(failure(line(continuations, "0")),
              "q.jsonl:1: \"continuations\" must be an array of 2 to 1000 strings that are not empty")
        << continuations;
  EXPECT_EQ(failure(line(two, "0", R"(,"group":7)")),
            "q.jsonl:1: \"group\" must be a string of at most 200 bytes without control characters");
  EXPECT_EQ(failure(R"({"context":1,"continuations":["c","d"],"gold":0})"), "q.jsonl:1: \"context\" must be a string");
  EXPECT_EQ(failure(R"({"context":" ","continuations":["c","d"],"gold":0})"),
            "q.jsonl:1: \"context\" gives no token to go on from");
  EXPECT_EQ(failure("[1]"), "q.jsonl:1: must be an object with context, continuations and gold");
  EXPECT_EQ(failure("{"), "q.jsonl:1: not valid JSON in UTF-8");
  EXPECT_EQ(failure("\n\n"), "q.jsonl: holds no questions");
  // "ab" + " " is followed by what merges into one token with it.
  EXPECT_EQ(failure(R"({"context":"Ġ","continuations":["c","d"],"gold":0})").substr(0, 9), "q.jsonl:1");
}

TEST(Choice, IsComparedByBothPredictions) {
  std::string lines = line(R"(["$","\"\"\"\""])", "0", R"(,"group":"x")") + line(R"(["!","\""])", "1");
  std::string text = choose(lines)->results.json;
  StatusOr<QuestionsFile> file = ParseQuestionsResult(text, "r.json");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->task, "choice");
  EXPECT_EQ(file->questions.at(0).subject, "x");
  EXPECT_EQ(file->questions.at(0).normalised, 1);
  EXPECT_EQ(file->questions.at(1).choices, 2);
  StatusOr<Comparison> same = CompareResults(*file, *file);
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_EQ(same->chance, 0.5);
  EXPECT_EQ(same->agree, 2);
  QuestionsFile other = *file;
  other.digest = "0";
  EXPECT_EQ(CompareResults(*file, other).status().message(), "r.json and r.json ask questions of different data files");
  other = *file;
  other.task = "mmlu";
  EXPECT_EQ(CompareResults(*file, other).status().message(),
            "r.json is of the task choice and r.json of mmlu: compare results of one task");
  TemporaryDirectory directory;
  std::string path = directory.write("r.json", text), out = directory.path + "/out.json";
  std::string kl = directory.write("kl.json", R"({"task":"kl","kl_mean":0.5,"kl_p99":1,"kl_worst":2,"top1_agreement":0.75,
                                                  "base_perplexity":3,"perplexity":4})");
  EXPECT_EQ(CompareMain({path, path, "--kl", kl, "--json", out}), 0);
  std::ifstream stream(out);
  nlohmann::json json = nlohmann::json::parse(stream, nullptr, false);
  EXPECT_EQ(json["normalised"]["base"]["correct"], 0);
  EXPECT_EQ(json["base"]["correct"], 1);
  EXPECT_EQ(json["kl"]["mean"], 0.5);
  EXPECT_EQ(CompareMain({path, path, "--kl", path}), 1);
}

} // namespace
} // namespace compressc
