// Products in e4m3, of compute capability 9.0.
#pragma once

#include "kernels.h"

namespace compressc::cuda {

/// Columns that lie together.
constexpr int fp8Block = 128;

/// Rows of e4m3 [rows, columns] and an fp32 scale for each. They lie as products take them to shared memory: tiles of
/// rows, in each of them blocks of columns, in each of those 128 bytes for each row, swizzled (SwizzledChunk).
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

// fp8.cu
/// x, with a norm [columns] normalised first (rms_norm), rounded to bf16 and then to e4m3.
void RoundToFp8(cudaStream_t stream, const void *x, DType type, const float *norm, float epsilon, const Fp8Rows &to);

// fp8_products.cu
/// Packed weights of at most 4 bits, in groups of a multiple of fp8Block and of a multiple of 8 rows; a gate of the same form.
bool CanMultiplyInFp8(const StreamedProduct &product);
void MultiplyInFp8(cudaStream_t stream, const Fp8Rows &x, const StreamedProduct &product);

} // namespace compressc::cuda
