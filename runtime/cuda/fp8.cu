// Operands of products in e4m3: activations rounded to it, and packed weights, whose codes minus their zero it has
// exactly.
#include "fp8.h"
#include "load.cuh"
#include "rows.cuh"
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
__device__ __forceinline__ float4 Normalised(float4 v, float factor, float4 weight) {
  return {v.x * factor * weight.x, v.y * factor * weight.y, v.z * factor * weight.z, v.w * factor * weight.w};
}

/// A block for each row, a warp for each of its scales: the arithmetic of the CPU's RoundRowToFp8.
template <typename In>
__global__ void __launch_bounds__(threads) RoundToFp8Kernel(const void *x, const float *norm, float epsilon, Fp8Rows to) {
  const In *from = static_cast<const In *>(x) + blockIdx.x * to.columns;
  float factor = norm ? rows::NormFactor<threads>(from, to.columns, epsilon) : 1.0f;
  int lane = threadIdx.x % 32;
  for (int64_t block = threadIdx.x / 32; block < to.columns / fp8Block; block += threads / 32) {
    int64_t column = block * fp8Block + lane * 4;
    float4 v = Get4(from + column);
    if (norm)
      v = Normalised(v, factor, Get4(norm + column));
    v = {rounded(v.x), rounded(v.y), rounded(v.z), rounded(v.w)};
    uint32_t most = 0; // as integers, NaN is greater than all
    for (float each : {v.x, v.y, v.z, v.w})
      most = max(most, __float_as_uint(each) & 0x7fffffffu);
#pragma unroll
    for (int step = 16; step; step /= 2)
      most = max(most, __shfl_xor_sync(~0u, most, step));
    float scale = __uint_as_float(most) / 448.0f;
    if (scale < FLT_MIN)
      scale = 1;
    float inverse = 1.0f / scale;
    *reinterpret_cast<uint32_t *>(to.codes + blockIdx.x * to.columns + column) =
        Codes4({v.x * inverse, v.y * inverse, v.z * inverse, v.w * inverse});
    if (lane == 0)
      to.scales[to.scaleAt(blockIdx.x, block)] = scale;
  }
}

/// A thread for every 32 columns, which are as many words as a code has bits.
template <int bits> void expand(cudaStream_t stream, const Matrix &w, const Fp8Rows &to) {
  int parts = int(w.columns / 32), groups = int(w.columns / w.group);
  ForEach(stream, w.rows * parts, [=] __device__(int64_t i) {
    int64_t row = int(i) / parts; // in 32 bits, as load.cuh does
    int part = int(i) % parts, group = part * 32 / w.group;
    float zero = ZeroAt(w, bits, row, group, groups);
    const uint32_t *from = reinterpret_cast<const uint32_t *>(w.data + row * w.rowBytes) + part * bits;
    uint32_t words[bits + 1] = {}, codes[8];
#pragma unroll
    for (int j = 0; j < bits; ++j)
      words[j] = from[j];
    auto value = [&](int column) {
      int at = column * bits;
      uint64_t pair = words[at / 32] | uint64_t(words[at / 32 + 1]) << 32;
      return float(uint32_t(pair >> at % 32) & ((1u << bits) - 1)) - zero;
    };
#pragma unroll
    for (int j = 0; j < 8; ++j)
      codes[j] = Codes4({value(4 * j), value(4 * j + 1), value(4 * j + 2), value(4 * j + 3)});
    uint4 *out = reinterpret_cast<uint4 *>(to.codes + row * to.columns + part * 32);
    out[0] = {codes[0], codes[1], codes[2], codes[3]};
    out[1] = {codes[4], codes[5], codes[6], codes[7]};
    if (part % (fp8Block / 32) == 0)
      to.scales[to.scaleAt(row, part * 32 / fp8Block)] = PlainAt(w.scales, w.scaleType, row * groups + group);
  });
}

} // namespace

void RoundToFp8(cudaStream_t stream, const void *x, DType type, const float *norm, float epsilon, const Fp8Rows &to) {
  auto launch = [&](auto *kernel) { Launch(kernel, unsigned(to.rows), threads, 0, stream, x, norm, epsilon, to); };
  type == DType::BF16 ? launch(RoundToFp8Kernel<__nv_bfloat16>) : launch(RoundToFp8Kernel<float>);
}

void ExpandToFp8(cudaStream_t stream, const Matrix &w, const Fp8Rows &to) {
  switch (w.bits) {
  case 2: return expand<2>(stream, w, to);
  case 3: return expand<3>(stream, w, to);
  default: return expand<4>(stream, w, to);
  }
}

} // namespace compressc::cuda
