#include "runtime/tasks/selection.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "runtime/tasks/random.h"
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

namespace compressc {

std::vector<int64_t> SampleIndices(int64_t total, int64_t count, uint64_t seed) {
  std::vector<int64_t> indices(total);
  std::iota(indices.begin(), indices.end(), 0);
  count = std::clamp<int64_t>(count, 0, total);
  SplitMix64 random(seed);
  for (int64_t i = 0; i < count; ++i)
    std::swap(indices[i], indices[i + int64_t(random.below(uint64_t(total - i)))]);
  indices.resize(count);
  std::sort(indices.begin(), indices.end());
  return indices;
}

StatusOr<std::vector<int64_t>> ParseRows(const std::string &text) {
  constexpr int64_t most = 10'000'000;
  std::vector<int64_t> rows;
  for (absl::string_view item : absl::StrSplit(text, ',')) {
    std::pair<absl::string_view, absl::string_view> ends =
        absl::StrSplit(item, absl::MaxSplits('-', 1));
    int64_t first = 0, last = 0;
    bool good = absl::SimpleAtoi(ends.first, &first);
    last = first;
    if (item.find('-') != absl::string_view::npos)
      good = good && absl::SimpleAtoi(ends.second, &last);
    if (!good || first < 0 || last < first || last > most)
      return Invalid("--rows: \"", item, "\" is neither a row number nor a range FIRST-LAST");
    if (int64_t(rows.size()) + last - first >= most)
      return Invalid("--rows: names more than ", most, " rows");
    for (int64_t row = first; row <= last; ++row)
      rows.push_back(row);
  }
  return rows;
}

void Selection::define(Options &options) {
  options.add("rows", "N,N-N", rowsText, "Only these rows of the data, counted from 0. Default: all.");
  options.add("fraction", "F", fraction,
              "A random part of what is left, over 0 and at most 1, drawn without repetition by SplitMix64 and a "
              "Fisher-Yates shuffle: the same on every machine.");
  options.add("seed", "S", seed, "Seed of --fraction.");
  options.add("limit", "N", limit, "The first N questions; 0: all.").within(0, 1e9);
}

Status Selection::readRows() {
  if (!rowsText.empty()) {
    COMPRESSC_ASSIGN_OR_RETURN(rows, ParseRows(rowsText));
  }
  return absl::OkStatus();
}

StatusOr<std::vector<QuestionRow>> SelectQuestions(std::vector<QuestionRow> questions,
                                                   const Selection &selection) {
  if (!(selection.fraction > 0 && selection.fraction <= 1))
    return Invalid("--fraction must be over 0 and at most 1");
  if (!selection.subjects.empty()) {
    std::set<std::string> present;
    for (const QuestionRow &question : questions)
      present.insert(question.subject);
    for (const std::string &subject : selection.subjects)
      if (!present.contains(subject))
        return Invalid("--subjects: there is no subject \"", subject,
                       "\"; there are: ", absl::StrJoin(present, ", "));
    std::set<std::string> wanted(selection.subjects.begin(), selection.subjects.end());
    std::erase_if(questions, [&](const QuestionRow &q) { return !wanted.contains(q.subject); });
  }
  if (!selection.rows.empty()) {
    std::set<int64_t> wanted(selection.rows.begin(), selection.rows.end());
    std::erase_if(questions, [&](const QuestionRow &q) { return !wanted.contains(q.row); });
    for (const QuestionRow &question : questions)
      wanted.erase(question.row);
    if (!wanted.empty())
      return Invalid("--rows: there is no row ", *wanted.begin(), " (rows count from 0",
                     selection.subjects.empty() ? ")" : "; --subjects may have left it out)");
  }
  if (selection.fraction < 1 && !questions.empty()) {
    int64_t total = int64_t(questions.size());
    int64_t count = std::max<int64_t>(1, std::llround(selection.fraction * double(total)));
    std::vector<QuestionRow> sample;
    for (int64_t index : SampleIndices(total, count, selection.seed))
      sample.push_back(std::move(questions[index]));
    questions = std::move(sample);
  }
  if (selection.perSubject > 0) {
    std::map<std::string, int64_t> taken;
    std::erase_if(questions,
                  [&](const QuestionRow &q) { return ++taken[q.subject] > selection.perSubject; });
  }
  if (selection.limit > 0 && int64_t(questions.size()) > selection.limit)
    questions.resize(selection.limit);
  if (questions.empty())
    return Invalid("no question is left after the selection");
  return questions;
}

} // namespace compressc
