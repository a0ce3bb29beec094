// Perplexity of a text over non-overlapping windows.
#pragma once

#include "runtime/tasks/gpu_use.h"
#include "runtime/tasks/mmlu_score.h"

namespace compressc {

struct PerplexityResult {
  int64_t windows = 0;
  int64_t context = 0; // tokens of a window
  int64_t tokens = 0;  // predicted: context - 1 in each window
  double nll = 0;      // their summed negative log-likelihood, in nats
  double perplexity() const;
};

/// Cuts the first windows × context tokens of `ids` (windows 0: as many as there are) and predicts
/// every token of a window but its first from the tokens before it in the window.
StatusOr<PerplexityResult> MeasurePerplexity(const Scorer &score, int64_t vocabularySize,
                                             const std::vector<int32_t> &ids, int64_t context,
                                             int64_t windows,
                                             const std::function<void()> &onToken = {});

std::string PerplexityJson(const PerplexityResult &result, const ModelInfo &model, double seconds,
                           const std::vector<GpuUse> &gpus = {});

} // namespace compressc
