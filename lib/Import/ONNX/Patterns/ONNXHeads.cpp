// q, k and v of an attention, back to the projections.
#include "ONNXPatterns.h"

namespace compressc {

/// From [batch, heads, sequence, dim] back through rotary embedding, transposition and norm.
StatusOr<ONNXHeads> ONNXPatterns::heads(int value, bool rotates) const {
  ONNXHeads result;
  value = strip(value);
  if (rank(value) != 4)
    return error(value, "attention needs heads of rank 4");
  int64_t count = result.heads = known(value).shape[1];
  int64_t dim = result.dim = lastSize(value);
  if (!shapeIs(value, {batchSize, count, sequenceLength, dim}) || count < 1 || dim < 2 || dim % 2)
    return error(value, "heads must be [batch, heads, sequence, an even size]");
  if (rotates) {
    COMPRESSC_ASSIGN_OR_RETURN(result.frequencies, unrotated(value, dim));
  }

  result.norm = norm(value);
  if (result.norm)
    value = result.norm->input;
  const ONNXNode *swapped = producer(value, "Transpose");
  if (!swapped || swapped->getInts("perm") != std::vector<int64_t>{0, 2, 1, 3})
    return error(value, "expected the transposition of heads and sequence");
  value = strip(swapped->inputs[0]);
  if (!result.norm)
    if ((result.norm = norm(value)))
      value = result.norm->input;
  const ONNXNode *split = producer(value, "Reshape");
  if (!split || !shapeIs(value, {batchSize, sequenceLength, count, dim}) ||
      lastSize(split->inputs[0]) != count * dim)
    return error(value, "expected heads to be split off a projection");
  result.projected = split->inputs[0];
  return result;
}

/// Before each key head was repeated for the query heads that share it.
int ONNXPatterns::unrepeated(int value) const {
  value = strip(value);
  const ONNXNode *merge = producer(value, "Reshape");
  const ONNXNode *repeat = merge ? producer(merge->inputs[0], "Expand") : nullptr;
  const ONNXNode *insert = repeat ? producer(repeat->inputs[0], "Unsqueeze") : nullptr;
  if (!insert || rank(value) != 4 || rank(insert->inputs[0]) != 4 || rank(merge->inputs[0]) != 5)
    return value;
  int64_t groups = known(insert->inputs[0]).shape[1], dim = lastSize(value);
  int64_t times = known(merge->inputs[0]).shape[2];
  bool fits = shapeIs(insert->inputs[0], {batchSize, groups, sequenceLength, dim}) &&
              shapeIs(repeat->inputs[0], {batchSize, groups, 1, sequenceLength, dim}) &&
              shapeIs(merge->inputs[0], {batchSize, groups, times, sequenceLength, dim}) &&
              shapeIs(value, {batchSize, groups * times, sequenceLength, dim});
  return fits ? strip(insert->inputs[0]) : value;
}

} // namespace compressc
