// Products in e4m3, of compute capability 9.0.
#pragma once

#include "kernels.h"

namespace compressc::cuda {

/// Columns that lie together.
constexpr int fp8Block = 128;

/// Rows of e4m3 [rows, columns] and an fp32 scale for each. They lie as products take them to shared memory: tiles of
/// rows, in each of them blocks of columns, in each of those 128 bytes for each row, swizzled (SwizzledChunk). The threads of
/// a product have 32 neighbouring columns each, of which it wants four at a time from each: so fours i of the four quarters
/// of a block are neighbours.
struct Fp8Rows {
  static constexpr int tileRows = 256;
  uint8_t *codes;
  float *scales;
  int64_t rows, columns; // columns: a multiple of fp8Block

  /// There is memory for whole tiles, of scales too: what lies behind the rows is read, and not used.
  static int64_t padded(int64_t rows) { return (rows + tileRows - 1) / tileRows * tileRows; }
  static int64_t bytes(int64_t rows, int64_t columns) { return padded(rows) * (columns + 4); }
  /// In `memory`, which has room for bytes().
  static Fp8Rows In(void *memory, int64_t rows, int64_t columns) {
    auto *codes = static_cast<uint8_t *>(memory);
    return {codes, reinterpret_cast<float *>(codes + padded(rows) * columns), rows, columns};
  }
};

/// The weights of a product [rows, columns] in e4m3, with a gate both: codes less their zeros. They lie as the warpgroups of
/// a block have them in registers: tiles of 128 rows, which are units of 64, in each of them blocks of columns. With a gate
/// a unit has 32 rows of both, 8 of the gate's before 8 of the weight's.
struct Fp8Weights {
  static constexpr int units = 2, unitRows = 64, tileRows = units * unitRows;
  struct Block {
    uint32_t operands[units][4][128][4]; // of 4 products, for each thread
    float changes[tileRows];             // the scale of the block before by the block's, or 1
  };
  Block *blocks; // [tile][block]
  float *scales; // [tile][row]: the last block's
  int tiles;

  static int64_t tilesOf(const StreamedProduct &product) {
    return (product.w.rows * (product.gate.data ? 2 : 1) + tileRows - 1) / tileRows;
  }
  static int64_t bytes(const StreamedProduct &product) {
    return tilesOf(product) * (product.w.columns / fp8Block * int64_t(sizeof(Block)) + tileRows * 4);
  }
  /// In `memory`, which has room for bytes().
  static Fp8Weights In(void *memory, const StreamedProduct &product) {
    int64_t tiles = tilesOf(product);
    auto *blocks = static_cast<Block *>(memory);
    return {blocks, reinterpret_cast<float *>(blocks + tiles * (product.w.columns / fp8Block)), int(tiles)};
  }
};

// fp8.cu
/// x, with a norm [columns] normalised first (rms_norm), rounded to bf16 and then to e4m3.
void RoundToFp8(cudaStream_t stream, const void *x, DType type, const float *norm, float epsilon, const Fp8Rows &to);

// fp8_weights.cu
/// Packed weights of at most 4 bits, in groups of a multiple of fp8Block and of a multiple of 8 rows; a gate of the same form.
bool CanMultiplyInFp8(const StreamedProduct &product);
void ExpandToFp8(cudaStream_t stream, const StreamedProduct &product, const Fp8Weights &to);

// fp8_products.cu
/// By its weights, which are expanded.
void MultiplyInFp8(cudaStream_t stream, const Fp8Rows &x, const Fp8Weights &weights, const StreamedProduct &product);

} // namespace compressc::cuda
