// Products of bf16 in tile registers: sums[16][16] += A[16][32] * B[32][16], where B lies as pairs of k.
//
// Each element is summed 32 k at a time, in k's order: the even k and the odd ones apart, then both, then to
// the sum of the k before. The CPU's instruction does that, whichever of x and the weight is A. So many rows
// are A, with panels of the weight turned once and used for all of them; and a few rows are turned themselves,
// with the weight's rows as they lie in memory.
#include "../codes.h"
#include "../tile.h"
#include "tiles.h"

namespace compressc::COMPRESSC_ISA {
namespace {

constexpr int64_t step = 32;                   // k of a tile
constexpr int64_t pairFloats = 2 * tileFloats; // two tiles side by side: 32 rows of A, or 32 columns of B
constexpr int64_t fewRows = tileSide;
/// k of a few rows' weights that are expanded at a time: 32 rows stay in the first-level cache.
constexpr int64_t fewDepth = 512;
/// How far ahead a few rows' weights are asked for.
constexpr int64_t rowsAhead = 12;
static_assert(blockDepth % step == 0 && fewDepth % step == 0 && panelWidth == 2 * tileSide);

int64_t divideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// sums[16 * rowTiles][16 * columnTiles] (+)= the product over some steps of two tiles of A, of which the first
/// rowTiles count, and columnTiles tiles of B.
template <int rowTiles, int columnTiles>
COMPRESSC_INLINE void multiplyTiles(int64_t steps, const float *a, const float *b, bool first, float *sums) {
  constexpr int64_t row = columnTiles * tileSide * 4, below = columnTiles * tileFloats;
  finishStores();
  if (first) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    _tile_loadd(0, sums, row);
    if constexpr (columnTiles == 2)
      _tile_loadd(1, sums + tileSide, row);
    if constexpr (rowTiles == 2)
      _tile_loadd(2, sums + below, row);
    if constexpr (rowTiles == 2 && columnTiles == 2)
      _tile_loadd(3, sums + below + tileSide, row);
  }
  for (int64_t s = 0; s < steps; ++s, a += pairFloats, b += columnTiles * tileFloats) {
    _tile_loadd(4, a, 64);
    _tile_loadd(6, b, 64);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (columnTiles == 2) {
      _tile_loadd(7, b + tileFloats, 64);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (rowTiles == 2) {
      _tile_loadd(5, a + tileFloats, 64);
      _tile_dpbf16ps(2, 5, 6);
    }
    if constexpr (rowTiles == 2 && columnTiles == 2)
      _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, sums, row);
  if constexpr (columnTiles == 2)
    _tile_stored(1, sums + tileSide, row);
  if constexpr (rowTiles == 2)
    _tile_stored(2, sums + below, row);
  if constexpr (rowTiles == 2 && columnTiles == 2)
    _tile_stored(3, sums + below + tileSide, row);
}

COMPRESSC_INLINE Vec toPairs(Vec first, Vec second) { return (Vec)_mm512_cvtne2ps_pbh(second, first); }

/// One row of A, in tiles a pair of tiles apart; the last step ends in zeros.
void packRow(const float *x, int64_t count, float *tile) {
  for (int64_t k = 0; k < count; k += step, tile += pairFloats) {
    Vec a, b;
    loadPair(x + k, count - k, a, b);
    store(tile, toPairs(a, b));
  }
}

/// The same of a row of the weight; `floats` has room for count.
void packWeightRow(const WeightMatrix &w, int64_t row, int64_t column, int64_t count, float *floats, float *tile) {
  if (w.dtype != DType::BF16) {
    expandRow(w, row, column, count, floats);
    return packRow(floats, count, tile);
  }
  const char *from = static_cast<const char *>(w.data) + row * w.rowBytes + column * 2;
  for (int64_t k = 0; k < count; k += step, from += 64, tile += pairFloats) {
    if (count - k < step)
      store(tile, zero());
    __builtin_memcpy(tile, from, size_t(minimum(count - k, step)) * 2);
  }
}

/// A panel of the weight as B: [steps][2][16 pairs of k][16 columns].
void packPanel(const GemmBlock &block, int64_t row, float *scratch, float *panel) {
  const WeightMatrix &w = *block.w;
  if (w.dtype == DType::BF16 && block.depth % 2 == 0) {
    for (int64_t half = 0; half < 2; ++half, panel += tileFloats) {
      LaneRows rows = laneRows(w, row + half * tileSide, block.columnEnd);
      for (int64_t k = 0; k < block.depth; k += step) {
        float *tile = panel + k / step * pairFloats;
        int64_t words = minimum(step, block.depth - k) / 2;
        if (words < tileSide)
          __builtin_memset(tile, 0, tileFloats * 4);
        transposeWords(rows, k / 2, words, block.depth * 2, tile);
      }
    }
    return;
  }
  float *natural = scratch + blockDepth * lanes;
  typedef short Shorts __attribute__((vector_size(64)));
  for (int64_t done = 0; done < block.depth; done += blockDepth) {
    int64_t count = minimum(blockDepth, block.depth - done), padded = divideUp(count, step) * step;
    expandPanel(w, row, block.columnEnd, done, count, scratch, natural);
    __builtin_memset(natural + count * panelWidth, 0, size_t((padded - count) * panelWidth) * 4);
    for (int64_t k = 0; k < padded; k += 2) {
      float *tile = panel + (done + k) / step * pairFloats + k % step / 2 * tileSide;
      for (int64_t half = 0; half < 2; ++half) {
        const float *from = natural + k * panelWidth + half * lanes;
        Shorts pairs = (Shorts)toPairs(load(from), load(from + panelWidth));
        pairs = __builtin_shufflevector(pairs, pairs, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8, 24, 9,
                                        25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        store(tile + half * tileFloats, (Vec)pairs);
      }
    }
  }
}

void finishRows(const GemmBlock &block, int64_t r, int64_t rows, int64_t n, const float *sums) {
  int64_t columns = minimum(panelWidth, block.columnEnd - block.columnBegin - n);
  for (int64_t i = 0; i < rows; ++i, sums += panelWidth)
    finishRow(block.epilogue, r + i, n, columns, load(sums), load(sums + lanes), block.out + (r + i) * block.ldo + n);
}

int64_t manyRowsFloats(int64_t columns, int64_t depth) {
  return (divideUp(columns, panelWidth) + 1) * divideUp(depth, step) * pairFloats + blockDepth * (lanes + panelWidth) +
         4 * tileFloats;
}

void multiplyManyRows(const GemmBlock &block, float *scratch) {
  int64_t steps = divideUp(block.depth, step), columns = block.columnEnd - block.columnBegin;
  float *sums = scratch, *panelScratch = sums + 4 * tileFloats,
        *rows = panelScratch + blockDepth * (lanes + panelWidth), *panels = rows + steps * pairFloats;
  for (int64_t n = 0; n < columns; n += panelWidth)
    packPanel(block, block.columnBegin + n, panelScratch, panels + n / panelWidth * steps * pairFloats);
  for (int64_t r = 0; r < block.rows; r += 2 * tileSide) {
    int64_t count = minimum(2 * tileSide, block.rows - r);
    for (int64_t i = 0; i < count; ++i)
      packRow(block.x + (r + i) * block.ldx, block.depth, rows + i * tileSide);
    for (int64_t n = 0; n < columns; n += panelWidth) {
      const float *panel = panels + n / panelWidth * steps * pairFloats;
      if (count > tileSide)
        multiplyTiles<2, 2>(steps, rows, panel, true, sums);
      else
        multiplyTiles<1, 2>(steps, rows, panel, true, sums);
      finishRows(block, r, count, n, sums);
    }
  }
}

int64_t fewRowsFloats(int64_t depth) {
  return divideUp(depth, step) * (pairFloats + tileFloats) + fewDepth / step * pairFloats + fewDepth + 4 * tileFloats;
}

void multiplyFewRows(const GemmBlock &block, float *scratch) {
  const WeightMatrix &w = *block.w;
  int64_t steps = divideUp(block.depth, step);
  float *sums = scratch, *turnedSums = sums + pairFloats, *floats = turnedSums + pairFloats,
        *weights = floats + fewDepth, *turned = weights + fewDepth / step * pairFloats,
        *rows = turned + steps * tileFloats;
  for (int64_t i = 0; i < block.rows; ++i)
    packRow(block.x + i * block.ldx, block.depth, rows + i * tileSide);
  const float none[tileSide] = {};
  for (int64_t s = 0; s < steps; ++s) {
    const float *source[tileSide];
    for (int64_t i = 0; i < tileSide; ++i)
      source[i] = i < block.rows ? rows + s * pairFloats + i * tileSide : none;
    transposeRows(source, tileSide, turned + s * tileFloats, tileSide);
  }
  for (int64_t row = block.columnBegin; row < block.columnEnd; row += panelWidth) {
    for (int64_t k = 0; k < block.depth; k += fewDepth) {
      int64_t count = minimum(fewDepth, block.depth - k);
      for (int64_t i = 0; i < panelWidth; ++i) {
        int64_t ahead = row + i + rowsAhead;
        prefetchRows(w, ahead, minimum(ahead + 1, block.columnEnd), k, count);
        packWeightRow(w, minimum(row + i, block.columnEnd - 1), k, count, floats, weights + i * tileSide);
      }
      multiplyTiles<2, 1>(divideUp(count, step), weights, turned + k / step * tileFloats, k == 0, sums);
    }
    for (int64_t half = 0; half < 2; ++half) {
      const float *source[tileSide];
      for (int64_t i = 0; i < tileSide; ++i)
        source[i] = sums + half * tileFloats + i * tileSide;
      transposeRows(source, (block.rows + 3) / 4 * 4, turnedSums + half * tileSide, panelWidth);
    }
    finishRows(block, 0, block.rows, row - block.columnBegin, turnedSums);
  }
}

} // namespace

TaskLimits taskLimits(int64_t M, int64_t K, bool bf16) {
  if (!bf16)
    return avx512bf16::taskLimits(M, K, bf16);
  // Panels of the weight stay in the second-level cache while all rows pass.
  constexpr int64_t panelBytes = 1 << 20;
  return {M, M <= fewRows ? 128 : maximum(1, panelBytes / (divideUp(K, step) * pairFloats * 4)), 160, 0.8};
}

int64_t gemmScratchFloats(int64_t rows, int64_t columns, int64_t depth, bool bf16) {
  if (!bf16)
    return avx512bf16::gemmScratchFloats(rows, columns, depth, bf16);
  return maximum(fewRowsFloats(depth), rows <= fewRows ? 0 : manyRowsFloats(columns, depth));
}

void gemmBlock(const GemmBlock &block, float *scratch) {
  if (!block.bf16)
    return avx512bf16::gemmBlock(block, scratch);
  Tiles tiles;
  if (block.rows <= fewRows)
    multiplyFewRows(block, scratch);
  else
    multiplyManyRows(block, scratch);
}

} // namespace compressc::COMPRESSC_ISA
