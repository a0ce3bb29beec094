// fp32 products. Each element is summed in one order, whatever the number of rows: in blocks of
// `sumDepth` k, each as 16 chains (chain c sums k = c, c + 16, c + 32, ...), whose sums are added in
// order; then the blocks' sums in order. So one row can be a dot product with the weight's rows as they
// lie in memory, 16 lanes wide, and many rows can be register tiles that take one chain at a time.
//
// In bf16, x and the weight are rounded first. A CPU that multiplies pairs of bf16 does the same with
// pairs in the place of elements: `depth` and `k` then count pairs, and a pair lies where a float would.
#include "codes.h"
#include "tile.h"

namespace compressc::COMPRESSC_ISA {
namespace {

constexpr int64_t chains = 16, chainDepth = 48, sumDepth = chains * chainDepth;
static_assert(sumDepth % blockDepth == 0 && chainDepth % lanes == 0);

int64_t roundUp(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

/// a * b + acc, or of pairs the two products.
template <bool pairs> COMPRESSC_INLINE Vec multiplyAdd(Vec a, Vec b, Vec acc) {
#if COMPRESSC_ISA_LEVEL >= 4
  if constexpr (pairs)
    return _mm512_dpbf16_ps(acc, (__m512bh)a, (__m512bh)b);
#endif
  return fma(a, b, acc);
}

template <bool pairs> constexpr int64_t elementSize = pairs ? 2 : 1; // columns of x and the weight

/// x[count] as elements; the last pair may be half zero. `memory` has room for them.
template <bool pairs>
COMPRESSC_INLINE const float *toElements(const float *x, int64_t count, float *memory) {
  if constexpr (!pairs)
    return x;
  int64_t pair = 0;
#if COMPRESSC_ISA_LEVEL >= 4
  for (; pair + lanes <= count / 2; pair += lanes)
    store(memory + pair, (Vec)_mm512_cvtne2ps_pbh(load(x + 2 * pair + lanes), load(x + 2 * pair)));
#endif
  for (; pair < count / 2; ++pair) {
    uint32_t both = roundToBFloat16(loadAs<uint32_t>(x + 2 * pair)) >> 16 |
                    roundToBFloat16(loadAs<uint32_t>(x + 2 * pair + 1));
    __builtin_memcpy(memory + pair, &both, sizeof both);
  }
  if (count % 2) {
    uint32_t last = roundToBFloat16(loadAs<uint32_t>(x + count - 1)) >> 16;
    __builtin_memcpy(memory + count / 2, &last, sizeof last);
  }
  return memory;
}

/// The part of a block that one panel of the weight makes.
struct Strip {
  const GemmBlock &block;
  int64_t n;      // first column, counted from the block's
  float *partial; // sums of earlier blocks of K
  int64_t partialStride;
  int64_t depth; // elements of K
};

/// Adds one block of K, which begins at k, to all rows.
void finishStrip(const Strip &strip, int64_t k, const float *sums) {
  const GemmBlock &block = strip.block;
  int64_t n = strip.n, columns = minimum(panelWidth, block.columnEnd - block.columnBegin - n);
  bool last = k + sumDepth >= strip.depth;
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
template <bool pairs, int rows>
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
          acc[r][i][v] = multiplyAdd<pairs>(load(x + r * sumDepth + k + v * lanes), weights,
                                            acc[r][i][v]);
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
  return rows * (roundUp(depth, sumDepth) + (chains + 2) * panelWidth) +
         (mostWeightRows + 2) * sumDepth;
}

template <bool pairs> void multiplyFewRows(const GemmBlock &block, float *scratch) {
  constexpr int64_t size = elementSize<pairs>;
  const WeightMatrix &w = *block.w;
  int64_t rows = block.rows, length = (block.depth + size - 1) / size;
  float *x = scratch, *weights = x + rows * roundUp(length, sumDepth),
        *floats = weights + mostWeightRows * sumDepth, *chainSums = floats + 2 * sumDepth,
        *sums = chainSums + rows * panelWidth * chains, *partial = sums + rows * panelWidth;
  for (int64_t k = 0; k < length; k += sumDepth) {
    int64_t depth = minimum(sumDepth, length - k), columns = minimum(depth * size, block.depth - k * size);
    for (int64_t r = 0; r < rows; ++r)
      copyChains(toElements<pairs>(block.x + r * block.ldx + k * size, columns, floats), depth,
                 x + k * rows + r * sumDepth);
  }
  bool round = block.bf16 && !pairs && w.dtype != DType::BF16;
  for (int64_t n = block.columnBegin; n < block.columnEnd; n += panelWidth) {
    Strip strip{block, n - block.columnBegin, partial, panelWidth, length};
    int64_t columns = minimum(panelWidth, block.columnEnd - n);
    for (int64_t k = 0; k < length; k += sumDepth) {
      int64_t depth = minimum(sumDepth, length - k), padded = roundUp(depth, chains);
      int64_t count = minimum(depth * size, block.depth - k * size);
      withTileRows<fewRows>(rows, [&]<int known>() {
        constexpr int64_t many = weightRows(known);
        for (int64_t i = 0; i < columns; i += many) {
          for (int64_t j = 0; j < many; ++j) {
            float *to = weights + j * sumDepth, *wide = pairs ? floats : to;
            int64_t row = n + i + j, ahead = row + rowsAhead;
            prefetchRows(w, ahead, minimum(ahead + 1, block.columnEnd), k * size, count);
            expandRow(w, minimum(row, block.columnEnd - 1), k * size, count, wide);
            toElements<pairs>(wide, count, to);
            if (round)
              roundRowToBFloat16(to, count, to);
            __builtin_memset(to + depth, 0, size_t(padded - depth) * sizeof(float));
          }
          multiplyWeightRows<pairs, known>(padded, x + k * rows, weights, chainSums + i * chains);
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

/// Expands a panel of the weight as [chains][chainDepth][panelWidth] elements.
template <bool pairs>
void packPanel(const GemmBlock &block, int64_t row, int64_t k, int64_t depth, float *scratch,
               float *panel) {
  constexpr int64_t size = elementSize<pairs>;
  float *rowScratch = scratch, *natural = scratch + blockDepth * lanes;
  auto at = [&](int64_t i) { return panel + (i % chains * chainDepth + i / chains) * panelWidth; };
  int64_t columns = minimum(depth * size, block.depth - k * size);
  for (int64_t done = 0; done < columns; done += blockDepth) {
    int64_t count = minimum(blockDepth, columns - done);
    expandPanel(*block.w, row, block.columnEnd, k * size + done, count, rowScratch, natural);
    if (pairs && count % 2)
      storePair(natural + count * panelWidth, panelWidth, zero(), zero());
    for (int64_t i = 0; i < count; i += size)
      for (int64_t half = 0; half < panelWidth; half += lanes) {
        const float *from = natural + i * panelWidth + half;
        Vec value = load(from);
        if constexpr (pairs)
          value = asFloat(pairOf(loadInts(from), loadInts(from + panelWidth)));
        else if (block.bf16)
          value = asFloat(roundToBFloat16(loadInts(from)));
        store(at((done + i) / size) + half, value);
      }
  }
  for (int64_t i = depth; i < roundUp(depth, chains); ++i)
    storePair(at(i), panelWidth, zero(), zero());
}

/// sums[r] (+)= one chain of a tile: over k < depth of a[r][k] * panel[k].
template <bool pairs, int rows>
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
      acc[r][0] = multiplyAdd<pairs>(x, b0, acc[r][0]);
      acc[r][1] = multiplyAdd<pairs>(x, b1, acc[r][1]);
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

template <bool pairs> void multiplyManyRows(const GemmBlock &block, float *scratch) {
  constexpr int64_t size = elementSize<pairs>;
  int64_t rows = block.rows, columns = block.columnEnd - block.columnBegin;
  int64_t length = (block.depth + size - 1) / size;
  float *packed = scratch, *panel = packed + roundUp(rows, tileRows) / tileRows * tileFloats,
        *panelScratch = panel + sumDepth * panelWidth,
        *sums = panelScratch + blockDepth * (lanes + panelWidth),
        *partial = sums + rows * panelWidth;
  for (int64_t k = 0; k < length; k += sumDepth) {
    int64_t depth = minimum(sumDepth, length - k), steps = roundUp(depth, chains) / chains;
    int64_t count = minimum(depth * size, block.depth - k * size);
    for (int64_t r = 0; r < rows; ++r)
      packRow(toElements<pairs>(block.x + r * block.ldx + k * size, count, panel), depth,
              packed + r / tileRows * tileFloats + r % tileRows * chainDepth);
    for (int64_t n = 0; n < columns; n += panelWidth) {
      packPanel<pairs>(block, block.columnBegin + n, k, depth, panelScratch, panel);
      // A chain of the panel stays in the first-level cache.
      for (int64_t c = 0; c < chains; ++c)
        for (int64_t r = 0; r < rows; r += tileRows)
          withTileRows(rows - r, [&]<int known>() {
            multiplyChain<pairs, known>(
                steps, packed + r / tileRows * tileFloats + c * tileRows * chainDepth,
                panel + c * chainDepth * panelWidth, c == 0, sums + r * panelWidth);
          });
      finishStrip({block, n, partial + n, roundUp(columns, panelWidth), length}, k, sums);
    }
  }
}

template <bool pairs> void multiplyBlock(const GemmBlock &block, float *scratch) {
  if (block.rows <= fewRows)
    multiplyFewRows<pairs>(block, scratch);
  else
    multiplyManyRows<pairs>(block, scratch);
}

} // namespace

TaskLimits taskLimits(int64_t M, int64_t K, bool) {
  // What a second-level cache holds; a few rows only stream the weight, the longer the better.
  return {K <= 576 ? 512 : 384, M <= tileRows / 2 ? 128 : 8, 14, 0.12 * 14 / tileRows};
}

int64_t gemmScratchFloats(int64_t rows, int64_t columns, int64_t depth, bool) {
  // The last block of rows may be a small one.
  return maximum(fewRowsFloats(minimum(rows, fewRows), depth),
                 manyRowsFloats(rows, columns, depth));
}

void gemmBlock(const GemmBlock &block, float *scratch) {
#if COMPRESSC_ISA_LEVEL >= 4
  if (block.bf16)
    return multiplyBlock<true>(block, scratch);
#endif
  multiplyBlock<false>(block, scratch);
}

} // namespace compressc::COMPRESSC_ISA
