#include "../../TemporaryDirectory.h"
#include "runtime/tasks/mmlu_data.h"
#include <gtest/gtest.h>
#include <zlib.h>

namespace compressc {
namespace {

const std::string good =
    R"({"subject":"s_t","question":" Q? ","choices":["a","b ","None",""],"answer":2})";

std::string lineFailure(const std::string &line) {
  StatusOr<std::vector<Question>> questions = ParseQuestionLines(good + "\n" + line + "\n", "f");
  return questions.ok() ? "no error" : std::string(questions.status().message());
}

TEST(MmluData, ReadsLinesAsStored) {
  StatusOr<std::vector<Question>> questions = ParseQuestionLines(good + "\n\n" + good, "f");
  ASSERT_TRUE(questions.ok()) << questions.status();
  ASSERT_EQ(questions->size(), 2u);
  const Question &question = (*questions)[1];
  EXPECT_EQ(question.subject, "s_t");
  EXPECT_EQ(question.text, " Q? ");
  EXPECT_EQ(question.choices, (std::array<std::string, 4>{"a", "b ", "None", ""}));
  EXPECT_EQ(question.answer, 2);
  EXPECT_EQ(question.row, 1);
}

TEST(MmluData, RefusesHostileLines) {
  auto line = [](const std::string &subject, const std::string &question,
                 const std::string &choices, const std::string &answer) {
    return R"({"subject":)" + subject + R"(,"question":)" + question + R"(,"choices":)" + choices +
           R"(,"answer":)" + answer + "}";
  };
  const std::string four = R"(["a","b","c","d"])";
  EXPECT_EQ(lineFailure(line(R"("s")", R"("q")", four, "3")), "no error");
  for (const char *answer : {"4", "-1", "1.0", "\"A\"", "null", "true", "18446744073709551615"})
    EXPECT_EQ(lineFailure(line(R"("s")", R"("q")", four, answer)),
              "f:2: \"answer\" must be an integer from 0 to 3")
        << answer;
  for (const char *choices : {"[]", R"(["a","b","c"])", R"(["a","b","c","d","e"])", "{}",
                              "\"abcd\"", R"(["a","b","c",4])"})
    EXPECT_EQ(lineFailure(line(R"("s")", R"("q")", choices, "0")),
              "f:2: \"choices\" must be an array of 4 strings")
        << choices;
  EXPECT_EQ(lineFailure(line("7", R"("q")", four, "0")), "f:2: \"subject\" must be a string");
  EXPECT_EQ(lineFailure(line(R"("")", R"("q")", four, "0")),
            "f:2: \"subject\" must have 1 to 200 bytes");
  EXPECT_EQ(lineFailure(line(R"("a\u001b[31m")", R"("q")", four, "0")),
            "f:2: \"subject\" holds a control character");
  EXPECT_EQ(lineFailure(line(R"("s")", "[1]", four, "0")), "f:2: \"question\" must be a string");
  EXPECT_EQ(lineFailure(line(R"("s")", "\"\xC3\x28\"", four, "0")), "f:2: not valid JSON in UTF-8");
  EXPECT_EQ(lineFailure("[1,2]"),
            "f:2: must be an object with subject, question, choices and answer");
  EXPECT_EQ(lineFailure("{\"subject\":"), "f:2: not valid JSON in UTF-8");
  EXPECT_EQ(lineFailure(std::string(100000, '[')), "f:2: not valid JSON in UTF-8");
  EXPECT_EQ(lineFailure(std::string((1 << 20) + 1, 'x')),
            "f:2: the line is longer than 1048576 bytes");
}

TEST(MmluData, ReadsHendrycksCsv) {
  StatusOr<std::vector<Question>> questions =
      ParseQuestionCsv("\"Q, 1\nmore\",a,\"b\"\"\",c,d,B\r\nQ2,1,2,3,4,D\n", "f", "law");
  ASSERT_TRUE(questions.ok()) << questions.status();
  ASSERT_EQ(questions->size(), 2u);
  EXPECT_EQ((*questions)[0].text, "Q, 1\nmore");
  EXPECT_EQ((*questions)[0].choices[1], "b\"");
  EXPECT_EQ((*questions)[0].answer, 1);
  EXPECT_EQ((*questions)[1].answer, 3);
}

TEST(MmluData, RefusesBadCsv) {
  auto failure = [](const std::string &text) {
    return std::string(ParseQuestionCsv(text, "f.csv", "law").status().message());
  };
  EXPECT_EQ(failure("q,a,b,c,d,A\nq,a,b,c,A\n"),
            "f.csv:2: has 5 fields, wanted 6 (question, four choices, answer letter)");
  EXPECT_EQ(failure("q,a,b,c,d,E\n"), "f.csv:1: the answer must be one of the letters A to D");
  EXPECT_EQ(failure("q,a,b,c,d,AB\n"), "f.csv:1: the answer must be one of the letters A to D");
}

TEST(MmluData, LoadsADirectoryOfCsvFilesInTheOrderOfSubjects) {
  TemporaryDirectory directory;
  directory.write("test/zoo_test.csv", "z,a,b,c,d,A\n");
  directory.write("test/art_test.csv", "x,a,b,c,d,B\ny,a,b,c,d,C\n");
  directory.write("test/readme.txt", "no questions");
  EXPECT_TRUE(HasQuestions(directory.path, "test"));
  EXPECT_FALSE(HasQuestions(directory.path, "dev"));
  StatusOr<std::vector<Question>> questions = LoadQuestions(directory.path, "test");
  ASSERT_TRUE(questions.ok()) << questions.status();
  ASSERT_EQ(questions->size(), 3u);
  EXPECT_EQ((*questions)[0].subject, "art");
  EXPECT_EQ((*questions)[2].subject, "zoo");
  EXPECT_EQ((*questions)[2].row, 2);
}

TEST(MmluData, ReadsGzipAndRefusesATruncatedOne) {
  std::string lines;
  for (int i = 0; i < 50; ++i)
    lines += good + "\n";
  TemporaryDirectory directory;
  std::string path = directory.path + "/mmlu_val.jsonl.gz";
  gzFile file = gzopen(path.c_str(), "wb");
  ASSERT_NE(file, nullptr);
  ASSERT_EQ(gzwrite(file, lines.data(), unsigned(lines.size())), int(lines.size()));
  ASSERT_EQ(gzclose(file), Z_OK);
  StatusOr<std::vector<Question>> questions = LoadQuestions(directory.path, "val");
  ASSERT_TRUE(questions.ok()) << questions.status();
  EXPECT_EQ(questions->size(), 50u);

  std::error_code error;
  std::filesystem::resize_file(path, std::filesystem::file_size(path, error) / 2, error);
  ASSERT_FALSE(error);
  questions = LoadQuestions(directory.path, "val");
  ASSERT_FALSE(questions.ok());
  EXPECT_NE(questions.status().message().find("mmlu_val.jsonl.gz"), absl::string_view::npos)
      << questions.status();
}

TEST(MmluData, SaysWhatIsMissing) {
  TemporaryDirectory directory;
  EXPECT_EQ(LoadQuestions(directory.path, "dev").status().message(),
            directory.path +
                ": holds neither mmlu_dev.jsonl[.gz] nor dev/SUBJECT_dev.csv; pass the "
                "right folder with --data");
  directory.write("mmlu_dev.jsonl", "\n");
  EXPECT_EQ(LoadQuestions(directory.path, "dev").status().message(),
            directory.path + ": the dev split holds no questions");
}

TEST(SubjectGroups, BuiltInTableIsThatOfTheHarness) {
  SubjectGroups groups = SubjectGroups::BuiltIn();
  EXPECT_EQ(groups.groupOf("anatomy"), "stem");
  EXPECT_EQ(groups.groupOf("professional_law"), "humanities");
  EXPECT_EQ(groups.groupOf("sociology"), "social_sciences");
  EXPECT_EQ(groups.groupOf("virology"), "other");
  EXPECT_TRUE(groups.lists("virology"));
  EXPECT_EQ(groups.groupOf("cookery"), "other");
  EXPECT_FALSE(groups.lists("cookery"));
}

TEST(SubjectGroups, ReadsTheTableOfADataFolder) {
  StatusOr<SubjectGroups> groups =
      SubjectGroups::Parse("n,subject,group_lm_eval\n1,cookery,\"home, garden\"\n", "g.csv");
  ASSERT_TRUE(groups.ok()) << groups.status();
  EXPECT_EQ(groups->groupOf("cookery"), "home, garden");
  auto failure = [](const char *text) {
    return std::string(SubjectGroups::Parse(text, "g.csv").status().message());
  };
  EXPECT_EQ(failure(""), "g.csv: is empty, wanted a header with subject and group_lm_eval");
  EXPECT_EQ(failure("subject,group\n"),
            "g.csv:1: the header must name the columns subject and group_lm_eval");
  EXPECT_EQ(failure("subject,group_lm_eval\na\n"), "g.csv:2: has 1 fields, the header has 2");
  EXPECT_EQ(failure("subject,group_lm_eval\na,\n"), "g.csv:2: group_lm_eval must be a plain name");
}

TEST(OwnQuestions, AreComplete) {
  std::string folder = std::string(COMPRESSC_TEST_DIR) + "/Inputs/questions";
  StatusOr<SubjectGroups> groups = SubjectGroups::Load(folder);
  ASSERT_TRUE(groups.ok()) << groups.status();
  for (auto [split, count] : {std::pair("dev", 5), std::pair("test", 10)}) {
    StatusOr<std::vector<Question>> questions = LoadQuestions(folder, split);
    ASSERT_TRUE(questions.ok()) << questions.status();
    std::map<std::string, int> counts;
    for (const Question &question : *questions) {
      ++counts[question.subject];
      EXPECT_TRUE(groups->lists(question.subject)) << question.subject;
    }
    ASSERT_EQ(counts.size(), 4u);
    for (const auto &[subject, found] : counts)
      EXPECT_EQ(found, count) << subject;
  }
}

} // namespace
} // namespace compressc
