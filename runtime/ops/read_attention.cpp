#include "model_kernels.h"
#include <algorithm>
#include <cmath>

namespace compressc {
namespace {

/// The rotation of heads of `dim` that a call's attributes tell of, without a norm; `storage` holds its frequencies.
StatusOr<Rotation> readRotation(const Operands &operands, const KernelCall &call, int64_t dim, std::vector<float> &storage) {
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<double> wide, call.attributes.getFloats("frequencies"));
  if (dim % 2 || int64_t(wide.size()) != dim / 2)
    return operands.error(wide.size(), " frequencies given; heads of ", dim, " columns take half as many");
  storage.assign(wide.begin(), wide.end());
  for (float frequency : storage)
    if (!std::isfinite(frequency))
      return operands.error("a frequency is not finite");
  Rotation rotation;
  rotation.dim = dim;
  rotation.frequencies = storage.data();
  rotation.factor = float(call.attributes.getFloatOr("attention_factor", 1.0));
  return rotation;
}

StatusOr<AttentionOperands> readHeads(const Operands &operands, const KernelCall &call) {
  AttentionOperands heads{};
  COMPRESSC_ASSIGN_OR_RETURN(heads.queries, call.attributes.getInt("num_heads"));
  COMPRESSC_ASSIGN_OR_RETURN(heads.groups, call.attributes.getInt("num_kv_heads"));
  COMPRESSC_ASSIGN_OR_RETURN(double scale, call.attributes.getFloat("scale"));
  heads.window = call.attributes.getIntOr("sliding_window", 0);
  heads.scale = float(scale);
  int64_t width = call.inputs[0].rank() == 2 ? call.inputs[0].dim(1) : 0;
  if (heads.groups < 1 || heads.queries < heads.groups || heads.queries % heads.groups ||
      width % heads.queries)
    return operands.error("num_heads = ", heads.queries, " and num_kv_heads = ", heads.groups,
                          " do not fit q, which is ", Describe(call.inputs[0]));
  if (heads.window < 0 || !std::isfinite(heads.scale))
    return operands.error("sliding_window = ", heads.window, ", scale = ", scale,
                          "; the window must be 0 or more and the scale finite");
  heads.dim = width / heads.queries;
  return heads;
}

/// The slots are inside the cache, the contexts have the length that the positions say, and no slot
/// is written twice.
Status checkSlots(const Operands &operands, const Batch &batch, int64_t slots) {
  std::vector<SlotRange> written;
  for (size_t i = 0; i < batch.sequences.size(); ++i) {
    const Sequence &sequence = batch.sequences[i];
    auto outside = [&](int64_t begin, int64_t count) {
      return operands.error("sequence ", i, " names the slots [", begin, ", ", begin + count,
                            "); the cache has ", slots);
    };
    int64_t context = 0;
    for (const SlotRange &range : sequence.context) {
      if (range.begin < 0 || range.count < 0 || int64_t(range.begin) + range.count > slots)
        return outside(range.begin, range.count);
      context += range.count;
    }
    if (sequence.slotBegin < 0 || int64_t(sequence.slotBegin) + sequence.rowCount > slots)
      return outside(sequence.slotBegin, sequence.rowCount);
    if (context != sequence.positionBegin)
      return operands.error("sequence ", i, " begins at position ", sequence.positionBegin,
                            ", but its context has ", context, " tokens");
    written.push_back({sequence.slotBegin, sequence.rowCount});
  }
  std::sort(written.begin(), written.end(),
            [](const SlotRange &a, const SlotRange &b) { return a.begin < b.begin; });
  for (size_t i = 1; i < written.size(); ++i)
    if (written[i].begin < written[i - 1].begin + written[i - 1].count)
      return operands.error("two sequences of the batch write slot ", written[i].begin);
  return absl::OkStatus();
}

} // namespace

