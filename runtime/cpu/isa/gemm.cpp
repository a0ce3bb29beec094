#include "functions.h"
#include "tile.h"

namespace compressc::COMPRESSC_ISA {
namespace {

constexpr int64_t panelFloats = blockDepth * panelWidth;
constexpr int64_t rowScratchFloats = blockDepth * lanes;

int64_t roundUp(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

/// What happens to a finished tile of one block of K.
struct TileEnd {
  float *partial; // sums of earlier blocks, rows panelStride apart; null when K has one block only
  int64_t partialStride;
  bool first, last;
  float *out;
  int64_t ldo;
  const float *bias;
  const float *residual;
  int64_t residualStride;
  int64_t columns; // of this panel that exist
};

/// Row r of a tile: a and b are the sums of one block of K.
COMPRESSC_INLINE void finishRow(int r, Vec a, Vec b, const TileEnd &end) {
  float *partial = end.partial + r * end.partialStride;
  if (!end.first) {
    a = add(load(partial), a);
    b = add(load(partial + lanes), b);
  }
  if (!end.last) {
    store(partial, a);
    store(partial + lanes, b);
    return;
  }
  Vec c, d;
  if (end.bias) {
    loadPair(end.bias, end.columns, c, d);
    a = add(a, c);
    b = add(b, d);
  }
  if (end.residual) {
    loadPair(end.residual + r * end.residualStride, end.columns, c, d);
    a = add(a, c);
    b = add(b, d);
  }
  storePair(end.out + r * end.ldo, end.columns, a, b);
}

/// The end of the tile at row r and column n of the block.
COMPRESSC_INLINE TileEnd tileEnd(const GemmBlock &block, float *partial, int64_t partialStride, int64_t r,
                                 int64_t n, bool first, bool last) {
  TileEnd end{};
  end.partial = partial + r * partialStride + n;
  end.partialStride = partialStride;
  end.first = first;
  end.last = last;
  int64_t row = block.rowBegin + r, column = block.columnBegin + n;
  end.out = block.out + row * block.ldo + column;
  end.ldo = block.ldo;
  end.bias = block.epilogue.bias ? block.epilogue.bias + column : nullptr;
  end.residualStride = block.epilogue.residualStride;
  end.residual = block.epilogue.residual ? block.epilogue.residual + row * end.residualStride + column : nullptr;
  end.columns = minimum(panelWidth, block.columnEnd - column);
  return end;
}

// A few rows, as in decoding: the weight is read once and hardly reused, so panels are expanded in
// pieces that stay in the first-level cache, and several are in flight to hide the latency of the sums.

constexpr int64_t pieceDepth = 64;
static_assert(blockDepth % pieceDepth == 0);

constexpr int panelsInFlight(int rows) { return rows * 4 <= tileRows ? 4 : rows * 2 <= tileRows ? 2 : 1; }

/// Asks for columns [column, column + count) of the rows [row, rowEnd): each row's are far from the next
/// one's, so the hardware does not foresee them.
COMPRESSC_INLINE void prefetchRows(const WeightMatrix &w, int64_t row, int64_t rowEnd, int64_t column,
                                   int64_t count) {
  int64_t begin = column * w.rowBytes / w.columns, end = (column + count) * w.rowBytes / w.columns;
  for (; row < rowEnd; ++row) {
    const char *data = static_cast<const char *>(w.data) + row * w.rowBytes;
    for (int64_t at = begin; at < end; at += 64)
      __builtin_prefetch(data + at);
  }
}

template <int rows, int panels>
void fewRowsStrip(const GemmBlock &block, int64_t n, const float *x, float *rowScratch, float *panel,
                  float *partial) {
  const WeightMatrix &w = *block.w;
  int64_t row = block.columnBegin + n, rowEnd = minimum(block.columnEnd, row + panels * panelWidth);
  for (int64_t k = 0; k < block.depth; k += blockDepth, x += rows * blockDepth) {
    int64_t depth = minimum(blockDepth, block.depth - k);
    Vec acc[rows][panels][2];
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
      for (int p = 0; p < panels; ++p)
        acc[r][p][0] = acc[r][p][1] = zero();
    for (int64_t piece = 0; piece < depth; piece += pieceDepth) {
      int64_t count = minimum(pieceDepth, depth - piece), next = k + piece + count;
      prefetchRows(w, row, rowEnd, next, minimum(pieceDepth, block.depth - next));
      for (int p = 0; p < panels; ++p)
        expandPanel(w, row + p * panelWidth, rowEnd, k + piece, count, rowScratch,
                    panel + p * pieceDepth * panelWidth);
      for (int64_t i = 0; i < count; ++i) {
#pragma GCC unroll 16
        for (int r = 0; r < rows; ++r) {
          Vec value = broadcast(x[r * blockDepth + piece + i]);
#pragma GCC unroll 4
          for (int p = 0; p < panels; ++p) {
            const float *weights = panel + (p * pieceDepth + i) * panelWidth;
            acc[r][p][0] = fma(value, load(weights), acc[r][p][0]);
            acc[r][p][1] = fma(value, load(weights + lanes), acc[r][p][1]);
          }
        }
      }
    }
#pragma GCC unroll 4
    for (int p = 0; p < panels; ++p) {
      TileEnd end = tileEnd(block, partial, panels * panelWidth, 0, n + p * panelWidth, k == 0,
                            k + depth == block.depth);
      end.partial = partial + p * panelWidth;
#pragma GCC unroll 16
      for (int r = 0; r < rows; ++r)
        finishRow(r, acc[r][p][0], acc[r][p][1], end);
    }
  }
}

template <int rows, int panels>
void fewRows(const GemmBlock &block, int64_t n, const float *x, float *rowScratch, float *panel,
             float *partial) {
  int64_t columns = block.columnEnd - block.columnBegin;
  for (; n + (panels - 1) * panelWidth < columns; n += panels * panelWidth)
    fewRowsStrip<rows, panels>(block, n, x, rowScratch, panel, partial);
  if constexpr (panels > 1)
    fewRows<rows, panels / 2>(block, n, x, rowScratch, panel, partial);
}

} // namespace

TileShape tileShape() {
  return {tileRows, panelWidth, COMPRESSC_ISA_LEVEL == 1 ? 192 : 224};
}

int64_t gemmScratchFloats(int64_t rows, int64_t columns, int64_t depth) {
  // The last block of rows may be a small one.
  int64_t few = minimum(rows, tileRows / 2) * (roundUp(depth, blockDepth) + 4 * panelWidth);
  int64_t many = rows * (blockDepth + (depth > blockDepth ? roundUp(columns, panelWidth) : 0));
  return rowScratchFloats + 2 * panelFloats + maximum(few, many);
}

void gemmBlock(const GemmBlock &block, float *scratch) {
  int64_t rows = block.rowEnd - block.rowBegin, columns = block.columnEnd - block.columnBegin;
  // x is copied with a fixed row length: no rows that fall on the same cache sets, constant offsets.
  auto copyRows = [&](int64_t r, int64_t rowEnd, int64_t k, int64_t depth, float *to) {
    for (; r < rowEnd; ++r)
      copyPadded(block.x + (block.rowBegin + r) * block.ldx + k, depth, to + r * blockDepth);
  };
  float *rowScratch = scratch, *panel = rowScratch + rowScratchFloats, *rest = panel + 2 * panelFloats;

  if (rows <= tileRows / 2) {
    float *partial = rest, *packed = partial + rows * 4 * panelWidth;
    for (int64_t k = 0; k < block.depth; k += blockDepth)
      copyRows(0, rows, k, minimum(blockDepth, block.depth - k), packed + k * rows);
    return withTileRows<tileRows / 2>(rows, [&]<int count>() {
      fewRows<count, panelsInFlight(count)>(block, 0, packed, rowScratch, panel, partial);
    });
  }

  // Rows lie far apart, which the hardware does not prefetch: a tile's are asked for one tile ahead.
  auto prefetchTile = [&](int64_t r, int64_t k) {
    if (r >= rows) {
      r = 0;
      k += blockDepth;
    }
    int64_t count = minimum(blockDepth, block.depth - k);
    for (int64_t end = minimum(r + tileRows, rows); r < end; ++r)
      for (int64_t i = 0; i < count; i += 16)
        __builtin_prefetch(block.x + (block.rowBegin + r) * block.ldx + k + i, 0, 2);
  };
  float *packed = rest, *partial = packed + rows * blockDepth;
  int64_t partialStride = roundUp(columns, panelWidth);
  for (int64_t k = 0; k < block.depth; k += blockDepth) {
    int64_t depth = minimum(blockDepth, block.depth - k);
    for (int64_t n = 0; n < columns; n += panelWidth) {
      expandPanel(*block.w, block.columnBegin + n, block.columnEnd, k, depth, rowScratch, panel);
      for (int64_t r = 0; r < rows; r += tileRows) {
        if (n == 0) {
          copyRows(r, minimum(r + tileRows, rows), k, depth, packed);
          prefetchTile(r + tileRows, k);
        }
        TileEnd end = tileEnd(block, partial, partialStride, r, n, k == 0, k + depth == block.depth);
        withTileRows(rows - r, [&]<int count>() {
          Vec acc[count][2];
          multiplyTile<count, blockDepth>(depth, packed + r * blockDepth, panel, acc);
#pragma GCC unroll 16
          for (int i = 0; i < count; ++i)
            finishRow(i, acc[i][0], acc[i][1], end);
        });
      }
    }
  }
}

int64_t syrkScratchFloats(int64_t rows) {
  // The transposed rows, one panel, and a copy of a vector of token rows for ragged widths.
  return roundUp(rows, 4) * blockDepth + panelFloats + lanes * roundUp(rows, 4);
}

void syrkBlock(const SyrkBlock &block, float *scratch) {
  int64_t rows = block.rowEnd - block.rowBegin, padded = roundUp(rows, 4);
  float *left = scratch, *panel = left + padded * blockDepth, *copy = panel + panelFloats;

  for (int64_t t = 0; t < block.tokens; t += blockDepth) {
    int64_t depth = minimum(blockDepth, block.tokens - t);
    const float *x = block.x + t * block.ldx;
    for (int64_t k = 0; k < depth; k += lanes) {
      const float *source[lanes];
      for (int r = 0; r < lanes; ++r) {
        source[r] = x + minimum(k + r, depth - 1) * block.ldx + block.rowBegin;
        if (rows % 4) {
          for (int64_t i = 0; i < rows; ++i)
            copy[r * padded + i] = source[r][i];
          source[r] = copy + r * padded;
        }
      }
      transposeRows(source, padded, left + k, blockDepth);
    }

    for (int64_t n = block.columnBegin; n < block.columnEnd; n += panelWidth) {
      int64_t columns = minimum(panelWidth, block.columnEnd - n);
      for (int64_t k = 0; k < depth; ++k) {
        Vec a, b;
        loadPair(x + k * block.ldx + n, columns, a, b);
        storePair(panel + k * panelWidth, panelWidth, a, b);
      }
      for (int64_t r = 0; r < rows; r += tileRows)
        withTileRows(rows - r, [&]<int count>() {
          Vec acc[count][2];
          multiplyTile<count, blockDepth>(depth, left + r * blockDepth, panel, acc);
          for (int i = 0; i < count; ++i) {
            float *gram = block.gram + (block.rowBegin + r + i) * block.width + n;
            Vec a, b;
            loadPair(gram, columns, a, b);
            storePair(gram, columns, add(a, acc[i][0]), add(b, acc[i][1]));
          }
        });
    }
  }
}

} // namespace compressc::COMPRESSC_ISA
