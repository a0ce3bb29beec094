// Multiple-choice questions as MMLU stores them, and the groups of their subjects.
#pragma once

#include "compressc/runtime/status.h"
#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace compressc {

struct Question {
  std::string subject; // with underscores
  std::string text;    // as stored, outer spaces too
  std::array<std::string, 4> choices;
  int answer = 0;  // 0 to 3
  int64_t row = 0; // position in the whole file of the split, from 0
};

/// The questions of "dev", "val" or "test", in file order. `directory` holds either
/// mmlu_SPLIT.jsonl[.gz] or SPLIT/SUBJECT_SPLIT.csv (the layout of hendrycks/test), whose rows are
/// counted over the files in the order of their names.
StatusOr<std::vector<Question>> LoadQuestions(const std::string &directory,
                                              const std::string &split);
/// Whether LoadQuestions would find a file of this split.
bool HasQuestions(const std::string &directory, const std::string &split);

StatusOr<std::vector<Question>> ParseQuestionLines(std::string_view text, const std::string &file);
StatusOr<std::vector<Question>> ParseQuestionCsv(std::string_view text, const std::string &file,
                                                 const std::string &subject);

/// Subject → group (stem, humanities, social_sciences, other).
class SubjectGroups {
public:
  /// From DIRECTORY/mmlu_subjects.csv when there is one, otherwise lm-evaluation-harness's groups.
  static StatusOr<SubjectGroups> Load(const std::string &directory);
  static StatusOr<SubjectGroups> Parse(std::string_view csv, const std::string &file);
  static SubjectGroups BuiltIn();

  /// "other" for a subject that is not listed.
  std::string groupOf(const std::string &subject) const;
  bool lists(const std::string &subject) const;

private:
  std::map<std::string, std::string, std::less<>> groups;
};

} // namespace compressc
