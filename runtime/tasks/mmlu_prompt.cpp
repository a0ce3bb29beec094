#include "runtime/tasks/mmlu_prompt.h"
#include "absl/strings/str_replace.h"
#include "runtime/tasks/text.h"

namespace compressc {
namespace {

std::string describe(const std::string &subject) {
  return absl::StrCat("The following are multiple choice questions (with answers) about ",
                      absl::StrReplaceAll(subject, {{"_", " "}}), ".\n\n");
}

/// Only the question is stripped; choices stay as stored.
std::string ask(const Question &question) {
  std::string text(StripWhitespace(question.text));
  for (int i = 0; i < 4; ++i)
    absl::StrAppend(&text, "\n", std::string(1, char('A' + i)), ". ", question.choices[i]);
  return text + "\nAnswer:";
}

} // namespace

std::string AnswerText(int answer) { return {' ', char('A' + answer)}; }

PromptBuilder::PromptBuilder(const std::vector<Question> &dev, int shots) : shots(shots) {
  for (const Question &question : dev) {
    Prefix &prefix = prefixes[question.subject];
    if (prefix.count == shots)
      continue;
    ++prefix.count;
    absl::StrAppend(&prefix.text, ask(question), AnswerText(question.answer), "\n\n");
  }
}

StatusOr<std::string> PromptBuilder::prompt(const Question &question) const {
  auto found = prefixes.find(question.subject);
  int available = found == prefixes.end() ? 0 : found->second.count;
  if (available < shots)
    return Invalid("subject ", question.subject, " has ", available,
                   " dev questions, but --shots asks for ", shots, "; pass --shots ", available);
  return absl::StrCat(describe(question.subject), shots > 0 ? found->second.text : "",
                      ask(question));
}

} // namespace compressc
