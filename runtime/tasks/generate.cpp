#include "runtime/tasks/generate.h"
#include "runtime/tasks/interrupt.h"
#include <algorithm>
#include <chrono>
#include <cmath>

namespace compressc {
namespace {

/// Cache slots are positions: the tokens [begin, begin + count) attend to all before them.
Batch batchOf(const int32_t *tokens, int64_t begin, int64_t count, bool wantLogits) {
  Batch batch;
  batch.tokens.assign(tokens, tokens + count);
  Sequence sequence;
  sequence.rowCount = int32_t(count);
  sequence.positionBegin = int32_t(begin);
  sequence.slotBegin = int32_t(begin);
  if (begin > 0)
    sequence.context.push_back({0, int32_t(begin)});
  batch.sequences.push_back(std::move(sequence));
  if (wantLogits)
    batch.selectedRows = {int32_t(count - 1)};
  return batch;
}

StatusOr<int32_t> greatest(const Tensor &logits) {
  if (logits.rank() != 2 || logits.dim(0) != 1 || logits.dtype != DType::F32)
    return absl::InternalError("the model gave no single row of fp32 logits");
  const float *values = logits.as<float>();
  const float *found = std::max_element(values, values + logits.dim(1));
  if (!std::isfinite(*found))
    return Invalid("the model's logits are not finite");
  return int32_t(found - values);
}

} // namespace

StatusOr<Generation> Generate(const Forward &forward, const std::vector<int32_t> &prompt,
                              const std::vector<int32_t> &endTokens, const GenerationLimits &limits,
                              const std::function<void(const std::vector<int32_t> &)> &onToken) {
  using Clock = std::chrono::steady_clock;
  auto since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  int64_t length = int64_t(prompt.size());
  if (length == 0)
    return Invalid("the prompt has no tokens; pass a longer --prompt");
  if (length > limits.contextLength)
    return Invalid("the prompt has ", length, " tokens, more than the context of ",
                   limits.contextLength);
  if (limits.rowsPerBatch < 1)
    return absl::InternalError("the schedule takes no tokens");

  Generation result;
  Clock::time_point start = Clock::now();
  int32_t next = 0;
  for (int64_t begin = 0; begin < length; begin += limits.rowsPerBatch) {
    COMPRESSC_RETURN_IF_ERROR(CheckInterrupt());
    int64_t count = std::min(limits.rowsPerBatch, length - begin);
    bool last = begin + count == length;
    COMPRESSC_ASSIGN_OR_RETURN(Tensor logits,
                               forward(batchOf(prompt.data() + begin, begin, count, last)));
    if (last) {
      COMPRESSC_ASSIGN_OR_RETURN(next, greatest(logits));
    }
  }
  result.prefillSeconds = since(start);

  start = Clock::now();
  for (int64_t position = length;; ++position) {
    if (std::find(endTokens.begin(), endTokens.end(), next) != endTokens.end()) {
      result.stop = "end token";
      break;
    }
    if (int64_t(result.tokens.size()) == limits.maxTokens) {
      result.stop = "length";
      break;
    }
    result.tokens.push_back(next);
    if (onToken)
      onToken(result.tokens);
    // The last token's own logits are wanted only when another token may follow.
    if (int64_t(result.tokens.size()) == limits.maxTokens) {
      result.stop = "length";
      break;
    }
    if (position == limits.contextLength) {
      result.stop = "context";
      break;
    }
    COMPRESSC_RETURN_IF_ERROR(CheckInterrupt());
    COMPRESSC_ASSIGN_OR_RETURN(Tensor logits, forward(batchOf(&next, position, 1, true)));
    COMPRESSC_ASSIGN_OR_RETURN(next, greatest(logits));
    ++result.decodeSteps;
  }
  result.decodeSeconds = since(start);
  return result;
}

} // namespace compressc
