#include "runtime/tasks/csv.h"
#include "absl/strings/str_replace.h"
#include "compressc/runtime/text.h"

namespace compressc {
namespace {

class Parser {
public:
  Parser(std::string_view text, const std::string &file) : text(text), file(file) {}

  StatusOr<std::vector<CsvRow>> parse() {
    std::vector<CsvRow> rows;
    if (text.substr(0, 3) == "\xEF\xBB\xBF")
      text.remove_prefix(3);
    while (at < text.size()) {
      if (atLineEnd()) {
        skipLineEnd();
        continue;
      }
      CsvRow row;
      row.line = line;
      COMPRESSC_RETURN_IF_ERROR(parseRow(row));
      rows.push_back(std::move(row));
    }
    return rows;
  }

private:
  bool atLineEnd() const { return at < text.size() && (text[at] == '\n' || text[at] == '\r'); }

  void skipLineEnd() {
    at += text.substr(at, 2) == "\r\n" ? 2 : 1;
    ++line;
  }

  Status parseRow(CsvRow &row) {
    while (true) {
      std::string field;
      if (at < text.size() && text[at] == '"')
        COMPRESSC_RETURN_IF_ERROR(parseQuoted(field));
      else
        while (at < text.size() && text[at] != ',' && !atLineEnd())
          field += text[at++];
      if (!IsUtf8(field))
        return Invalid(file, ":", row.line, ": not valid UTF-8");
      row.fields.push_back(std::move(field));
      if (at == text.size())
        return absl::OkStatus();
      if (atLineEnd()) {
        skipLineEnd();
        return absl::OkStatus();
      }
      ++at; // the comma
    }
  }

  Status parseQuoted(std::string &field) {
    int64_t firstLine = line;
    ++at;
    while (true) {
      if (at == text.size())
        return Invalid(file, ":", firstLine, ": a quoted field is not closed");
      char c = text[at++];
      if (c == '"') {
        if (at == text.size() || text[at] != '"')
          break;
        ++at;
      }
      if (c == '\n')
        ++line;
      field += c;
    }
    if (at < text.size() && text[at] != ',' && !atLineEnd())
      return Invalid(file, ":", line, ": text after the closing quote of a field");
    return absl::OkStatus();
  }

  std::string_view text;
  const std::string &file;
  size_t at = 0;
  int64_t line = 1;
};

} // namespace

StatusOr<std::vector<CsvRow>> ParseCsv(std::string_view text, const std::string &file) {
  return Parser(text, file).parse();
}

std::string QuoteCsvField(const std::string &field) {
  if (field.find_first_of(",\"\r\n") == std::string::npos)
    return field;
  return absl::StrCat("\"", absl::StrReplaceAll(field, {{"\"", "\"\""}}), "\"");
}

} // namespace compressc
