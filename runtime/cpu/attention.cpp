#include "compressc/runtime/device.h"
#include "batch_rows.h"
#include "kernels.h"
#include "rotary.h"
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace compressc {
namespace {

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

/// Query and key are rotated first where the call has frequencies, with norms in the inputs behind v.
Status readRotation(const Operands &operands, const KernelCall &call, AttentionOperands &heads, std::vector<float> &frequencies,
                    std::vector<float> &queryNorm, std::vector<float> &keyNorm) {
  bool rotates = call.attributes.all().count("frequencies") != 0;
  size_t norms = call.inputs.size() - 3;
  if (norms != 0 && (norms != 2 || !rotates))
    return operands.error(norms, " norms given; it takes two, of q and k, and only with frequencies");
  if (!rotates)
    return absl::OkStatus();
  COMPRESSC_ASSIGN_OR_RETURN(heads.rotation, ReadRotation(operands, call, heads.dim, frequencies));
  heads.rotation.selected = heads.selected;
  if (norms == 0)
    return absl::OkStatus();
  COMPRESSC_ASSIGN_OR_RETURN(heads.rotation.epsilon, operands.epsilon());
  COMPRESSC_ASSIGN_OR_RETURN(heads.rotation.norm, VectorAsFloats(call.inputs[3], heads.dim, "attention: the norm of q", queryNorm));
  COMPRESSC_ASSIGN_OR_RETURN(heads.keyNorm, VectorAsFloats(call.inputs[4], heads.dim, "attention: the norm of k", keyNorm));
  return absl::OkStatus();
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

/// Keys are rotated on their way, where they are to be.
void writeCache(KernelContext &context, const AttentionOperands &heads) {
  const CacheView &cache = heads.cache;
  int64_t rows = context.batch->rows(), width = cache.heads * cache.dim;
  std::vector<int32_t> slots = RowSlots(*context.batch);
  bool rotates = heads.rotation.frequencies != nullptr;
  if (rotates)
    RotateRows(context, heads.key, rows, width, heads.keyRotation(), slots.data(), cache.keys);
  ForRows(context, rows, width * 2, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      if (!rotates)
        std::memcpy(cache.keys + slots[row] * width, heads.key + row * width, size_t(width) * sizeof(float));
      std::memcpy(cache.values + slots[row] * width, heads.value + row * width,
                  size_t(width) * sizeof(float));
    }
  });
}

/// A block of query rows of a sequence; every group of heads makes one task of it.
struct QueryBlock {
  const SlotRange *ranges;
  int64_t row; // of q
  int64_t rows;
  int64_t position; // of the first row
  int64_t cost;
};

} // namespace

