// Operands of products in e4m3 (fp8.cu).
#pragma once

#include "kernels.h"

namespace compressc::cuda {

/// Rows of e4m3 [rows, columns], and an fp32 scale for each row and block of columns, as cuBLASLt takes them: its products
/// have a multiple of 4 rows, so the last rows % 4 are an operand of their own, of 4 rows. In either, the scales of all
/// rows for one block lie together.
constexpr int fp8Block = 128;
struct Fp8Rows {
  uint8_t *codes;
  float *scales;
  int64_t rows, columns; // columns: a multiple of fp8Block

  __host__ __device__ int64_t whole() const { return rows / 4 * 4; }
  __host__ __device__ int64_t blocks() const { return columns / fp8Block; }
  __host__ __device__ int64_t scaleAt(int64_t row, int64_t block) const {
    return row < whole() ? block * whole() + row : whole() * blocks() + block * 4 + row - whole();
  }
  static int64_t bytes(int64_t rows, int64_t columns) { return (rows + 3) / 4 * 4 * (columns + columns / fp8Block * 4); }
  /// In `memory`, which has room for bytes().
  static Fp8Rows In(void *memory, int64_t rows, int64_t columns) {
    auto *codes = static_cast<uint8_t *>(memory);
    return {codes, reinterpret_cast<float *>(codes + (rows + 3) / 4 * 4 * columns), rows, columns};
  }
};
/// x, with a norm [columns] normalised first (rms_norm), rounded to bf16 and then to e4m3.
void RoundToFp8(cudaStream_t stream, const void *x, DType type, const float *norm, float epsilon, const Fp8Rows &to);
/// Packed weights of at most 4 bits in groups of a multiple of fp8Block.
void ExpandToFp8(cudaStream_t stream, const Matrix &w, const Fp8Rows &to);

} // namespace compressc::cuda
