#include "runtime/tasks/compare.h"
#include "../../TemporaryDirectory.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace compressc {
namespace {

/// `right` of `total` questions are right, in rows from 0; all in one subject.
QuestionsFile makeFile(int64_t total, int64_t right, int64_t bytes) {
  QuestionsFile file;
  file.file = "x.json";
  file.split = "test";
  file.weightBytes = bytes;
  file.originalWeightBytes = 1000;
  for (int64_t row = 0; row < total; ++row)
    file.questions[row] = {"s", int(row % 4), int((row + (row >= right)) % 4)};
  return file;
}

TEST(Compare, MeasuresSizeAccuracyAgreementAndScore) {
  StatusOr<Comparison> result = CompareResults(makeFile(100, 80, 1000), makeFile(100, 72, 250));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->questions, 100);
  EXPECT_EQ(result->base.total().correct, 80);
  EXPECT_EQ(result->compressed.total().correct, 72);
  EXPECT_EQ(result->agree, 92);
  EXPECT_EQ(result->onlyBaseRight, 8);
  EXPECT_EQ(result->onlyNewRight, 0);
  EXPECT_NEAR(result->mcNemar, 2.0 / 256, 1e-12);
  EXPECT_EQ(result->ratio, 4);
  ASSERT_TRUE(result->score.has_value());
  EXPECT_NEAR(*result->score, 4 / 1.1, 1e-12);
  EXPECT_FALSE(result->baseAtChance);
  EXPECT_FALSE(result->newAtChance);
  EXPECT_TRUE(result->warnings.empty());
}

TEST(Compare, KnowsChance) {
  // One standard error of 30 % over 100 questions is 4.6 %: within two of 25 %.
  StatusOr<Comparison> result = CompareResults(makeFile(100, 40, 1000), makeFile(100, 30, 250));
  ASSERT_TRUE(result.ok());
  EXPECT_FALSE(result->baseAtChance);
  EXPECT_TRUE(result->newAtChance);
}

TEST(Compare, ComparesCommonRowsAndWarns) {
  QuestionsFile base = makeFile(10, 10, 1000), compressed = makeFile(10, 10, 500);
  base.questions.erase(3);
  compressed.questions.erase(4);
  compressed.questions.erase(5);
  compressed.shots = 5;
  compressed.originalWeightBytes = 999;
  StatusOr<Comparison> result = CompareResults(base, compressed);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->questions, 7);
  EXPECT_EQ(result->onlyInBase, 2);
  EXPECT_EQ(result->onlyInNew, 1);
  EXPECT_EQ(result->warnings,
            (std::vector<std::string>{
                "the prompts differ: 0-shot against 5-shot",
                "the original sizes differ (1000 and 999 bytes): this may be another model; the "
                "first file's is used",
                "the question sets differ: only the 7 common questions are compared (2 are only in "
                "the first file, 1 only in the second)"}));
}

TEST(Compare, ScoreIsUndefinedWhereItsFormulaIs) {
  EXPECT_FALSE(CompareResults(makeFile(10, 0, 1000), makeFile(10, 5, 500))->score.has_value());
  EXPECT_FALSE(CompareResults(makeFile(10, 5, 1000), makeFile(10, 10, 500))->score.has_value());
  EXPECT_TRUE(CompareResults(makeFile(10, 5, 1000), makeFile(10, 0, 500))->score.has_value());
}

TEST(Compare, RefusesOtherQuestions) {
  QuestionsFile base = makeFile(10, 5, 1000), compressed = makeFile(10, 5, 500);
  compressed.questions[2].gold = 0;
  EXPECT_EQ(CompareResults(base, compressed).status().message(),
            "row 2 is another question in x.json than in x.json: the data files differ");
  compressed = makeFile(10, 5, 500);
  compressed.split = "val";
  EXPECT_FALSE(CompareResults(base, compressed).ok());
  compressed = makeFile(10, 5, 0);
  EXPECT_FALSE(CompareResults(base, compressed).ok());
  compressed = makeFile(0, 0, 500);
  EXPECT_EQ(CompareResults(base, compressed).status().message(),
            "x.json and x.json have no question in common");
}

