// The 16-bit types of products' operands and KV caches: bf16, or fp16 for GPUs without it. What is rounded to fp16
// stays finite, at most 65504 in magnitude; NaN stays NaN.
#pragma once

#include "compressc/runtime/tensor.h"
#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace compressc::cuda {

constexpr float largestHalf = 65504.0f;
__device__ __forceinline__ float Saturated(float v) { return fabsf(v) > largestHalf ? copysignf(largestHalf, v) : v; }

__device__ __forceinline__ float ToFloat(float v) { return v; }
__device__ __forceinline__ float ToFloat(__half v) { return __half2float(v); }
__device__ __forceinline__ float ToFloat(__nv_bfloat16 v) { return __bfloat162float(v); }

__device__ __forceinline__ void Put(float *to, float v) { *to = v; }
__device__ __forceinline__ void Put(__half *to, float v) { *to = __float2half_rn(Saturated(v)); }
__device__ __forceinline__ void Put(__nv_bfloat16 *to, float v) { *to = __float2bfloat16_rn(v); }
/// To an array of this type, fp32, bf16 or fp16.
__device__ __forceinline__ void PutAt(void *to, DType type, int64_t at, float v) {
  if (type == DType::F32)
    Put(static_cast<float *>(to) + at, v);
  else if (type == DType::F16)
    Put(static_cast<__half *>(to) + at, v);
  else
    Put(static_cast<__nv_bfloat16 *>(to) + at, v);
}

/// Two neighbours in a word.
template <typename Half> __device__ __forceinline__ uint32_t PackInRange(float low, float high) {
  if constexpr (std::is_same_v<Half, __half>) {
    __half2 pair = __floats2half2_rn(low, high);
    return *reinterpret_cast<uint32_t *>(&pair);
  } else {
    __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<uint32_t *>(&pair);
  }
}
template <typename Half> __device__ __forceinline__ uint32_t Pack(float low, float high) {
  if constexpr (std::is_same_v<Half, __half>)
    return PackInRange<Half>(Saturated(low), Saturated(high));
  else
    return PackInRange<Half>(low, high);
}
/// Two neighbours of an array of fp32 or of `Half`.
template <typename Half> __device__ __forceinline__ uint32_t PairAt(const void *from, DType type, int64_t at) {
  if (type != DType::F32)
    return *reinterpret_cast<const uint32_t *>(static_cast<const Half *>(from) + at);
  float2 pair = *reinterpret_cast<const float2 *>(static_cast<const float *>(from) + at);
  return Pack<Half>(pair.x, pair.y);
}
template <typename Half> __device__ __forceinline__ float2 Unpack(uint32_t pair) {
  if constexpr (std::is_same_v<Half, __half>)
    return __half22float2(*reinterpret_cast<__half2 *>(&pair));
  else
    return {__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000u)};
}
/// a - b of both.
template <typename Half> __device__ __forceinline__ uint32_t SubtractPairs(uint32_t a, uint32_t b) {
  using Pair = std::conditional_t<std::is_same_v<Half, __half>, __half2, __nv_bfloat162>;
  Pair difference = __hsub2(*reinterpret_cast<Pair *>(&a), *reinterpret_cast<Pair *>(&b));
  return *reinterpret_cast<uint32_t *>(&difference);
}

/// Whether kernels of this type are compiled for the architecture; the others are empty there, and never started.
template <typename Half> __device__ constexpr bool IsForThisGpu() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
  return !std::is_same_v<Half, __nv_bfloat16>;
#else
  return true;
#endif
}

/// Calls f with a value of the type, bf16 or fp16.
template <typename F> void WithHalf(DType type, F f) {
  if (type == DType::F16)
    f(__half{});
  else
    f(__nv_bfloat16{});
}

} // namespace compressc::cuda
