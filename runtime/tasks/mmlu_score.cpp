#include "runtime/tasks/mmlu_score.h"
#include "runtime/tasks/interrupt.h"
#include "runtime/tasks/mmlu_prompt.h"
#include <algorithm>

namespace compressc {
namespace {

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

Scorer ScorerOf(Model &model) {
  return [&model](const std::vector<Request> &requests, const Targets &targets, const ScoreCallback &onScore,
                  const std::function<void(const PlannedBatch &)> &onBatch) {
    return model.score(requests, targets, onScore, onBatch);
  };
}

StatusOr<EncodedPrompts> EncodePrompts(const Tokenizer &tokenizer, const ModelInfo &info,
                                       const std::vector<std::string> &prompts, ThreadPool &pool) {
  if (prompts.empty())
    return Invalid("there are no prompts");
  if (info.contextLength < 1)
    return Invalid("the model names no context length");
  EncodedPrompts result;
  std::vector<int32_t> first = tokenizer.encode(prompts[0], info.addSpecialTokens);
  for (int answer = 0; answer < 4; ++answer) {
    int32_t id = addedToken(tokenizer, info.addSpecialTokens, prompts[0], first, answer);
    if (id < 0)
      return notOneToken(0, answer);
    if (id >= info.vocabularySize)
      return Invalid("the tokenizer gives \"", AnswerText(answer), "\" the id ", id,
                     ", but the model has ", info.vocabularySize, " logits");
    result.answerTokens[answer] = id;
  }

  result.requests.resize(prompts.size());
  std::vector<char> bad(prompts.size(), 0);
  pool.parallelFor(int64_t(prompts.size()), [&](int64_t i, int) {
    if (!CheckInterrupt().ok())
      return;
    std::vector<int32_t> ids = tokenizer.encode(prompts[i], info.addSpecialTokens);
    int answer = int(i % 4);
    if (ids.empty() || addedToken(tokenizer, info.addSpecialTokens, prompts[i], ids, answer) !=
                           result.answerTokens[answer])
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
    result.promptTokens += int64_t(tokens.size());
  }
  return result;
}

void Answer::predict() { prediction = int(std::max_element(logprobs.begin(), logprobs.end()) - logprobs.begin()); }

StatusOr<ScoredPrompts> ScorePrompts(const Scorer &score, Normalise over, const EncodedPrompts &prompts,
                                     const std::function<Status(size_t, const Answer &)> &onAnswer,
                                     const std::map<size_t, Answer> &known) {
  ScoredPrompts result;
  result.answers.resize(prompts.requests.size());
  std::vector<char> answered(prompts.requests.size(), 0);
  for (const auto &[prompt, answer] : known) {
    result.answers[prompt] = answer;
    answered[prompt] = 1;
  }
  Targets targets;
  targets.tokens = [&](int32_t, int32_t) { return absl::MakeConstSpan(prompts.answerTokens); };
  targets.count = int64_t(prompts.answerTokens.size());
  targets.alone = over == Normalise::Answers;
  if (!known.empty())
    targets.known = [&](int32_t request, int32_t) { return bool(answered[size_t(request)]); };
  auto onScore = [&](int32_t request, int32_t, absl::Span<const double> logProbabilities) -> Status {
    COMPRESSC_RETURN_IF_ERROR(CheckInterrupt());
    if (answered[request])
      return absl::OkStatus();
    Answer &answer = result.answers[request];
    std::copy(logProbabilities.begin(), logProbabilities.end(), answer.logprobs.begin());
    answer.predict();
    answered[request] = 1;
    return onAnswer ? onAnswer(size_t(request), answer) : absl::OkStatus();
  };
  auto onBatch = [&](const PlannedBatch &batch) { result.computedTokens += batch.batch.rows(); };
  COMPRESSC_RETURN_IF_ERROR(score(prompts.requests, targets, onScore, onBatch));
  if (std::find(answered.begin(), answered.end(), 0) != answered.end())
    return absl::InternalError("a prompt was left without an answer");
  return result;
}

} // namespace compressc
