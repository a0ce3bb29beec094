// MMLU prompts, to the byte as lm-evaluation-harness's `mmlu` builds them, and their token ids.
#pragma once

#include "runtime/tasks/mmlu_data.h"
#include "runtime/tasks/task.h"

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

/// Encodes prompts as lm-evaluation-harness does: the ids of prompt + " A" must be those of the
/// prompt and one more, the same for all prompts. Each prompt is checked with one letter, the first
/// with all four. Prompts longer than the context are cut on the left.
StatusOr<Work> EncodePrompts(const Tokenizer &tokenizer, const ModelInfo &info,
                             const std::vector<std::string> &prompts, ThreadPool &pool);

} // namespace compressc
