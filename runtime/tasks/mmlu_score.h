// Prompts → token ids → log-probabilities of " A" to " D" at the last prompt token.
#pragma once

#include "compressc/runtime/model.h"
#include "compressc/runtime/thread_pool.h"
#include <array>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace compressc {

struct EncodedPrompts {
  std::vector<Request> requests;         // one for each prompt, its last position wanted
  std::array<int32_t, 4> answerTokens{}; // the ids of " A" to " D"
  int64_t promptTokens = 0;
  int64_t truncated = 0; // prompts that were cut on the left to the context length
};

/// Encodes prompts as lm-evaluation-harness does: the ids of prompt + " A" must be those of the
/// prompt and one more, the same for all prompts. Each prompt is checked with one letter, the first
/// with all four.
StatusOr<EncodedPrompts> EncodePrompts(const Tokenizer &tokenizer, const ModelInfo &info,
                                       const std::vector<std::string> &prompts, ThreadPool &pool);

struct Answer {
  std::array<double, 4> logprobs{};
  int prediction = 0; // the first of the greatest
  void predict();     // sets it
};

/// Model::score, or what a test puts in its place.
using Scorer = std::function<Status(const std::vector<Request> &, const Targets &, const ScoreCallback &,
                                    const std::function<void(const PlannedBatch &)> &)>;
Scorer ScorerOf(Model &model);

struct ScoredPrompts {
  std::vector<Answer> answers; // one for each prompt
  int64_t computedTokens = 0;  // rows that went through the model, after prefix sharing
};

/// What log-probabilities are normalised over: the whole vocabulary, as lm-evaluation-harness does, or the
/// four answers, whose logits are then all that is read. Predictions are the same.
enum class Normalise : uint8_t { Vocabulary, Answers };

/// `onAnswer(prompt, answer)` follows each answer, in the order of computation, and can stop it. Prompts whose answers
/// are `known` are not scored.
StatusOr<ScoredPrompts> ScorePrompts(const Scorer &score, Normalise over, const EncodedPrompts &prompts,
                                     const std::function<Status(size_t, const Answer &)> &onAnswer,
                                     const std::map<size_t, Answer> &known = {});

} // namespace compressc
