#include "runtime/tasks/selection.h"
#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>

namespace compressc {
namespace {

std::vector<QuestionRow> makeQuestions() {
  std::vector<QuestionRow> questions;
  for (int i = 0; i < 30; ++i) {
    QuestionRow question;
    question.subject = i < 10 ? "a" : i < 20 ? "b" : "c";
    question.row = i;
    questions.push_back(question);
  }
  return questions;
}

std::vector<int64_t> rowsOf(const Selection &selection) {
  StatusOr<std::vector<QuestionRow>> chosen = SelectQuestions(makeQuestions(), selection);
  EXPECT_TRUE(chosen.ok()) << chosen.status();
  std::vector<int64_t> rows;
  if (chosen.ok())
    for (const QuestionRow &question : *chosen)
      rows.push_back(question.row);
  return rows;
}

TEST(QuestionSample, FollowsTheWrittenRule) {
  // Steps of the shuffle written out, from the generator's published numbers for this seed.
  std::vector<int64_t> places = {0, 1, 2, 3, 4};
  std::swap(places[0], places[6457827717110365317u % 5]);
  std::swap(places[1], places[1 + 3203168211198807973u % 4]);
  std::swap(places[2], places[2 + 9817491932198370423u % 3]);
  std::vector<int64_t> wanted(places.begin(), places.begin() + 3);
  std::sort(wanted.begin(), wanted.end());
  EXPECT_EQ(SampleIndices(5, 3, 1234567), wanted);
}

TEST(QuestionSample, IsAscendingWithoutRepetitionAndDependsOnTheSeed) {
  std::vector<int64_t> sample = SampleIndices(1000, 200, 1);
  ASSERT_EQ(sample.size(), 200u);
  for (size_t i = 1; i < sample.size(); ++i)
    EXPECT_LT(sample[i - 1], sample[i]);
  EXPECT_EQ(sample, SampleIndices(1000, 200, 1));
  EXPECT_NE(sample, SampleIndices(1000, 200, 2));
  EXPECT_EQ(SampleIndices(3, 9, 5), (std::vector<int64_t>{0, 1, 2}));
}

TEST(Selection, AppliesEachField) {
  EXPECT_EQ(rowsOf({}).size(), 30u);
  EXPECT_EQ(rowsOf({.rows = {25, 3, 3}}), (std::vector<int64_t>{3, 25}));
  EXPECT_EQ(rowsOf({.subjects = {"b"}, .limit = 2}), (std::vector<int64_t>{10, 11}));
  EXPECT_EQ(rowsOf({.perSubject = 1}), (std::vector<int64_t>{0, 10, 20}));
  EXPECT_EQ(rowsOf({.perSubject = 2, .limit = 3}), (std::vector<int64_t>{0, 1, 10}));
  EXPECT_EQ(rowsOf({.fraction = 0.25, .seed = 4}), SampleIndices(30, 8, 4));
  EXPECT_EQ(rowsOf({.fraction = 0.001}).size(), 1u);
}

TEST(Selection, SaysWhatIsWrong) {
  auto failure = [](const Selection &selection) {
    return std::string(SelectQuestions(makeQuestions(), selection).status().message());
  };
  EXPECT_EQ(failure({.subjects = {"d"}}),
            "--subjects: there is no subject \"d\"; there are: a, b, c");
  EXPECT_EQ(failure({.rows = {30}}), "--rows: there is no row 30 (rows count from 0)");
  EXPECT_EQ(failure({.subjects = {"a"}, .rows = {12}}),
            "--rows: there is no row 12 (rows count from 0; --subjects may have left it out)");
  EXPECT_EQ(failure({.fraction = 0}), "--fraction must be over 0 and at most 1");
  EXPECT_EQ(failure({.fraction = 1.5}), "--fraction must be over 0 and at most 1");
  EXPECT_EQ(failure({.fraction = NAN}), "--fraction must be over 0 and at most 1");
}

TEST(Rows, ReadsNumbersAndRanges) {
  StatusOr<std::vector<int64_t>> rows = ParseRows("3,17,5-7");
  ASSERT_TRUE(rows.ok());
  EXPECT_EQ(*rows, (std::vector<int64_t>{3, 17, 5, 6, 7}));
  for (const char *bad : {"", ",", "1,", "x", "-1", "5-3", "1-", "1-2-3", "0-99999999999",
                          "0-9999999,0-9999999", "99999999999999999999"})
    EXPECT_FALSE(ParseRows(bad).ok()) << bad;
  EXPECT_EQ(ParseRows("5-3").status().message(),
            "--rows: \"5-3\" is neither a row number nor a range FIRST-LAST");
}

} // namespace
} // namespace compressc
