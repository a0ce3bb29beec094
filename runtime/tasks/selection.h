// Which questions of a data file are asked.
#pragma once

#include "compressc/runtime/status.h"
#include "runtime/tasks/options.h"
#include <cstdint>
#include <string>
#include <vector>

namespace compressc {

/// What the runner knows of a question; `row` is its place in the data, from 0.
struct QuestionRow {
  int64_t row = 0;
  std::string subject = {}; // the sort of question; "": none
  std::string group = {};   // of subjects; the subject itself where there are no others
  int gold = 0;             // the right choice
};

/// `count` of the numbers 0 … total-1, ascending: the first `count` steps of a Fisher–Yates shuffle
/// (step i swaps place i with place i + below(total - i)), then sorted.
std::vector<int64_t> SampleIndices(int64_t total, int64_t count, uint64_t seed);

struct Selection {
  std::vector<std::string> subjects = {}; // none: all
  std::vector<int64_t> rows = {};         // none: all
  double fraction = 1;                    // of what subjects and rows leave, rounded, at least one
  uint64_t seed = 1234;
  int64_t perSubject = 0; // the first N of each subject; 0: all
  int64_t limit = 0;      // the first N; 0: all

  /// --rows, --fraction, --seed, --limit.
  void define(Options &options);
  Status readRows(); // of --rows
  std::string rowsText = {};
};

/// Applies the fields of `selection` in their order. Questions stay in file order.
StatusOr<std::vector<QuestionRow>> SelectQuestions(std::vector<QuestionRow> questions,
                                                   const Selection &selection);

/// "3,17,100-120": numbers and ranges, from 0.
StatusOr<std::vector<int64_t>> ParseRows(const std::string &text);

} // namespace compressc
