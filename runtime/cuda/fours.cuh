// Four neighbouring elements at a time, in fp32 whatever their type; their address is a multiple of four of them.
#pragma once

#include "half.cuh"

namespace compressc::cuda {

__device__ __forceinline__ void Put4(float *to, float4 v) { *reinterpret_cast<float4 *>(to) = v; }
template <typename Half> __device__ __forceinline__ void Put4(Half *to, float4 v) {
  *reinterpret_cast<uint2 *>(to) = {Pack<Half>(v.x, v.y), Pack<Half>(v.z, v.w)};
}
__device__ __forceinline__ float4 Get4(const float *from) { return *reinterpret_cast<const float4 *>(from); }
/// Four of a row, by the factor of its norm (rms_norm) and the norm's weight.
__device__ __forceinline__ float4 Normalised(float4 v, float factor, float4 w) {
  return {v.x * factor * w.x, v.y * factor * w.y, v.z * factor * w.z, v.w * factor * w.w};
}
/// Four of 16 bits in two words.
template <typename Half> __device__ __forceinline__ float4 Fours(uint2 raw) {
  float2 low = Unpack<Half>(raw.x), high = Unpack<Half>(raw.y);
  return {low.x, low.y, high.x, high.y};
}
template <typename Half> __device__ __forceinline__ float4 Get4(const Half *from) {
  return Fours<Half>(*reinterpret_cast<const uint2 *>(from));
}

} // namespace compressc::cuda
