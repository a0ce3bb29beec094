// fp32 products. Each element is summed in one order, whatever the number of rows: in blocks of
// `sumDepth` k, each as 16 chains (chain c sums k = c, c + 16, c + 32, ...), whose sums are added in
// order; then the blocks' sums in order. So one row can be a dot product with the weight's rows as they
// lie in memory, 16 lanes wide, and many rows can be register tiles that take one chain at a time.
#include "codes.h"
#include "tile.h"

namespace compressc::COMPRESSC_ISA {
namespace {

constexpr int64_t chains = 16, chainDepth = 48, sumDepth = chains * chainDepth;
static_assert(sumDepth % blockDepth == 0 && chainDepth % lanes == 0);

int64_t roundUp(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

/// The part of a block that one panel of the weight makes.
struct Strip {
  const GemmBlock &block;
  int64_t n;      // first column, counted from the block's
  float *partial; // sums of earlier blocks of K
  int64_t partialStride;
};

/// Adds one block of K, which begins at k, to all rows.
void finishStrip(const Strip &strip, int64_t k, const float *sums) {
  const GemmBlock &block = strip.block;
  int64_t n = strip.n, columns = minimum(panelWidth, block.columnEnd - block.columnBegin - n);
  bool last = k + sumDepth >= block.depth;
  for (int64_t r = 0; r < block.rows; ++r, sums += panelWidth) {
    Vec a = load(sums), b = load(sums + lanes);
    float *partial = strip.partial + r * strip.partialStride;
    if (k > 0) {
      a = add(load(partial), a);
      b = add(load(partial + lanes), b);
    }
    if (last) {
      finishRow(block.epilogue, r, n, columns, a, b, block.out + r * block.ldo + n);
    } else {
      store(partial, a);
      store(partial + lanes, b);
    }
  }
}

/// to[0, roundUp(count, chains)) = from, and zeros after its end.
void copyChains(const float *from, int64_t count, float *to) {
  __builtin_memcpy(to, from, size_t(count) * sizeof(float));
  __builtin_memset(to + count, 0, size_t(roundUp(count, chains) - count) * sizeof(float));
}

// A few rows, as in decoding: the weight's rows are expanded one after the other as they lie in memory,
// and multiplied while they are in the first-level cache.

constexpr int64_t fewRows = COMPRESSC_ISA_LEVEL >= 2 ? 6 : COMPRESSC_ISA_LEVEL == 1 ? 3 : 2;
constexpr int64_t mostWeightRows = 8;
/// How far memory is asked for: the hardware's prefetching pauses while a row is multiplied.
constexpr int64_t rowsAhead = 12;
/// Rows of the weight that are multiplied together: enough sums in flight to hide their latency.
constexpr int weightRows(int rows) {
  return COMPRESSC_ISA_LEVEL >= 2   ? (rows <= 2 ? 8 : rows <= 4 ? 4 : 2)
         : COMPRESSC_ISA_LEVEL == 1 ? (rows == 1 ? 4 : 2)
                                    : (rows == 1 ? 2 : 1);
}

/// sums[r][i][chains] = the chains of row r of x with row i of w, over `count` k.
template <int rows>
COMPRESSC_INLINE void multiplyWeightRows(int64_t count, const float *x, const float *w,
                                         float *sums) {
  constexpr int many = weightRows(rows), vectors = chains / lanes;
  Vec acc[rows][many][vectors];
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
    for (int i = 0; i < many; ++i)
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v)
        acc[r][i][v] = zero();
  for (int64_t k = 0; k < count; k += chains)
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v)
#pragma GCC unroll 8
      for (int i = 0; i < many; ++i) {
        Vec weights = load(w + i * sumDepth + k + v * lanes);
#pragma GCC unroll 8
        for (int r = 0; r < rows; ++r)
          acc[r][i][v] = fma(load(x + r * sumDepth + k + v * lanes), weights, acc[r][i][v]);
      }
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
    for (int i = 0; i < many; ++i)
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v)
        store(sums + (r * panelWidth + i) * chains + v * lanes, acc[r][i][v]);
}

