// Kernels over weights: rows gathered, whole matrices expanded for cuBLASLt, and products of few rows, which
// read the weight once as it lies in the checkpoint.
#include "half.cuh"
#include "launch.cuh"
#include "load.cuh"

namespace compressc::cuda {
namespace {

constexpr int threads = 256;

__device__ __forceinline__ void Store8(float *out, const float (&v)[8], int64_t count) {
#pragma unroll
  for (int i = 0; i < 8; ++i)
    if (i < count)
      out[i] = v[i];
}
template <typename Half> __device__ __forceinline__ void Store8(Half *out, const float (&v)[8], int64_t count) {
  if (count >= 8 && reinterpret_cast<uintptr_t>(out) % 16 == 0) {
    *reinterpret_cast<uint4 *>(out) = {Pack<Half>(v[0], v[1]), Pack<Half>(v[2], v[3]), Pack<Half>(v[4], v[5]), Pack<Half>(v[6], v[7])};
    return;
  }
#pragma unroll
  for (int i = 0; i < 8; ++i)
    if (i < count)
      Put(out + i, v[i]);
}

template <typename Loader, typename Out>
__global__ void __launch_bounds__(threads) ExpandKernel(Matrix w, const int32_t *rowIndex, Out *out) {
  int64_t row = blockIdx.x, column = (int64_t(blockIdx.y) * threads + threadIdx.x) * 8;
  if (column >= w.columns)
    return;
  float v[8];
  Loader::load(w, rowIndex ? rowIndex[row] : row, column, v);
  Store8(out + row * w.columns + column, v, w.columns - column);
}

template <typename Out>
void expand(cudaStream_t stream, const Matrix &w, const int32_t *rowIndex, int64_t rows, Out *out) {
  if (rows == 0)
    return;
  dim3 blocks(unsigned(rows), unsigned((w.columns + threads * 8 - 1) / (threads * 8)));
  WithLoader(w, [&](auto loader) { Launch(ExpandKernel<decltype(loader), Out>, blocks, threads, 0, stream, w, rowIndex, out); });
}

/// A warp computes `perWarp` columns of the output for `rows` rows of x.
template <typename Loader, int perWarp, int rows>
__global__ void __launch_bounds__(threads) FewRowsKernel(const float *x, SmallProduct product) {
  const Matrix &w = product.w;
  int lane = threadIdx.x % 32;
  int64_t first = (int64_t(blockIdx.x) * (threads / 32) + threadIdx.x / 32) * perWarp;
  if (first >= product.count)
    return;
  int64_t row[perWarp];
#pragma unroll
  for (int n = 0; n < perWarp; ++n) {
    int64_t i = min(first + n, product.count - 1);
    row[n] = product.index ? product.index[i] : i;
  }
  float sums[rows][perWarp] = {};
  for (int64_t column = lane * 8; column < w.columns; column += 256) {
    float v[perWarp][8];
#pragma unroll
    for (int n = 0; n < perWarp; ++n)
      Loader::load(w, row[n], column, v[n]);
#pragma unroll
    for (int m = 0; m < rows; ++m) {
      float from[8];
      const float *at = x + m * w.columns + column;
      if (w.columns % 8 == 0) {
        float4 low = reinterpret_cast<const float4 *>(at)[0], high = reinterpret_cast<const float4 *>(at)[1];
        from[0] = low.x, from[1] = low.y, from[2] = low.z, from[3] = low.w;
        from[4] = high.x, from[5] = high.y, from[6] = high.z, from[7] = high.w;
      } else {
#pragma unroll
        for (int i = 0; i < 8; ++i)
          from[i] = column + i < w.columns ? at[i] : 0.0f;
      }
#pragma unroll
      for (int n = 0; n < perWarp; ++n)
#pragma unroll
        for (int i = 0; i < 8; ++i)
          sums[m][n] = fmaf(from[i], v[n][i], sums[m][n]);
    }
  }
#pragma unroll
  for (int m = 0; m < rows; ++m)
#pragma unroll
    for (int n = 0; n < perWarp; ++n) {
      float sum = sums[m][n];
#pragma unroll
      for (int step = 16; step; step /= 2)
        sum += __shfl_xor_sync(~0u, sum, step);
      if (lane == 0 && first + n < product.count) {
        int64_t to = m * product.ldo + row[n];
        if (product.bias)
          sum += product.bias[row[n]];
        if (product.residual)
          sum += product.residual[to];
        product.out[to] = sum;
      }
    }
}

template <int perWarp, int rows>
void multiply(cudaStream_t stream, const float *x, const SmallProduct &product) {
  int64_t perBlock = threads / 32 * perWarp;
  WithLoader(product.w, [&](auto loader) {
    Launch(FewRowsKernel<decltype(loader), perWarp, rows>, unsigned((product.count + perBlock - 1) / perBlock), threads, 0, stream, x, product);
  });
}

} // namespace

void GatherRows(cudaStream_t stream, const Matrix &w, const int32_t *rowIndex, int64_t count, float *out) {
  expand(stream, w, rowIndex, count, out);
}

void Expand(cudaStream_t stream, const Matrix &w, void *out, DType type) {
  if (type == DType::F32)
    expand(stream, w, nullptr, w.rows, static_cast<float *>(out));
  else
    WithHalf(type, [&](auto half) { expand(stream, w, nullptr, w.rows, static_cast<decltype(half) *>(out)); });
}

void MultiplyFewRows(cudaStream_t stream, const float *x, int64_t rows, const SmallProduct &product) {
  SmallProduct part = product;
  for (int64_t done = 0; done < rows && product.count > 0;) {
    // Two sizes only: each is compiled for every type of weights.
    int64_t step = rows - done >= 4 ? 4 : 1;
    const float *from = x + done * product.w.columns;
    part.out = product.out + done * product.ldo;
    part.residual = product.residual ? product.residual + done * product.ldo : nullptr;
    if (step == 4)
      multiply<2, 4>(stream, from, part);
    else
      multiply<4, 1>(stream, from, part);
    done += step;
  }
}

} // namespace compressc::cuda
