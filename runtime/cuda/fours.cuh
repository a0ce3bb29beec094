// Four neighbouring elements at a time, in fp32 whatever their type; their address is a multiple of four of them.
#pragma once

#include <cstdint>
#include <cuda_bf16.h>

namespace compressc::cuda {

__device__ __forceinline__ void Put4(float *to, float4 v) { *reinterpret_cast<float4 *>(to) = v; }
__device__ __forceinline__ void Put4(__nv_bfloat16 *to, float4 v) {
  __nv_bfloat162 pairs[2] = {__floats2bfloat162_rn(v.x, v.y), __floats2bfloat162_rn(v.z, v.w)};
  *reinterpret_cast<uint2 *>(to) = *reinterpret_cast<uint2 *>(pairs);
}
__device__ __forceinline__ float4 Get4(const float *from) { return *reinterpret_cast<const float4 *>(from); }
/// Four of bf16 in two words.
__device__ __forceinline__ float4 Fours(uint2 raw) {
  return {__uint_as_float(raw.x << 16), __uint_as_float(raw.x & 0xffff0000u), __uint_as_float(raw.y << 16),
          __uint_as_float(raw.y & 0xffff0000u)};
}
__device__ __forceinline__ float4 Get4(const __nv_bfloat16 *from) { return Fours(*reinterpret_cast<const uint2 *>(from)); }

} // namespace compressc::cuda