/// out[i] = the chains of sums[i] added in order, for a panel of columns.
void addChains(const float *sums, float *out) {
  float turned[chains * lanes];
  for (int64_t n = 0; n < panelWidth; n += lanes) {
    const float *source[lanes];
    for (int i = 0; i < lanes; ++i)
      source[i] = sums + (n + i) * chains;
    transposeRows(source, chains, turned, lanes);
    Vec total = load(turned);
    for (int64_t c = 1; c < chains; ++c)
      total = add(total, load(turned + c * lanes));
    store(out + n, total);
  }
}

int64_t fewRowsFloats(int64_t rows, int64_t depth) {
  return rows * (roundUp(depth, sumDepth) + (chains + 2) * panelWidth) + mostWeightRows * sumDepth;
}

void multiplyFewRows(const GemmBlock &block, float *scratch) {
  const WeightMatrix &w = *block.w;
  int64_t rows = block.rows, padded = roundUp(block.depth, sumDepth);
  float *x = scratch, *weights = x + rows * padded,
        *chainSums = weights + mostWeightRows * sumDepth,
        *sums = chainSums + rows * panelWidth * chains, *partial = sums + rows * panelWidth;
  for (int64_t k = 0; k < block.depth; k += sumDepth)
    for (int64_t r = 0; r < rows; ++r)
      copyChains(block.x + r * block.ldx + k, minimum(sumDepth, block.depth - k),
                 x + k * rows + r * sumDepth);
  for (int64_t n = block.columnBegin; n < block.columnEnd; n += panelWidth) {
    Strip strip{block, n - block.columnBegin, partial, panelWidth};
    int64_t columns = minimum(panelWidth, block.columnEnd - n);
    for (int64_t k = 0; k < block.depth; k += sumDepth) {
      int64_t depth = minimum(sumDepth, block.depth - k), count = roundUp(depth, chains);
      withTileRows<fewRows>(rows, [&]<int known>() {
        constexpr int64_t many = weightRows(known);
        for (int64_t i = 0; i < columns; i += many) {
          for (int64_t j = 0; j < many; ++j) {
            float *to = weights + j * sumDepth;
            int64_t row = n + i + j, ahead = row + rowsAhead;
            prefetchRows(w, ahead, minimum(ahead + 1, block.columnEnd), k, depth);
            expandRow(w, minimum(row, block.columnEnd - 1), k, depth, to);
            __builtin_memset(to + depth, 0, size_t(count - depth) * sizeof(float));
          }
          multiplyWeightRows<known>(count, x + k * rows, weights, chainSums + i * chains);
        }
      });
      for (int64_t r = 0; r < rows; ++r)
        addChains(chainSums + r * panelWidth * chains, sums + r * panelWidth);
      finishStrip(strip, k, sums);
    }
  }
}

// Many rows: x and a panel of the weight are laid out chain by chain.

/// Rows of a register tile as [chains][tileRows][chainDepth].
constexpr int64_t tileFloats = chains * tileRows * chainDepth;

void packRow(const float *x, int64_t depth, float *to) {
  float last[2 * chains] = {}; // a ragged end, and zeros
  __builtin_memcpy(last, x + depth / chains * chains, size_t(depth % chains) * sizeof(float));
  for (int64_t j = 0; j * chains < depth; j += lanes) {
    const float *source[lanes];
    for (int i = 0; i < lanes; ++i) {
      int64_t k = (j + i) * chains;
      source[i] = k + chains <= depth ? x + k : k < depth ? last : last + chains;
    }
    transposeRows(source, chains, to + j, tileRows * chainDepth);
  }
}

/// Expands a panel of the weight as [chains][chainDepth][panelWidth].
void packPanel(const GemmBlock &block, int64_t row, int64_t k, int64_t depth, float *scratch,
               float *panel) {
  float *rowScratch = scratch, *natural = scratch + blockDepth * lanes;
  auto at = [&](int64_t i) { return panel + (i % chains * chainDepth + i / chains) * panelWidth; };
  for (int64_t done = 0; done < depth; done += blockDepth) {
    int64_t count = minimum(blockDepth, depth - done);
    expandPanel(*block.w, row, block.columnEnd, k + done, count, rowScratch, natural);
    for (int64_t i = 0; i < count; ++i)
      storePair(at(done + i), panelWidth, load(natural + i * panelWidth),
                load(natural + i * panelWidth + lanes));
  }
  for (int64_t i = depth; i < roundUp(depth, chains); ++i)
    storePair(at(i), panelWidth, zero(), zero());
}