void Attention(KernelContext &context, const AttentionOperands &heads) {
  if (context.device)
    return context.device->attention(heads);
  const Batch *batch = context.batch;
  const CacheView &cache = heads.cache;
  int64_t queryWidth = heads.queries * heads.dim, width = heads.groups * heads.dim;
  writeCache(context, heads);
  int64_t queries = heads.selected ? int64_t(batch->selectedRows.size()) : batch->rows();
  bool narrow = heads.out.type == DType::BF16, rotates = heads.rotation.frequencies != nullptr;
  // Scratch: the rotated queries, and the result before it is rounded.
  int64_t part = (queries * queryWidth + 15) / 16 * 16;
  auto *shared = static_cast<float *>(context.scratch.shared(size_t(part * (int(rotates) + int(narrow))) * sizeof(float)));
  const float *query = rotates ? shared : heads.query;
  float *out = narrow ? shared + (rotates ? part : 0) : heads.out.floats();
  if (rotates)
    RotateRows(context, heads.query, queries, queryWidth, heads.rotation, nullptr, shared);

  // All keys of each sequence: its context, then its own rows.
  std::vector<SlotRange> ranges;
  std::vector<size_t> firstRange;
  for (const Sequence &sequence : batch->sequences) {
    firstRange.push_back(ranges.size());
    ranges.insert(ranges.end(), sequence.context.begin(), sequence.context.end());
    ranges.push_back({sequence.slotBegin, sequence.rowCount});
  }

  // Nine register tiles high: enough rows to pay for the transposed keys.
  int64_t perGroup = heads.queries / heads.groups;
  int64_t tileRows = COMPRESSC_ISA_CALL(tileShape).rows * 9;
  int64_t blockRows = std::max<int64_t>(1, tileRows / perGroup);
  std::vector<QueryBlock> blocks;
  auto addBlocks = [&](size_t index, int64_t query, int64_t count, int64_t position) {
    for (int64_t begin = 0; begin < count; begin += blockRows) {
      QueryBlock block;
      block.ranges = ranges.data() + firstRange[index];
      block.row = query + begin;
      block.rows = std::min(blockRows, count - begin);
      block.position = position + begin;
      int64_t keys = block.position + block.rows;
      if (heads.window > 0)
        keys = std::min(keys, heads.window + block.rows);
      block.cost = keys * (block.rows * perGroup + 16);
      blocks.push_back(block);
    }
  };
  ForEachQueryRun(*batch, heads.selected, addBlocks);
  // The long ones first, so that the threads end together.
  std::sort(blocks.begin(), blocks.end(), [](const QueryBlock &a, const QueryBlock &b) {
    return a.cost != b.cost ? a.cost > b.cost : a.row < b.row;
  });

  int64_t floats = COMPRESSC_ISA_CALL(attentionScratchFloats, blockRows * perGroup, heads.dim);
  context.pool.parallelFor(int64_t(blocks.size()) * heads.groups, [&](int64_t task, int worker) {
    const QueryBlock &block = blocks[size_t(task / heads.groups)];
    int64_t group = task % heads.groups;
    AttentionTile tile;
    tile.queries = query + block.row * queryWidth + group * perGroup * heads.dim;
    tile.out = out + block.row * queryWidth + group * perGroup * heads.dim;
    tile.rowStride = queryWidth;
    tile.queryRows = block.rows;
    tile.headsPerGroup = perGroup;
    tile.dim = heads.dim;
    tile.scale = heads.scale;
    tile.keys = cache.keys + group * heads.dim;
    tile.values = cache.values + group * heads.dim;
    tile.slotStride = width;
    tile.ranges = block.ranges;
    tile.firstPosition = block.position;
    tile.window = heads.window;
    float *scratch =
        static_cast<float *>(context.scratch.worker(worker, size_t(floats) * sizeof(float)));
    COMPRESSC_ISA_CALL(attentionTile, tile, scratch);
  });
  if (narrow)
    RoundRows(context, out, queries, queryWidth, heads.out.data);
}

Status AttentionKernel(KernelContext &context, const KernelCall &call) {
  Operands operands("attention", call);
  COMPRESSC_RETURN_IF_ERROR(operands.counts(3, 5, 1, 1));
  COMPRESSC_ASSIGN_OR_RETURN(AttentionOperands heads, readHeads(operands, call));
  heads.selected = call.attributes.getIntOr("selected", 0) != 0;
  int64_t queries = call.inputs[0].dim(0);
  int64_t queryWidth = heads.queries * heads.dim, width = heads.groups * heads.dim;
  COMPRESSC_ASSIGN_OR_RETURN(heads.query, operands.matrix(call.inputs[0], "q", queries, queryWidth));
  COMPRESSC_ASSIGN_OR_RETURN(const Batch *batch, heads.selected ? operands.selectedBatch(context, queries)
                                                          : operands.batch(context, queries));
  int64_t rows = batch->rows();
  COMPRESSC_ASSIGN_OR_RETURN(heads.key, operands.matrix(call.inputs[1], "k", rows, width));
  COMPRESSC_ASSIGN_OR_RETURN(heads.value, operands.matrix(call.inputs[2], "v", rows, width));
  COMPRESSC_ASSIGN_OR_RETURN(heads.out, operands.activations(call.outputs[0], "the output", true, queries, queryWidth));
  const CacheView &cache = call.caches[0];
  if (cache.heads != heads.groups || cache.dim != heads.dim || cache.slots < 0 ||
      (cache.slots > 0 && (!cache.keys || !cache.values)))
    return operands.error("the cache has ", cache.slots, " slots of ", cache.heads, " heads of ",
                          cache.dim, "; it must hold ", heads.groups, " heads of ", heads.dim);
  COMPRESSC_RETURN_IF_ERROR(checkSlots(operands, *batch, cache.slots));

  heads.cache = cache;
  std::vector<float> frequencies, queryNorm, keyNorm;
  COMPRESSC_RETURN_IF_ERROR(readRotation(operands, call, heads, frequencies, queryNorm, keyNorm));
  Attention(context, heads);
  return absl::OkStatus();
}

} // namespace compressc
