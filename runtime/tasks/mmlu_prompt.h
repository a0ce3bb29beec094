// MMLU prompts, to the byte as lm-evaluation-harness's `mmlu` builds them.
#pragma once

#include "runtime/tasks/mmlu_data.h"

namespace compressc {

class PromptBuilder {
public:
  /// `dev` are the questions of the dev split in file order; each subject takes its first `shots`.
  PromptBuilder(const std::vector<Question> &dev, int shots);

  /// Description, shots, question; ends in "Answer:" without a space. An error when the subject has
  /// fewer dev questions than shots.
  StatusOr<std::string> prompt(const Question &question) const;

private:
  int shots;
  struct Prefix {
    std::string text;
    int count = 0;
  };
  std::map<std::string, Prefix, std::less<>> prefixes;
};

/// The four continuations that are scored: " A" to " D".
std::string AnswerText(int answer);

} // namespace compressc
