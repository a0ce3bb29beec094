#include "runtime/tasks/csv.h"
#include <gtest/gtest.h>

namespace compressc {
namespace {

using Fields = std::vector<std::string>;

std::vector<CsvRow> parse(std::string_view text) {
  StatusOr<std::vector<CsvRow>> rows = ParseCsv(text, "t.csv");
  EXPECT_TRUE(rows.ok()) << rows.status();
  return rows.ok() ? *rows : std::vector<CsvRow>();
}

std::string failure(std::string_view text) {
  StatusOr<std::vector<CsvRow>> rows = ParseCsv(text, "t.csv");
  return rows.ok() ? "no error" : std::string(rows.status().message());
}

TEST(Csv, SplitsFieldsAndRows) {
  std::vector<CsvRow> rows = parse("a,b,\r\n,c d, e\n");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].fields, (Fields{"a", "b", ""}));
  EXPECT_EQ(rows[1].fields, (Fields{"", "c d", " e"}));
  EXPECT_EQ(rows[1].line, 2);
}

TEST(Csv, QuotedFieldsHoldCommasQuotesAndLineEnds) {
  std::vector<CsvRow> rows = parse("\"a,\"\"b\"\"\",\"one\ntwo\r\nthree\"\nlast,\"\"\n");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].fields, (Fields{"a,\"b\"", "one\ntwo\r\nthree"}));
  EXPECT_EQ(rows[1].fields, (Fields{"last", ""}));
  EXPECT_EQ(rows[1].line, 4);
}

TEST(Csv, SkipsByteOrderMarkAndEmptyLines) {
  std::vector<CsvRow> rows = parse("\xEF\xBB\xBF\n\na,b\r\n\r\nc,d");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].fields, (Fields{"a", "b"}));
  EXPECT_EQ(rows[0].line, 3);
  EXPECT_EQ(rows[1].fields, (Fields{"c", "d"}));
}

TEST(Csv, KeepsAQuoteInsideAPlainField) {
  EXPECT_EQ(parse("5\" pipe,b\n")[0].fields, (Fields{"5\" pipe", "b"}));
}

TEST(Csv, NamesFileAndLineOfErrors) {
  EXPECT_EQ(failure("a\nb,\"open\nmore"), "t.csv:2: a quoted field is not closed");
  EXPECT_EQ(failure("a\n\"b\"c\n"), "t.csv:2: text after the closing quote of a field");
  EXPECT_EQ(failure("a\nb,\xFF\n"), "t.csv:2: not valid UTF-8");
}

TEST(Csv, QuotesWhatItWrites) {
  EXPECT_EQ(QuoteCsvField("plain name"), "plain name");
  EXPECT_EQ(QuoteCsvField("a,b"), "\"a,b\"");
  EXPECT_EQ(QuoteCsvField("say \"x\"\n"), "\"say \"\"x\"\"\n\"");
}

} // namespace
} // namespace compressc
