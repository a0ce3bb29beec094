#include "runtime/tasks/compare.h"
#include "runtime/tasks/mmlu_data.h"
#include "runtime/tasks/questions.h"
#include <cmath>
#include <gtest/gtest.h>

namespace compressc {
namespace {

QuestionRun makeRun() {
  QuestionRun run;
  run.task = "mmlu";
  run.title = "MMLU, test split, 5-shot";
  run.data = {{"split", "test"}, {"shots", 5}};
  run.hasSubjects = true;
  run.model.name = "toy";
  run.model.weightBytes = 250;
  run.model.originalWeightBytes = 1000;
  run.seconds = 2;
  run.promptTokens = 300;
  run.computedTokens = 200;
  run.answerTokens = {10, 11, 12, 13};
  SubjectGroups groups = SubjectGroups::BuiltIn();
  auto add = [&](int64_t row, const std::string &subject, int gold, int prediction, std::vector<double> logprobs) {
    run.questions.push_back({{row, subject, groups.groupOf(subject), gold}, {prediction}, std::move(logprobs)});
  };
  add(0, "anatomy", 0, 0, {-1, -2, -3, -4});
  add(1, "anatomy", 1, 0, {-1, -2, -3, -4});
  add(7, "astronomy", 2, 2, {-3, -2, -1, -4});
  add(8, "astronomy", 3, 3, {-3, -2, -2, -1});
  add(9, "virology", 0, 1, {-3, -2.5, -3, -4});
  return run;
}

TEST(MmluReport, CsvHasSubjectsGroupsAndOverall) {
  EXPECT_EQ(QuestionsCsv(makeRun()),
            "subject,group,questions,correct,accuracy,stderr\n"
            "anatomy,stem,2,1,0.500000,0.500000\n"
            "astronomy,stem,2,2,1.000000,0.000000\n"
            "virology,other,1,0,0.000000,\n"
            "all,other,1,0,0.000000,\n"
            "all,stem,4,3,0.750000,0.250000\n"
            "all,all,5,3,0.600000,0.223607\n");
}

TEST(MmluReport, JsonHasTheKeysThatComparisonsNeed) {
  std::string text = QuestionsJson(makeRun());
  nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  ASSERT_TRUE(json.is_object()) << text;
  EXPECT_EQ(json["accuracy"], 0.6);
  EXPECT_NEAR(json["accuracy_stderr"].get<double>(), std::sqrt(0.5 / 2 / 5), 1e-12);
  EXPECT_EQ(json["weight_bytes"], 250);
  EXPECT_EQ(json["original_weight_bytes"], 1000);
  EXPECT_EQ(json["gpu_memory_bytes"], 0);
  EXPECT_EQ(json["split"], "test");
  EXPECT_EQ(json["shots"], 5);
  EXPECT_EQ(json["prompt_tokens"], 300);
  EXPECT_EQ(json["computed_tokens"], 200);
  EXPECT_EQ(json["tokenizer"]["answer_tokens"], (std::vector<int>{10, 11, 12, 13}));
  EXPECT_TRUE(json["subjects"]["virology"]["accuracy_stderr"].is_null());
  ASSERT_EQ(json["questions"].size(), 5u);
  EXPECT_EQ(json["questions"][2]["row"], 7);
  EXPECT_EQ(json["questions"][2]["subject"], "astronomy");
  EXPECT_EQ(json["questions"][2]["gold"], 2);
  EXPECT_EQ(json["questions"][4]["prediction"], 1);
  EXPECT_EQ(json["questions"][4]["logprobs"], (std::vector<double>{-3, -2.5, -3, -4}));
}

TEST(MmluReport, SaysWhatGpusDid) {
  QuestionRun run = makeRun();
  run.gpus = {{"a GPU", 3000, {}}, {"a GPU", 2000, DeviceUsage{{87.25, 300}, 9000, 0.1, {{80, 290}, {94.5, 310}}}}};
  nlohmann::json json = nlohmann::json::parse(QuestionsJson(run), nullptr, false);
  EXPECT_EQ(json["gpu_memory_bytes"], 3000);
  EXPECT_EQ(json["gpus"][0].dump(), R"({"allocated_bytes":3000,"name":"a GPU"})");
  nlohmann::json usage = json["gpus"][1]["usage"];
  EXPECT_EQ(usage["utilisation_percent"], 87.3);
  EXPECT_EQ(usage["power_watts"], 300);
  EXPECT_EQ(usage["peak_memory_bytes"], 9000);
  EXPECT_EQ(usage["utilisation_series"], (std::vector<double>{80, 94.5}));
  EXPECT_EQ(usage["power_series"], (std::vector<double>{290, 310}));
  EXPECT_NE(QuestionsTable(run).find("a GPU            87 % busy, 300 W, 0.00 GiB in use at most"), std::string::npos);
}

TEST(MmluReport, JsonIsReadBackByCompare) {
  StatusOr<QuestionsFile> file =
      ParseQuestionsResult(QuestionsJson(makeRun()), "r.json");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->questions.size(), 5u);
  EXPECT_EQ(file->shots, 5);
  EXPECT_EQ(file->questions.at(7).gold, 2);
}

TEST(MmluReport, TableNamesGroupsSizesAndSpeed) {
  std::string table = QuestionsTable(makeRun());
  for (const char *line :
       {"MMLU, test split, 5-shot: toy\n",
        "stem                         4         3     75.00     25.00\n",
        "other                        1         0      0.00         -\n",
        "overall                      5         3     60.00     22.36\n",
        "250 bytes, 1,000 bytes at 16 bits\n",
        "2.0 s: 100.0 computed tokens/s, 150.0 prompt tokens/s, 2.50 questions/s\n"})
    EXPECT_NE(table.find(line), std::string::npos) << line << "in\n" << table;
}

} // namespace
} // namespace compressc
