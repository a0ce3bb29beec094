// Greedy generation with a KV cache.
#pragma once

#include "compressc/runtime/model.h"
#include <functional>
#include <string>
#include <vector>

namespace compressc {

struct Generation {
  std::vector<int32_t> tokens; // without the end token
  std::string stop;            // "end token", "length" or "context"
  double prefillSeconds = 0, decodeSeconds = 0;
  int64_t decodeSteps = 0; // tokens computed one by one
};

/// Model::forward, or what a test puts in its place: logits [selected rows, vocabulary].
using Forward = std::function<StatusOr<Tensor>(const Batch &)>;

struct GenerationLimits {
  int64_t maxTokens = 0;     // to generate
  int64_t rowsPerBatch = 0;  // prompt tokens computed at once
  int64_t contextLength = 0; // prompt and answer; also the cache's slots
};

/// Computes the prompt in pieces, then token after token: each is the first greatest logit.
/// `onToken` follows each with all tokens so far.
StatusOr<Generation>
Generate(const Forward &forward, const std::vector<int32_t> &prompt,
         const std::vector<int32_t> &endTokens, const GenerationLimits &limits,
         const std::function<void(const std::vector<int32_t> &)> &onToken = {});

} // namespace compressc
