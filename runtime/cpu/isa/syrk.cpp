// Gram matrices: x^T x, as products of tiles of x with itself.
#include "functions.h"
#include "tile.h"

namespace compressc::COMPRESSC_ISA {
namespace {

constexpr int64_t panelFloats = blockDepth * panelWidth;

int64_t roundUp(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

} // namespace

TileShape tileShape() { return {tileRows, panelWidth, COMPRESSC_ISA_LEVEL == 1 ? 192 : 224}; }

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
      for (int64_t r = 0; r < rows;) {
        float sums[tileRows * panelWidth];
        int64_t count = multiplyRows<blockDepth>(rows - r, depth, left + r * blockDepth, panel,
                                                 sums, panelWidth);
        for (int64_t i = 0; i < count; ++i, ++r) {
          float *gram = block.gram + (block.rowBegin + r) * block.width + n;
          const float *sum = sums + i * panelWidth;
          Vec a, b;
          loadPair(gram, columns, a, b);
          storePair(gram, columns, add(a, load(sum)), add(b, load(sum + lanes)));
        }
      }
    }
  }
}

} // namespace compressc::COMPRESSC_ISA
