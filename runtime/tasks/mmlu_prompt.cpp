#include "runtime/tasks/mmlu_prompt.h"
#include "absl/strings/str_replace.h"
#include "runtime/tasks/interrupt.h"
#include "runtime/tasks/text.h"
#include <algorithm>

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

/// The one token that the answer adds to the prompt, or -1.
int32_t addedToken(const Tokenizer &tokenizer, bool addSpecialTokens, const std::string &prompt,
                   const std::vector<int32_t> &promptIds, int answer) {
  std::vector<int32_t> whole = tokenizer.encode(prompt + AnswerText(answer), addSpecialTokens);
  if (whole.size() != promptIds.size() + 1 ||
      !std::equal(promptIds.begin(), promptIds.end(), whole.begin()))
    return -1;
  return whole.back();
}

Status notOneToken(size_t prompt, int answer) {
  return Invalid("the tokenizer does not continue prompt ", prompt, " with \"", AnswerText(answer),
                 "\" as exactly one more token, so the answers cannot be scored at the last prompt "
                 "token; this tokenizer is not supported by mmlu");
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

StatusOr<Work> EncodePrompts(const Tokenizer &tokenizer, const ModelInfo &info,
                             const std::vector<std::string> &prompts, ThreadPool &pool) {
  if (prompts.empty())
    return Invalid("there are no prompts");
  if (info.contextLength < 1)
    return Invalid("the model names no context length");
  Work result;
  std::vector<int32_t> first = tokenizer.encode(prompts[0], info.addSpecialTokens);
  for (int answer = 0; answer < 4; ++answer) {
    int32_t id = addedToken(tokenizer, info.addSpecialTokens, prompts[0], first, answer);
    if (id < 0)
      return notOneToken(0, answer);
    if (id >= info.vocabularySize)
      return Invalid("the tokenizer gives \"", AnswerText(answer), "\" the id ", id,
                     ", but the model has ", info.vocabularySize, " logits");
    result.answers.push_back(id);
  }

  result.requests.resize(prompts.size());
  std::vector<char> bad(prompts.size(), 0);
  pool.parallelFor(int64_t(prompts.size()), [&](int64_t i, int) {
    if (!CheckInterrupt().ok())
      return;
    std::vector<int32_t> ids = tokenizer.encode(prompts[i], info.addSpecialTokens);
    int answer = int(i % 4);
    if (ids.empty() || addedToken(tokenizer, info.addSpecialTokens, prompts[i], ids, answer) !=
                           result.answers[size_t(answer)])
      bad[i] = 1;
    result.requests[i].tokens = std::move(ids);
  });
  COMPRESSC_RETURN_IF_ERROR(CheckInterrupt());

  for (size_t i = 0; i < prompts.size(); ++i) {
    if (bad[i])
      return notOneToken(i, int(i % 4));
    std::vector<int32_t> &tokens = result.requests[i].tokens;
    if (int64_t(tokens.size()) > info.contextLength) {
      tokens.erase(tokens.begin(), tokens.end() - info.contextLength);
      ++result.truncated;
    }
    result.requests[i].wanted = {int32_t(tokens.size() - 1)};
    result.items.push_back(i);
  }
  return result;
}

} // namespace compressc