nlohmann::json goodResult() {
  return {{"task", "mmlu"},
          {"split", "test"},
          {"shots", 5},
          {"weight_bytes", 250},
          {"original_weight_bytes", 1000},
          {"questions", {{{"row", 0}, {"subject", "s"}, {"gold", 1}, {"prediction", 1}}}}};
}

std::string failure(const nlohmann::json &json) {
  StatusOr<QuestionsFile> file = ParseQuestionsResult(json.dump(), "r.json");
  return file.ok() ? "no error" : std::string(file.status().message());
}

TEST(CompareFiles, RefusesHostileResults) {
  EXPECT_EQ(failure(goodResult()), "no error");
  EXPECT_EQ(ParseQuestionsResult("{\"a\":", "r.json").status().message(), "r.json: is not valid JSON");
  EXPECT_EQ(failure(nlohmann::json::array()), "r.json: is not the result of `run mmlu --json`");
  nlohmann::json json = goodResult();
  json["task"] = "perplexity";
  EXPECT_EQ(failure(json), "r.json: is not the result of `run mmlu --json` but of another task");
  for (const nlohmann::json &value :
       {nlohmann::json("x"), nlohmann::json(-1), nlohmann::json(1e300), nlohmann::json(UINT64_MAX),
        nlohmann::json(nullptr)}) {
    json = goodResult();
    json["weight_bytes"] = value;
    EXPECT_EQ(failure(json),
              "r.json: \"weight_bytes\" must be an integer from 0 to 9007199254740992");
    json = goodResult();
    json["questions"][0]["gold"] = value;
    EXPECT_EQ(failure(json), "r.json: questions[0]: \"gold\" must be an integer from 0 to 3");
  }
  json = goodResult();
  json["questions"].push_back(json["questions"][0]);
  EXPECT_EQ(failure(json), "r.json: questions[1]: row 0 occurs twice");
  json["questions"] = nlohmann::json::array({5});
  EXPECT_EQ(failure(json), "r.json: questions[0] must be an object");
  json["questions"] = "none";
  EXPECT_EQ(failure(json), "r.json: \"questions\" must be an array");
  json["questions"] = nlohmann::json::array();
  EXPECT_EQ(failure(json), "r.json: holds no questions");
}

TEST(CompareFiles, ChecksPerplexity) {
  auto message = [](const char *text) {
    return std::string(ParsePerplexityResult(text, "p.json").status().message());
  };
  StatusOr<PerplexityResultFile> good =
      ParsePerplexityResult(R"({"perplexity":36.5,"windows":16,"context":512})", "p.json");
  ASSERT_TRUE(good.ok());
  EXPECT_EQ(good->perplexity, 36.5);
  for (const char *bad : {R"({"perplexity":null,"windows":1,"context":2})",
                          R"({"perplexity":0.5,"windows":1,"context":2})", "{}"})
    EXPECT_EQ(message(bad), "p.json: \"perplexity\" must be a number of at least 1");
}

TEST(CompareMain, WritesJsonAndRefusesWrongUse) {
  TemporaryDirectory directory;
  std::string base = directory.write("base.json", goodResult().dump());
  std::string perplexity =
      directory.write("p.json", R"({"perplexity":10,"windows":1,"context":8})");
  std::string worse = directory.write("q.json", R"({"perplexity":11,"windows":1,"context":8})");
  std::string out = directory.path + "/out.json";
  EXPECT_EQ(CompareMain({base, base, "--perplexity", perplexity, worse, "--json", out}), 0);
  std::ifstream file(out);
  nlohmann::json json = nlohmann::json::parse(file, nullptr, false);
  ASSERT_TRUE(json.is_object());
  EXPECT_EQ(json["ratio"], 4.0);
  EXPECT_EQ(json["score"], 4.0);
  EXPECT_NEAR(json["perplexity"]["relative_change"].get<double>(), 0.1, 1e-12);
  EXPECT_EQ(CompareMain({base}), 2);
  EXPECT_EQ(CompareMain({base, base, "--wrong"}), 2);
  EXPECT_EQ(CompareMain({base, base, "--perplexity", base}), 2);
  EXPECT_EQ(CompareMain({base, directory.path + "/absent.json"}), 1);
  EXPECT_EQ(CompareMain({base, worse}), 1);
}

} // namespace
} // namespace compressc
