// The quantiser of runtime/cpu/quantizer.h and isa/quantizer_loops.cpp, with the same bits: every operation is rounded
// by itself.
#pragma once

#include "load.cuh"

namespace compressc::cuda {

struct Quantizer {
  float scale, zero;
};

struct QuantizerFormat {
  int bits;
  bool symmetric;
  DType scaleType;
  __host__ __device__ float maxCode() const { return float((1 << bits) - 1); }
};

inline QuantizerFormat formatOf(const PackedFormat &format) {
  return {format.bits, format.symmetric, format.scaleType};
}

/// To the nearest whole number, ties to even, for |value| <= 2^22.
__device__ __forceinline__ float RoundHalfEven(float value) {
  constexpr float magic = 12582912.0f;
  return __fsub_rn(__fadd_rn(value, magic), magic);
}

__device__ __forceinline__ float RoundToType(float value, DType type) {
  if (type == DType::F16)
    return __half2float(__float2half_rn(value));
  if (type == DType::BF16)
    return __bfloat162float(__float2bfloat16_rn(value));
  return value;
}

/// Of a group whose values lie in [low, high], low <= 0 <= high.
__device__ __forceinline__ Quantizer ChooseQuantizer(float low, float high, const QuantizerFormat &format) {
  float extent = format.symmetric ? fmaxf(-low, high) : __fsub_rn(high, low);
  float steps = format.symmetric ? float((1 << (format.bits - 1)) - 1) : format.maxCode();
  float scale = RoundToType(__fdiv_rn(fmaxf(extent, 1e-8f), steps), format.scaleType);
  if (format.scaleType == DType::F16)
    scale = fmaxf(scale, 0x1p-24f);
  if (format.symmetric)
    return {scale, float(1 << (format.bits - 1))};
  return {scale, RoundHalfEven(fminf(__fdiv_rn(-low, scale), format.maxCode()))};
}

/// code - zero for a search: the value times 1 / scale, which very rarely rounds to the neighbour.
__device__ __forceinline__ float NearLevel(float value, Quantizer q, float inverse, float maxCode) {
  return RoundHalfEven(fminf(fmaxf(value * inverse, -q.zero), maxCode - q.zero));
}

/// code - zero
__device__ __forceinline__ float Level(float value, Quantizer q, float maxCode) {
  return RoundHalfEven(fminf(fmaxf(__fdiv_rn(value, q.scale), -q.zero), __fsub_rn(maxCode, q.zero)));
}

__device__ __forceinline__ bool IsFinite(float value) { return (__float_as_uint(value) & 0x7f800000u) != 0x7f800000u; }

__device__ __forceinline__ void NoteBad(int64_t *bad, int64_t index) {
  atomicMin(reinterpret_cast<long long *>(bad), static_cast<long long>(index));
}

template <typename T> __device__ __forceinline__ T WarpMin(T v) {
#pragma unroll
  for (int step = 16; step; step /= 2)
    v = min(v, __shfl_xor_sync(~0u, v, step));
  return v;
}
template <typename T> __device__ __forceinline__ T WarpMax(T v) {
#pragma unroll
  for (int step = 16; step; step /= 2)
    v = max(v, __shfl_xor_sync(~0u, v, step));
  return v;
}
template <typename T> __device__ __forceinline__ T WarpSum(T v) {
#pragma unroll
  for (int step = 16; step; step /= 2)
    v += __shfl_xor_sync(~0u, v, step);
  return v;
}

/// The sum over a block of `size` threads, in thread 0, always added in one order.
template <int size> __device__ __forceinline__ double BlockSum(double v) {
  __shared__ double shared[size / 32];
  v = WarpSum(v);
  if (threadIdx.x % 32 == 0)
    shared[threadIdx.x / 32] = v;
  __syncthreads();
  if (threadIdx.x == 0)
    for (int i = 1; i < size / 32; ++i)
      v += shared[i];
  __syncthreads();
  return v;
}

/// Four columns of a plain weight's row, or fewer at its end; the rest is 0. `column` and the weight's columns are
/// multiples of `vector`, 1 or 4.
template <int vector>
__device__ __forceinline__ void LoadPlain(const Matrix &w, int64_t row, int64_t column, float (&v)[vector]) {
  int64_t at = row * w.columns + column;
  if constexpr (vector == 1) {
    v[0] = PlainAt(w.data, w.dtype, at);
  } else if (w.dtype == DType::F32) {
    float4 four = *reinterpret_cast<const float4 *>(reinterpret_cast<const float *>(w.data) + at);
    v[0] = four.x, v[1] = four.y, v[2] = four.z, v[3] = four.w;
  } else {
    uint2 four = *reinterpret_cast<const uint2 *>(w.data + at * 2);
    uint32_t words[2] = {four.x, four.y};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      uint16_t bits = uint16_t(words[i / 2] >> (16 * (i % 2)));
      v[i] = w.dtype == DType::F16 ? HalfBits(bits) : __uint_as_float(uint32_t(bits) << 16);
    }
  }
}

/// Consecutive numbers of a vector; with 4 of them `at` is a multiple of 4.
template <int vector> __device__ __forceinline__ void LoadFloats(const float *from, int64_t at, float (&v)[vector]) {
  if constexpr (vector == 4) {
    float4 four = *reinterpret_cast<const float4 *>(from + at);
    v[0] = four.x, v[1] = four.y, v[2] = four.z, v[3] = four.w;
  } else {
    v[0] = from[at];
  }
}

/// Calls f(std::integral_constant) with the width that loads of this weight's groups can have.
template <typename F> void WithVector(const Matrix &w, int64_t group, F f) {
  bool four = group % 4 == 0 && reinterpret_cast<uintptr_t>(w.data) % 16 == 0;
  if (four)
    f(std::integral_constant<int, 4>{});
  else
    f(std::integral_constant<int, 1>{});
}

} // namespace compressc::cuda
