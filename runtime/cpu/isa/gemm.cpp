#include "codes.h"
#include "tile.h"

namespace compressc::COMPRESSC_ISA {
namespace {

constexpr int64_t panelFloats = blockDepth * panelWidth;
constexpr int64_t rowScratchFloats = blockDepth * lanes;

int64_t roundUp(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

/// The part of a block that one panel of the weight makes.
struct Strip {
  const GemmBlock &block;
  int64_t n;      // first column, counted from the block's
  float *partial; // sums of earlier blocks of K
  int64_t partialStride;
};

/// Adds one block of K, which begins at k, to a tile of `rows` rows that begins at row r.
__attribute__((noinline)) void finishTile(const Strip &strip, int64_t r, int64_t rows, int64_t k,
                                          const float *sums, int64_t sumStride) {
  const GemmBlock &block = strip.block;
  int64_t n = strip.n, columns = minimum(panelWidth, block.columnEnd - block.columnBegin - n);
  bool last = k + blockDepth >= block.depth;
  for (int64_t end = r + rows; r < end; ++r, sums += sumStride) {
    Vec a = load(sums), b = load(sums + lanes);
    float *partial = strip.partial + r * strip.partialStride;
    if (k > 0) {
      a = add(load(partial), a);
      b = add(load(partial + lanes), b);
    }
    if (!last) {
      store(partial, a);
      store(partial + lanes, b);
      continue;
    }
    finishRow(block.epilogue, r, n, columns, a, b, block.out + r * block.ldo + n);
  }
}

// A few rows, as in decoding: the weight is read once and hardly reused, so panels are expanded in
// pieces that stay in the first-level cache, and several are in flight to hide the latency of the
// sums.

constexpr int64_t pieceDepth = 64;
constexpr int64_t fewRows = tileRows / 2;
static_assert(blockDepth % pieceDepth == 0);

constexpr int panelsInFlight(int64_t rows) { return rows * 4 <= tileRows ? 4 : 2; }

/// Goes on with the sums [panels][rows][panelWidth] over `count` more k.
template <int rows, int panels>
COMPRESSC_INLINE void multiplyPiece(int64_t count, const float *x, const float *panel, bool first,
                                    float *sums) {
  Vec acc[rows][panels][2];
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
    for (int p = 0; p < panels; ++p) {
      const float *sum = sums + (p * rows + r) * panelWidth;
      acc[r][p][0] = first ? zero() : load(sum);
      acc[r][p][1] = first ? zero() : load(sum + lanes);
    }
  for (int64_t k = 0; k < count; ++k) {
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      Vec value = broadcast(x[r * blockDepth + k]);
#pragma GCC unroll 4
      for (int p = 0; p < panels; ++p) {
        const float *weights = panel + (p * pieceDepth + k) * panelWidth;
        acc[r][p][0] = fma(value, load(weights), acc[r][p][0]);
        acc[r][p][1] = fma(value, load(weights + lanes), acc[r][p][1]);
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
    for (int p = 0; p < panels; ++p) {
      store(sums + (p * rows + r) * panelWidth, acc[r][p][0]);
      store(sums + (p * rows + r) * panelWidth + lanes, acc[r][p][1]);
    }
}

/// `panels` panels of the result from column n on. x is [blocks of K][rows][blockDepth].
void fewRowsStrip(const GemmBlock &block, int64_t n, int panels, const float *x, float *rowScratch,
                  float *panel, float *sums) {
  const WeightMatrix &w = *block.w;
  int64_t rows = block.rows, row = block.columnBegin + n, rowEnd = minimum(block.columnEnd, row + panels * panelWidth);
  float *partial = sums + rows * panels * panelWidth;
  for (int64_t k = 0; k < block.depth; k += blockDepth, x += rows * blockDepth) {
    int64_t depth = minimum(blockDepth, block.depth - k);
    for (int64_t piece = 0; piece < depth; piece += pieceDepth) {
      int64_t count = minimum(pieceDepth, depth - piece), next = k + piece + count;
      prefetchRows(w, row, rowEnd, next, minimum(pieceDepth, block.depth - next));
      for (int p = 0; p < panels; ++p)
        expandPanel(w, row + p * panelWidth, rowEnd, k + piece, count, rowScratch,
                    panel + p * pieceDepth * panelWidth);
      withTileRows<fewRows>(rows, [&]<int many>() {
        if constexpr (panelsInFlight(many) == 4)
          if (panels == 4)
            return multiplyPiece<many, 4>(count, x + piece, panel, piece == 0, sums);
        if (panels == 2)
          return multiplyPiece<many, 2>(count, x + piece, panel, piece == 0, sums);
        multiplyPiece<many, 1>(count, x + piece, panel, piece == 0, sums);
      });
    }
    for (int p = 0; p < panels; ++p) {
      Strip strip{block, n + p * panelWidth, partial + p * rows * panelWidth, panelWidth};
      finishTile(strip, 0, rows, k, sums + p * rows * panelWidth, panelWidth);
    }
  }
}

/// x is copied with a fixed row length: no rows that fall on the same cache sets, constant offsets.
void copyRows(const GemmBlock &block, int64_t r, int64_t rowEnd, int64_t k, float *to) {
  int64_t depth = minimum(blockDepth, block.depth - k);
  for (; r < rowEnd; ++r)
    copyPadded(block.x + r * block.ldx + k, depth, to + r * blockDepth);
}

/// Rows of x lie far apart, which the hardware does not prefetch: a tile's are asked for one tile
/// ahead.
void prefetchTile(const GemmBlock &block, int64_t r, int64_t k) {
  if (r >= block.rows) {
    r = 0;
    k += blockDepth;
  }
  int64_t count = minimum(blockDepth, block.depth - k);
  for (int64_t end = minimum(r + tileRows, block.rows); r < end; ++r)
    for (int64_t i = 0; i < count; i += 16)
      __builtin_prefetch(block.x + r * block.ldx + k + i, 0, 2);
}

} // namespace

TileShape tileShape() { return {tileRows, panelWidth, COMPRESSC_ISA_LEVEL == 1 ? 192 : 224}; }

int64_t gemmScratchFloats(int64_t rows, int64_t columns, int64_t depth) {
  // The last block of rows may be a small one.
  int64_t few = minimum(rows, fewRows) * (roundUp(depth, blockDepth) + 2 * 4 * panelWidth);
  int64_t many = rows * (blockDepth + (depth > blockDepth ? roundUp(columns, panelWidth) : 0));
  return rowScratchFloats + 2 * panelFloats + maximum(few, many);
}

void gemmBlock(const GemmBlock &block, float *scratch) {
  int64_t rows = block.rows, columns = block.columnEnd - block.columnBegin;
  float *rowScratch = scratch, *panel = rowScratch + rowScratchFloats,
        *packed = panel + 2 * panelFloats;

  if (rows <= fewRows) {
    float *sums = packed + rows * roundUp(block.depth, blockDepth);
    for (int64_t k = 0; k < block.depth; k += blockDepth)
      copyRows(block, 0, rows, k, packed + k * rows);
    int panels = panelsInFlight(rows);
    for (int64_t n = 0; n < columns; n += panels * panelWidth) {
      while (panels > 1 && columns - n <= (panels - 1) * panelWidth)
        panels /= 2;
      fewRowsStrip(block, n, panels, packed, rowScratch, panel, sums);
    }
    return;
  }

  Strip strip{block, 0, packed + rows * blockDepth, roundUp(columns, panelWidth)};
  float *partial = strip.partial;
  for (int64_t k = 0; k < block.depth; k += blockDepth) {
    int64_t depth = minimum(blockDepth, block.depth - k);
    for (int64_t n = 0; n < columns; n += panelWidth) {
      expandPanel(*block.w, block.columnBegin + n, block.columnEnd, k, depth, rowScratch, panel);
      strip.n = n;
      strip.partial = partial + n;
      for (int64_t r = 0; r < rows;) {
        if (n == 0) {
          copyRows(block, r, minimum(r + tileRows, rows), k, packed);
          prefetchTile(block, r + tileRows, k);
        }
        float sums[tileRows * panelWidth];
        int64_t count = multiplyRows<blockDepth>(rows - r, depth, packed + r * blockDepth, panel,
                                                 sums, panelWidth);
        finishTile(strip, r, count, k, sums, panelWidth);
        r += count;
      }
    }
  }
}

} // namespace compressc::COMPRESSC_ISA
