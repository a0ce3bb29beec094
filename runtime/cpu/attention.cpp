#include "../ops/batch_rows.h"
#include "kernels.h"
#include "rows.h"
#include "isa/functions.h"
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace compressc {
namespace {

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
  COMPRESSC_ASSIGN_OR_RETURN(AttentionCall attention, ReadAttention(context, call));
  Attention(context, attention.operands);
  return absl::OkStatus();
}

} // namespace compressc
