// Generation with a KV cache: any number of prompts, several computed together.
#pragma once

#include "compressc/runtime/model.h"
#include "runtime/tasks/sampling.h"

namespace compressc {

/// Model::forward: logits [selected rows, vocabulary].
using Forward = std::function<StatusOr<Tensor>(const Batch &)>;

/// What generation needs of a model, so that a test can put something simple in its place.
struct GenerationModel {
  Forward forward;
  const Tokenizer *tokenizer = nullptr;
  PlannerLimits limits;
  int64_t contextLength = 0; // prompt and answer
  std::vector<int32_t> endTokens;
};
/// Refers to `model`.
GenerationModel GenerationModelOf(Model &model);

struct GenerationOptions {
  int64_t maxTokens = 128; // to generate for each prompt
  Sampling sampling = {};
  std::vector<std::string> stops = {}; // the text ends before the first of them
  int64_t batch = 8; // prompts computed together; fewer when the cache has no room
};

enum class Finish : uint8_t { EndToken, StopString, Length, Context, Cancelled };
/// "end token", "stop string", "length", "context" (it is full), "cancelled".
std::string_view FinishName(Finish finish);

struct Generation {
  std::vector<int32_t> tokens; // without the end token, with those of the stop string
  std::string text;            // UTF-8, without the stop string
  Finish finish = Finish::Length;
  double prefillSeconds = 0; // from its place in the batch to the end of its prompt
  double decodeSeconds = 0;  // of the rest
  int64_t decodeSteps = 0;   // generated tokens that were computed
};

struct GenerationCallbacks {
  /// More text of a prompt; in all, its Generation::text. Whole characters, and nothing that a stop
  /// string may take back. False ends the prompt as cancelled.
  std::function<bool(size_t prompt, std::string_view text)> onText;
  std::function<void(size_t prompt, const Generation &)> onFinish;
};

/// Continues each prompt (token ids). Up to `batch` prompts are computed together, one step of all
/// of them at a time; when one is done, the next one takes its place. A prompt's tokens are a
/// function of the prompt, its index and the options: neither the batch nor the threads matter.
/// Results are in the order of the prompts. Bad prompts and options are refused before anything is
/// computed.
StatusOr<std::vector<Generation>> Generate(const GenerationModel &model,
                                           const std::vector<std::vector<int32_t>> &prompts,
                                           const GenerationOptions &options,
                                           const GenerationCallbacks &callbacks = {});

} // namespace compressc
