// Which questions of a split are asked.
#pragma once

#include "runtime/tasks/mmlu_data.h"

namespace compressc {

/// `count` of the numbers 0 … total-1, ascending: the first `count` steps of a Fisher–Yates shuffle
/// (step i swaps place i with place i + below(total - i)), then sorted.
std::vector<int64_t> SampleIndices(int64_t total, int64_t count, uint64_t seed);

struct Selection {
  std::vector<std::string> subjects = {}; // none: all
  std::vector<int64_t> rows = {};         // none: all
  double fraction = 1;                    // of what subjects and rows leave, rounded, at least one
  uint64_t seed = 0;
  int64_t perSubject = 0; // the first N of each subject; 0: all
  int64_t limit = 0;      // the first N; 0: all
};

/// Applies the fields of `selection` in their order. Questions stay in file order.
StatusOr<std::vector<Question>> SelectQuestions(std::vector<Question> questions,
                                                const Selection &selection);

/// "3,17,100-120": numbers and ranges, from 0.
StatusOr<std::vector<int64_t>> ParseRows(const std::string &text);

} // namespace compressc
