// A tile of a matrix to its transposed place.
#pragma once

#include <cstdint>

namespace compressc::cuda {

constexpr int transposeTile = 32, transposeThreads = transposeTile * 8;

/// out[column, row] = in[row, column] in the tile (blockIdx.y, blockIdx.x) of `in` [rows, columns], where
/// wanted(row, column). By way of shared memory, so that reads and writes are both of neighbours.
template <typename T, typename F>
__device__ __forceinline__ void TransposeTile(const T *in, int64_t rows, int64_t columns, T *out, F wanted) {
  constexpr int tile = transposeTile;
  __shared__ T shared[tile][tile + 1];
  int64_t row = int64_t(blockIdx.y) * tile, column = int64_t(blockIdx.x) * tile;
  int lane = threadIdx.x % tile;
  for (int i = threadIdx.x / tile; i < tile; i += 8)
    if (row + i < rows && column + lane < columns)
      shared[i][lane] = in[(row + i) * columns + column + lane];
  __syncthreads();
  for (int i = threadIdx.x / tile; i < tile; i += 8)
    if (column + i < columns && row + lane < rows && wanted(row + lane, column + i))
      out[(column + i) * rows + row + lane] = shared[lane][i];
}

} // namespace compressc::cuda
