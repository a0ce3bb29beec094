#include "ONNXPatterns.h"
#include <cmath>

namespace compressc {

StatusOr<ONNXAttention> ONNXPatterns::attention(int value) const {
  value = strip(value);
  const ONNXNode *merge = producer(value, "Reshape");
  const ONNXNode *swapped = merge ? producer(merge->inputs[0], "Transpose") : nullptr;
  if (!swapped || swapped->getInts("perm") != std::vector<int64_t>{0, 2, 1, 3} ||
      rank(swapped->inputs[0]) != 4)
    return error(value, "expected attention's heads to be put together here");
  int attended = strip(swapped->inputs[0]);
  Scores found;
  if (const ONNXNode *node = producer(attended, "Attention")) {
    COMPRESSC_ASSIGN_OR_RETURN(found, attentionOp(*node));
  } else if (std::optional<Scores> spelled = scores(attended)) {
    found = *spelled;
  } else {
    return error(attended, "expected attention: softmax(scale q kᵀ + mask) v");
  }

  ONNXAttention result;
  COMPRESSC_ASSIGN_OR_RETURN(result.query, heads(found.query, true));
  COMPRESSC_ASSIGN_OR_RETURN(result.key, heads(unrepeated(found.key), true));
  COMPRESSC_ASSIGN_OR_RETURN(result.value, heads(unrepeated(found.value), false));
  int64_t count = result.query.heads, dim = result.query.dim;
  if (result.key.dim != dim || result.value.dim != dim || result.key.heads != result.value.heads ||
      count % result.key.heads)
    return error(attended, "the heads of q, k and v do not fit together");
  if (!shapeIs(value, {batchSize, sequenceLength, count * dim}))
    return error(value, "attention's output must be [batch, sequence, heads * dim]");
  if (result.value.norm)
    return error(attended, "a norm of v is not supported");
  if (result.query.frequencies != result.key.frequencies)
    return error(attended, "q and k are rotated by different angles");
  double expected = 1 / std::sqrt(double(dim));
  if (!(std::fabs(found.scale - expected) <= found.tolerance * expected))
    return error(attended, "scores are scaled by ", found.scale,
                 "; only 1/sqrt(head size) = ", expected, " is supported");
  COMPRESSC_ASSIGN_OR_RETURN(result.window, window(found));
  return result;
}

} // namespace compressc
