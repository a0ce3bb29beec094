// Activations rounded to e4m3, for products in it (fp8_products.cu).
#include "fp8.h"
#include "rows.cuh"
#include "wgmma.cuh"
#include <cfloat>
#include <cuda_fp8.h>

namespace compressc::cuda {
namespace {

/// Beyond 448 becomes that.
__device__ __forceinline__ uint32_t Codes4(float4 v) {
  uint32_t low = __nv_cvt_float2_to_fp8x2({v.x, v.y}, __NV_SATFINITE, __NV_E4M3);
  return low | uint32_t(__nv_cvt_float2_to_fp8x2({v.z, v.w}, __NV_SATFINITE, __NV_E4M3)) << 16;
}

__device__ __forceinline__ float rounded(float v) { return __bfloat162float(__float2bfloat16(v)); }

/// The greatest of the block's numbers, in every thread.
__device__ uint32_t BlockMost(uint32_t most) {
  __shared__ uint32_t shared[threads / 32];
#pragma unroll
  for (int step = 16; step; step /= 2)
    most = max(most, __shfl_xor_sync(~0u, most, step));
  if (threadIdx.x % 32 == 0)
    shared[threadIdx.x / 32] = most;
  __syncthreads();
#pragma unroll
  for (int i = 0; i < threads / 32; ++i)
    most = max(most, shared[i]);
  return most;
}

/// A block for each row: the arithmetic of the CPU's RoundRowToFp8.
template <typename In, int most>
__global__ void __launch_bounds__(threads) RoundToFp8Kernel(const void *x, const float *norm, float epsilon, Fp8Rows to) {
  const int row = int(blockIdx.x), columns = int(to.columns);
  const In *from = static_cast<const In *>(x) + int64_t(row) * columns;
  float factor = norm ? rows::NormFactor<threads>(from, columns, epsilon) : 1.0f;
  auto at = [&](int column) -> float4 {
    float4 v = Get4(from + column);
    if (norm)
      v = Normalised(v, factor, Get4(norm + column));
    return {rounded(v.x), rounded(v.y), rounded(v.z), rounded(v.w)};
  };
  float4 kept[most]; // what registers have of the row; the rest is read twice
  uint32_t greatest = 0; // as integers, NaN is greater than all
  auto compare = [&](float4 v) {
    for (float each : {v.x, v.y, v.z, v.w})
      greatest = max(greatest, __float_as_uint(each) & 0x7fffffffu);
  };
  const int first = int(threadIdx.x) * 4;
#pragma unroll
  for (int i = 0; i < most; ++i)
    if (int column = i * threads * 4 + first; column < columns)
      compare(kept[i] = at(column));
  for (int column = most * threads * 4 + first; column < columns; column += threads * 4)
    compare(at(column));
  float scale = __uint_as_float(BlockMost(greatest)) / 448.0f;
  if (scale < FLT_MIN)
    scale = 1;
  float inverse = 1.0f / scale;
  int inTile = row % Fp8Rows::tileRows;
  uint8_t *tile = to.codes + int64_t(row - inTile) * columns;
  auto put = [&](int column, float4 v) {
    int quarter = column % fp8Block / 32, four = column % 32 / 4;
    uint8_t *block = tile + int64_t(column / fp8Block) * (Fp8Rows::tileRows * fp8Block);
    *reinterpret_cast<uint32_t *>(block + SwizzledChunk(inTile, four) + quarter * 4) =
        Codes4({v.x * inverse, v.y * inverse, v.z * inverse, v.w * inverse});
  };
#pragma unroll
  for (int i = 0; i < most; ++i)
    if (int column = i * threads * 4 + first; column < columns)
      put(column, kept[i]);
  for (int column = most * threads * 4 + first; column < columns; column += threads * 4)
    put(column, at(column));
  if (threadIdx.x == 0)
    to.scales[row] = scale;
}

} // namespace

void RoundToFp8(cudaStream_t stream, const void *x, DType type, const float *norm, float epsilon, const Fp8Rows &to) {
  auto launch = [&](auto *kernel) { Launch(kernel, unsigned(to.rows), threads, 0, stream, x, norm, epsilon, to); };
  auto launchWith = [&](auto most) {
    constexpr int fours = decltype(most)::value;
    type == DType::BF16 ? launch(RoundToFp8Kernel<__nv_bfloat16, fours>) : launch(RoundToFp8Kernel<float, fours>);
  };
  if (to.columns <= 4 * threads * 4)
    launchWith(std::integral_constant<int, 4>{});
  else
    launchWith(std::integral_constant<int, 12>{});
}

} // namespace compressc::cuda
