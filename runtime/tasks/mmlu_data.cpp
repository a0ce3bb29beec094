#include "runtime/tasks/mmlu_data.h"
#include "absl/strings/match.h"
#include "compressc/runtime/safetensors.h"
#include "runtime/tasks/csv.h"
#include "runtime/tasks/text.h"
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

namespace compressc {
namespace {

namespace fs = std::filesystem;

constexpr size_t fileLimit = size_t(1) << 30;
constexpr size_t lineLimit = size_t(1) << 20;

bool isFile(const std::string &path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

/// The JSON-lines file of the split, or "".
std::string findLines(const std::string &directory, const std::string &split) {
  for (const char *extension : {".jsonl", ".jsonl.gz"}) {
    std::string path = absl::StrCat(directory, "/mmlu_", split, extension);
    if (isFile(path))
      return path;
  }
  return "";
}

/// Subject → CSV file, ordered by subject.
std::map<std::string, std::string> findCsvFiles(const std::string &directory,
                                                const std::string &split) {
  std::map<std::string, std::string> files;
  std::string ending = absl::StrCat("_", split, ".csv");
  std::error_code error;
  fs::directory_iterator entry(absl::StrCat(directory, "/", split), error), end;
  for (; !error && entry != end; entry.increment(error)) {
    std::string name = entry->path().filename().string();
    if (absl::EndsWith(name, ending) && name.size() > ending.size() &&
        isFile(entry->path().string()))
      files[name.substr(0, name.size() - ending.size())] = entry->path().string();
  }
  return files;
}

/// Subjects are printed and written to tables, so they must be plain.
Status checkSubject(const std::string &subject, const std::string &where) {
  if (subject.empty() || subject.size() > 200)
    return Invalid(where, ": \"subject\" must have 1 to 200 bytes");
  for (char c : subject)
    if (uint8_t(c) < 0x20 || c == 0x7F)
      return Invalid(where, ": \"subject\" holds a control character");
  return absl::OkStatus();
}

StatusOr<Question> parseLine(std::string_view line, const std::string &where) {
  if (line.size() > lineLimit)
    return Invalid(where, ": the line is longer than ", lineLimit, " bytes");
  nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
  if (json.is_discarded())
    return Invalid(where, ": not valid JSON in UTF-8");
  if (!json.is_object())
    return Invalid(where, ": must be an object with subject, question, choices and answer");
  auto text = [&](const char *key) -> StatusOr<std::string> {
    auto found = json.find(key);
    if (found == json.end() || !found->is_string())
      return Invalid(where, ": \"", key, "\" must be a string");
    return found->get<std::string>();
  };
  Question question;
  COMPRESSC_ASSIGN_OR_RETURN(question.subject, text("subject"));
  COMPRESSC_RETURN_IF_ERROR(checkSubject(question.subject, where));
  COMPRESSC_ASSIGN_OR_RETURN(question.text, text("question"));
  auto choices = json.find("choices");
  if (choices == json.end() || !choices->is_array() || choices->size() != 4)
    return Invalid(where, ": \"choices\" must be an array of 4 strings");
  for (size_t i = 0; i < 4; ++i) {
    if (!(*choices)[i].is_string())
      return Invalid(where, ": \"choices\" must be an array of 4 strings");
    question.choices[i] = (*choices)[i].get<std::string>();
  }
  auto answer = json.find("answer");
  if (answer == json.end() || !answer->is_number_integer() ||
      (answer->is_number_unsigned() ? answer->get<uint64_t>() > 3
                                    : answer->get<int64_t>() < 0 || answer->get<int64_t>() > 3))
    return Invalid(where, ": \"answer\" must be an integer from 0 to 3");
  question.answer = int(answer->get<int64_t>());
  return question;
}

void numberRows(std::vector<Question> &questions) {
  for (size_t i = 0; i < questions.size(); ++i)
    questions[i].row = int64_t(i);
}

} // namespace

StatusOr<std::vector<Question>> ParseQuestionLines(std::string_view text, const std::string &file) {
  std::vector<Question> questions;
  int64_t number = 0;
  while (!text.empty()) {
    ++number;
    size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.find_first_not_of(" \t\r") == std::string_view::npos)
      continue;
    COMPRESSC_ASSIGN_OR_RETURN(Question question, parseLine(line, absl::StrCat(file, ":", number)));
    questions.push_back(std::move(question));
  }
  numberRows(questions);
  return questions;
}

StatusOr<std::vector<Question>> ParseQuestionCsv(std::string_view text, const std::string &file,
                                                 const std::string &subject) {
  COMPRESSC_RETURN_IF_ERROR(checkSubject(subject, file));
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<CsvRow> rows, ParseCsv(text, file));
  std::vector<Question> questions;
  for (CsvRow &row : rows) {
    if (row.fields.size() != 6)
      return Invalid(file, ":", row.line, ": has ", row.fields.size(),
                     " fields, wanted 6 (question, four choices, answer letter)");
    Question question;
    question.subject = std::string(subject);
    question.text = std::move(row.fields[0]);
    for (size_t i = 0; i < 4; ++i)
      question.choices[i] = std::move(row.fields[i + 1]);
    std::string_view letter = StripWhitespace(row.fields[5]);
    if (letter.size() != 1 || letter[0] < 'A' || letter[0] > 'D')
      return Invalid(file, ":", row.line, ": the answer must be one of the letters A to D");
    question.answer = letter[0] - 'A';
    questions.push_back(std::move(question));
  }
  numberRows(questions);
  return questions;
}

bool HasQuestions(const std::string &directory, const std::string &split) {
  return !findLines(directory, split).empty() || !findCsvFiles(directory, split).empty();
}

StatusOr<std::vector<Question>> LoadQuestions(const std::string &directory,
                                              const std::string &split) {
  std::vector<Question> questions;
  if (std::string path = findLines(directory, split); !path.empty()) {
    COMPRESSC_ASSIGN_OR_RETURN(std::string text, ReadTextFile(path, fileLimit));
    COMPRESSC_ASSIGN_OR_RETURN(questions, ParseQuestionLines(text, path));
  } else {
    std::map<std::string, std::string> files = findCsvFiles(directory, split);
    if (files.empty())
      return Invalid(directory, ": holds neither mmlu_", split, ".jsonl[.gz] nor ", split,
                     "/SUBJECT_", split, ".csv; pass the right folder with --data");
    for (const auto &[subject, file] : files) {
      COMPRESSC_ASSIGN_OR_RETURN(std::string text, ReadTextFile(file, fileLimit));
      COMPRESSC_ASSIGN_OR_RETURN(std::vector<Question> part, ParseQuestionCsv(text, file, subject));
      std::move(part.begin(), part.end(), std::back_inserter(questions));
    }
    numberRows(questions);
  }
  if (questions.empty())
    return Invalid(directory, ": the ", split, " split holds no questions");
  return questions;
}

} // namespace compressc