StatusOr<RotaryOperands> ReadRotary(const KernelContext &context, const KernelCall &call) {
  Operands operands("rotary_embedding", call);
  COMPRESSC_RETURN_IF_ERROR(operands.counts(1, 2, 1));
  RotaryOperands result;
  COMPRESSC_ASSIGN_OR_RETURN(int64_t dim, call.attributes.getInt("head_dim"));
  COMPRESSC_ASSIGN_OR_RETURN(result.x, operands.matrix(call.inputs[0], "x"));
  result.rows = call.inputs[0].dim(0), result.width = call.inputs[0].dim(1);
  COMPRESSC_ASSIGN_OR_RETURN(
      result.out, operands.matrix(call.outputs[0], "the output", result.rows, result.width));
  if (dim < 2 || dim % 2 || result.width % dim)
    return operands.error("head_dim = ", dim, "; it must be even and divide x's ", result.width,
                          " columns");
  Rotation &rotation = result.rotation;
  COMPRESSC_ASSIGN_OR_RETURN(rotation, readRotation(operands, call, dim, result.frequencies));
  rotation.selected = call.attributes.getIntOr("selected", 0) != 0;
  if (call.inputs.size() > 1) {
    COMPRESSC_ASSIGN_OR_RETURN(rotation.epsilon, operands.epsilon());
    COMPRESSC_ASSIGN_OR_RETURN(
        result.norm, Floats::Read(call.inputs[1], dim, "rotary_embedding: the norm's weight"));
    rotation.norm = result.norm.data();
  }
  COMPRESSC_RETURN_IF_ERROR((rotation.selected ? operands.selectedBatch(context, result.rows)
                                               : operands.batch(context, result.rows))
                                .status());
  return result;
}

StatusOr<AttentionCall> ReadAttention(const KernelContext &context, const KernelCall &call) {
  Operands operands("attention", call);
  COMPRESSC_RETURN_IF_ERROR(operands.counts(3, 5, 1, 1));
  AttentionCall result;
  AttentionOperands &heads = result.operands;
  COMPRESSC_ASSIGN_OR_RETURN(heads, readHeads(operands, call));
  heads.selected = call.attributes.getIntOr("selected", 0) != 0;
  int64_t queries = call.inputs[0].dim(0);
  int64_t queryWidth = heads.queries * heads.dim, width = heads.groups * heads.dim;
  COMPRESSC_ASSIGN_OR_RETURN(heads.query, operands.matrix(call.inputs[0], "q", queries, queryWidth));
  COMPRESSC_ASSIGN_OR_RETURN(const Batch *batch, heads.selected
                                                     ? operands.selectedBatch(context, queries)
                                                     : operands.batch(context, queries));
  int64_t rows = batch->rows();
  COMPRESSC_ASSIGN_OR_RETURN(heads.key, operands.matrix(call.inputs[1], "k", rows, width));
  COMPRESSC_ASSIGN_OR_RETURN(heads.value, operands.matrix(call.inputs[2], "v", rows, width));
  COMPRESSC_ASSIGN_OR_RETURN(
      heads.out, operands.activations(call.outputs[0], "the output", true, queries, queryWidth));
  const CacheView &cache = call.caches[0];
  if (cache.heads != heads.groups || cache.dim != heads.dim || cache.slots < 0 ||
      (cache.slots > 0 && (!cache.keys || !cache.values)))
    return operands.error("the cache has ", cache.slots, " slots of ", cache.heads, " heads of ",
                          cache.dim, "; it must hold ", heads.groups, " heads of ", heads.dim);
  COMPRESSC_RETURN_IF_ERROR(checkSlots(operands, *batch, cache.slots));
  heads.cache = cache;

  // Query and key are rotated first where the call has frequencies, with norms in the inputs behind v.
  bool rotates = call.attributes.all().count("frequencies") != 0;
  size_t norms = call.inputs.size() - 3;
  if (norms != 0 && (norms != 2 || !rotates))
    return operands.error(norms, " norms given; it takes two, of q and k, and only with frequencies");
  if (!rotates)
    return result;
  COMPRESSC_ASSIGN_OR_RETURN(heads.rotation,
                             readRotation(operands, call, heads.dim, result.frequencies));
  heads.rotation.selected = heads.selected;
  if (norms == 0)
    return result;
  COMPRESSC_ASSIGN_OR_RETURN(heads.rotation.epsilon, operands.epsilon());
  COMPRESSC_ASSIGN_OR_RETURN(result.queryNorm,
                             Floats::Read(call.inputs[3], heads.dim, "attention: the norm of q"));
  COMPRESSC_ASSIGN_OR_RETURN(result.keyNorm,
                             Floats::Read(call.inputs[4], heads.dim, "attention: the norm of k"));
  heads.rotation.norm = result.queryNorm.data();
  heads.keyNorm = result.keyNorm.data();
  return result;
}

} // namespace compressc
