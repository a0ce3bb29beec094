// The register tile that every matrix product ends in.
#pragma once

#include "../gemm.h"
#include "simd.h"

namespace compressc::COMPRESSC_ISA {

// The accumulators fill the registers but for two panel vectors and one broadcast.
constexpr int tileRows = COMPRESSC_ISA_LEVEL >= 2 ? 14 : COMPRESSC_ISA_LEVEL == 1 ? 6 : 4;
constexpr int panelWidth = 2 * lanes;

/// Sums run over k in blocks of this many, each summed in order from zero; then the blocks' sums
/// are added in order. The same in every instruction set, so that avx2 and avx512 agree to the bit.
constexpr int64_t blockDepth = 192;

/// out[r * ldo] = sum over k < depth of a[r * stride + k] * panel[k], for a tile of `rows` rows.
template <int rows, int64_t stride>
COMPRESSC_INLINE void multiplyTile(int64_t depth, const float *a, const float *panel, float *out,
                                   int64_t ldo) {
  Vec acc[rows][2];
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r)
    acc[r][0] = acc[r][1] = zero();
#pragma GCC unroll 2
  for (int64_t k = 0; k < depth; ++k) {
    Vec b0 = load(panel + k * panelWidth), b1 = load(panel + k * panelWidth + lanes);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      Vec x = broadcast(a[r * stride + k]);
      acc[r][0] = fma(x, b0, acc[r][0]);
      acc[r][1] = fma(x, b1, acc[r][1]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r) {
    store(out + r * ldo, acc[r][0]);
    store(out + r * ldo + lanes, acc[r][1]);
  }
}

/// Calls f.operator()<n>() for n = rows, 1 <= n <= most.
template <int most = tileRows, typename F>
COMPRESSC_INLINE void withTileRows(int64_t rows, const F &f) {
  if constexpr (most == 1) {
    f.template operator()<1>();
  } else {
    if (rows >= most)
      f.template operator()<most>();
    else
      withTileRows<most - 1>(rows, f);
  }
}

/// multiplyTile for the first `rows` rows, one tile of them at most; returns how many that were.
/// One copy in each file: it holds a loop for every number of rows.
template <int64_t stride>
static __attribute__((noinline)) int64_t multiplyRows(int64_t rows, int64_t depth, const float *a,
                                                      const float *panel, float *out, int64_t ldo) {
  rows = minimum(rows, tileRows);
  withTileRows(rows, [&]<int count>() { multiplyTile<count, stride>(depth, a, panel, out, ldo); });
  return rows;
}

/// The first n of the two vectors of a tile row.
COMPRESSC_INLINE void loadPair(const float *p, int64_t n, Vec &a, Vec &b) {
  if (n >= panelWidth) {
    a = load(p);
    b = load(p + lanes);
  } else {
    a = n >= lanes ? load(p) : loadFirst(p, n);
    b = n > lanes ? loadFirst(p + lanes, n - lanes) : zero();
  }
}
COMPRESSC_INLINE void storePair(float *p, int64_t n, Vec a, Vec b) {
  if (n >= panelWidth) {
    store(p, a);
    store(p + lanes, b);
    return;
  }
  if (n < lanes)
    return storeFirst(p, n, a);
  store(p, a);
  if (n > lanes)
    storeFirst(p + lanes, n - lanes, b);
}

/// Stores a row of the result, row r and columns [n, n + columns), after what the epilogue adds.
COMPRESSC_INLINE void finishRow(const GemmEpilogue &epilogue, int64_t r, int64_t n, int64_t columns,
                                Vec a, Vec b, float *out) {
  Vec c, d;
  if (epilogue.bias) {
    loadPair(epilogue.bias + n, columns, c, d);
    a = add(a, c);
    b = add(b, d);
  }
  if (epilogue.residual) {
    loadPair(epilogue.residual + r * epilogue.residualStride + n, columns, c, d);
    a = add(a, c);
    b = add(b, d);
  }
  storePair(out, columns, a, b);
}

/// to[0, count) = from; the rest of a whole vector is zero.
COMPRESSC_INLINE void copyPadded(const float *from, int64_t count, float *to) {
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes)
    store(to + i, load(from + i));
  if (i < count)
    store(to + i, loadFirst(from + i, count - i));
}

} // namespace compressc::COMPRESSC_ISA