/// sums[r] (+)= one chain of a tile: over k < depth of a[r][k] * panel[k].
template <int rows>
COMPRESSC_INLINE void multiplyChain(int64_t depth, const float *a, const float *panel, bool first,
                                    float *sums) {
  Vec acc[rows][2];
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r)
    acc[r][0] = acc[r][1] = zero();
#pragma GCC unroll 2
  for (int64_t k = 0; k < depth; ++k) {
    // The next tile's rows; its sums come last.
    __builtin_prefetch(a + tileFloats + k * 16);
    Vec b0 = load(panel + k * panelWidth), b1 = load(panel + k * panelWidth + lanes);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      Vec x = broadcast(a[r * chainDepth + k]);
      acc[r][0] = fma(x, b0, acc[r][0]);
      acc[r][1] = fma(x, b1, acc[r][1]);
    }
  }
  if (!first) {
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      acc[r][0] = add(load(sums + r * panelWidth), acc[r][0]);
      acc[r][1] = add(load(sums + r * panelWidth + lanes), acc[r][1]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r)
    storePair(sums + r * panelWidth, panelWidth, acc[r][0], acc[r][1]);
}

int64_t manyRowsFloats(int64_t rows, int64_t columns, int64_t depth) {
  return roundUp(rows, tileRows) / tileRows * tileFloats + sumDepth * panelWidth +
         blockDepth * (lanes + panelWidth) + rows * panelWidth +
         (depth > sumDepth ? rows * roundUp(columns, panelWidth) : 0);
}

void multiplyManyRows(const GemmBlock &block, float *scratch) {
  int64_t rows = block.rows, columns = block.columnEnd - block.columnBegin;
  float *packed = scratch, *panel = packed + roundUp(rows, tileRows) / tileRows * tileFloats,
        *panelScratch = panel + sumDepth * panelWidth,
        *sums = panelScratch + blockDepth * (lanes + panelWidth),
        *partial = sums + rows * panelWidth;
  for (int64_t k = 0; k < block.depth; k += sumDepth) {
    int64_t depth = minimum(sumDepth, block.depth - k), length = roundUp(depth, chains) / chains;
    for (int64_t r = 0; r < rows; ++r)
      packRow(block.x + r * block.ldx + k, depth,
              packed + r / tileRows * tileFloats + r % tileRows * chainDepth);
    for (int64_t n = 0; n < columns; n += panelWidth) {
      packPanel(block, block.columnBegin + n, k, depth, panelScratch, panel);
      // A chain of the panel stays in the first-level cache.
      for (int64_t c = 0; c < chains; ++c)
        for (int64_t r = 0; r < rows; r += tileRows)
          withTileRows(rows - r, [&]<int known>() {
            multiplyChain<known>(length,
                                 packed + r / tileRows * tileFloats + c * tileRows * chainDepth,
                                 panel + c * chainDepth * panelWidth, c == 0,
                                 sums + r * panelWidth);
          });
      finishStrip({block, n, partial + n, roundUp(columns, panelWidth)}, k, sums);
    }
  }
}

} // namespace

TileShape tileShape() { return {tileRows, panelWidth, COMPRESSC_ISA_LEVEL == 1 ? 192 : 224}; }

int64_t gemmScratchFloats(int64_t rows, int64_t columns, int64_t depth) {
  // The last block of rows may be a small one.
  return maximum(fewRowsFloats(minimum(rows, fewRows), depth),
                 manyRowsFloats(rows, columns, depth));
}

void gemmBlock(const GemmBlock &block, float *scratch) {
  if (block.rows <= fewRows)
    multiplyFewRows(block, scratch);
  else
    multiplyManyRows(block, scratch);
}

} // namespace compressc::COMPRESSC_ISA
