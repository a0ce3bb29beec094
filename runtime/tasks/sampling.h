// Which token follows: the likeliest, or one drawn from the model's distribution.
#pragma once

#include "absl/types/span.h"
#include "compressc/runtime/status.h"
#include <cstdint>
#include <vector>

namespace compressc {

/// The rules of transformers' generate, in their order: the logits are divided by the temperature,
/// then `topK` leaves the greatest ones, then `topP` the likeliest of these; what is left is
/// renormalised.
struct Sampling {
  double temperature = 0; // 0: the likeliest token, the first of equals
  int64_t topK = 0;       // the greatest K logits and those equal to the last of them; 0: all
  double topP = 1;        // the fewest likeliest tokens whose probabilities reach it; 1: all
  uint64_t seed = 0;
};

Status CheckSampling(const Sampling &sampling);

struct TokenProbability {
  int32_t token;
  double probability;
};

/// What SampleToken draws from: probabilities that sum to 1, for a temperature over 0. Logits of
/// -infinity are impossible tokens; NaN, +infinity or nothing possible is an error.
StatusOr<std::vector<TokenProbability>> SamplingDistribution(absl::Span<const float> logits,
                                                             const Sampling &sampling);

/// Draws with UniformAt(seed, stream, position); with temperature 0 the key does not matter.
StatusOr<int32_t> SampleToken(absl::Span<const float> logits, const Sampling &sampling,
                              uint64_t stream, uint64_t position);

} // namespace compressc
