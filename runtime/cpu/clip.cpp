// The search for each group's range: clipping outliers costs them, and gives the rest finer steps.
#include "kernels.h"
#include "quantizer_loops.h"
#include <cmath>
#include <cstring>

namespace compressc {
namespace {

constexpr int tileRows = ClipTile::rows;
/// Up to this size a group's block of G is copied next to the tile: in G its rows are far apart,
/// and on some widths they would evict each other from the cache.
constexpr int64_t largestCopiedGroup = 512;

/// One worker's memory.
struct TileScratch {
  float *weights; // [16, K]
  float *values;  // [group, 16]
  float *delta;   // [group, 16]
  float *gram;    // [group, group]

  TileScratch(Scratch &scratch, int worker, int64_t columns, int64_t group) {
    int64_t copied = group <= largestCopiedGroup ? group * group : 0;
    int64_t floats = tileRows * (columns + 2 * group) + copied;
    weights = static_cast<float *>(scratch.worker(worker, floats * sizeof(float)));
    values = weights + tileRows * columns;
    delta = values + tileRows * group;
    gram = delta + tileRows * group;
  }
};

/// Clips columns [begin, begin + group) of the tile's rows in place.
void clipGroup(const TileScratch &scratch, const StatisticsView &statistics, int64_t begin,
               int64_t count, const PackedFormat &format, ClipSums &sums) {
  const int64_t columns = statistics.width, group = format.group;
  float low[tileRows] = {}, high[tileRows] = {};
  for (int r = 0; r < tileRows; ++r) {
    const float *row = scratch.weights + r * columns + begin;
    for (int64_t k = 0; k < group; ++k) {
      float value = r < count ? row[k] : 0.0f;
      scratch.values[k * tileRows + r] = value;
      low[r] = std::min(low[r], value);
      high[r] = std::max(high[r], value);
    }
  }
  const float *gram = statistics.gram + begin * columns + begin;
  int64_t stride = columns;
  if (group <= largestCopiedGroup) {
    for (int64_t k = 0; k < group; ++k)
      std::memcpy(scratch.gram + k * group, gram + k * columns, group * sizeof(float));
    gram = scratch.gram;
    stride = group;
  }

  float newLow[tileRows], newHigh[tileRows], before[tileRows], after[tileRows];
  std::memcpy(newLow, low, sizeof low);
  std::memcpy(newHigh, high, sizeof high);
  const ClipTile tile{scratch.values, scratch.delta, gram, stride};
  COMPRESSC_ISA_CALL(clipTile, tile, format, newLow, newHigh, before, after);
  for (int r = 0; r < count; ++r) {
    float *row = scratch.weights + r * columns + begin;
    for (int64_t k = 0; k < group; ++k)
      row[k] = std::min(std::max(row[k], newLow[r]), newHigh[r]);
    sums.before += before[r];
    sums.after += after[r];
    double extent = format.symmetric ? std::max(-low[r], high[r]) : double(high[r]) - low[r];
    double kept =
        format.symmetric ? std::max(-newLow[r], newHigh[r]) : double(newHigh[r]) - newLow[r];
    sums.ratios += extent > 0 ? kept / extent : 1;
  }
}

ClipSums clip(KernelContext &context, const ClipOperands &operands) {
  const WeightMatrix &weight = operands.weight;
  const StatisticsView &statistics = operands.statistics;
  const PackedFormat &format = operands.format;
  const int64_t rows = weight.rows, columns = weight.columns;
  const int64_t tiles = (rows + tileRows - 1) / tileRows;
  std::vector<ClipSums> sums(tiles);
  FirstIndex bad;
  context.pool.parallelFor(tiles, [&](int64_t tile, int worker) {
    TileScratch scratch(context.scratch, worker, columns, format.group);
    const int64_t begin = tile * tileRows, count = std::min<int64_t>(tileRows, rows - begin);
    for (int64_t r = 0; r < count; ++r)
      DequantizeRow(weight, begin + r, scratch.weights + r * columns);
    if (int64_t index = FirstNonFinite(scratch.weights, count * columns); index >= 0) {
      bad.note(begin * columns + index);
      return;
    }
    for (int64_t group = 0; group < columns; group += format.group)
      clipGroup(scratch, statistics, group, count, format, sums[tile]);
    std::memcpy(operands.out + begin * columns, scratch.weights, count * columns * sizeof(float));
  });
  ClipSums total;
  for (const ClipSums &tile : sums) {
    total.before += tile.before;
    total.after += tile.after;
    total.ratios += tile.ratios;
  }
  if (bad.found())
    total.bad = bad.get();
  return total;
}

} // namespace

Status ClipKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(ClipOperands operands, ReadClip(call));
  COMPRESSC_RETURN_IF_ERROR(CheckStatisticsValues(context, operands.statistics, "clip: the statistics"));
  return FinishClip(context, call, operands, clip(context, operands));
}

} // namespace compressc
