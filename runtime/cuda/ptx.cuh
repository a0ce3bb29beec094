// Instructions that have no name in CUDA C++. Fragments of tensor core products are laid out as PTX describes
// mma.m16n8k16: lane / 4 names a row, lane % 4 a pair of columns.
#pragma once

#include <cstdint>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <type_traits>

#ifndef COMPRESSC_CUDA_EMULATED // its forms of them are force-included

namespace compressc::cuda {

/// The shared memory that a launch asks for.
template <typename T> __device__ __forceinline__ T *DynamicShared() {
  extern __shared__ __align__(128) uint8_t dynamicShared[];
  return reinterpret_cast<T *>(dynamicShared);
}

/// As instructions name it.
__device__ __forceinline__ uint32_t SharedAddress(const void *shared) { return uint32_t(__cvta_generic_to_shared(shared)); }

/// (v & mask) | bits in one instruction.
template <uint32_t mask> __device__ __forceinline__ uint32_t AndOr(uint32_t v, uint32_t bits) {
  uint32_t result;
  asm("lop3.b32 %0, %1, %2, %3, 0xea;" : "=r"(result) : "r"(v), "n"(mask), "r"(bits));
  return result;
}

/// For each of the four last digits of `selector`, hexadecimal and below 8, that byte of low (0-3) and high (4-7).
__device__ __forceinline__ uint32_t SelectBytes(uint32_t low, uint32_t high, uint32_t selector) {
  uint32_t result;
  asm("prmt.b32 %0, %1, %2, %3;" : "=r"(result) : "r"(low), "r"(high), "r"(selector));
  return result;
}

/// Neighbouring words of memory that is read once.
template <int words> __device__ __forceinline__ void LoadOnce(uint32_t (&to)[words], const void *from) {
  static_assert(words == 1 || words == 2 || words == 4);
  if constexpr (words == 4) {
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "l"(from));
  } else if constexpr (words == 2) {
    asm volatile("ld.global.nc.L1::no_allocate.v2.u32 {%0,%1}, [%2];" : "=r"(to[0]), "=r"(to[1]) : "l"(from));
  } else {
    asm volatile("ld.global.nc.L1::no_allocate.u32 %0, [%1];" : "=r"(to[0]) : "l"(from));
  }
}

/// Neighbouring words, whose address is a multiple of their bytes.
template <int words> __device__ __forceinline__ void Copy(uint32_t *to, const void *from) {
  static_assert(words == 1 || words == 2 || words == 4);
  if constexpr (words == 4) {
    uint4 v = *static_cast<const uint4 *>(from);
    to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
  } else if constexpr (words == 2) {
    uint2 v = *static_cast<const uint2 *>(from);
    to[0] = v.x, to[1] = v.y;
  } else {
    to[0] = *static_cast<const uint32_t *>(from);
  }
}

/// Adds to four neighbours in global memory, on compute capability 9.0 and above.
__device__ __forceinline__ void AddTo4(float *global, float4 v) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
  asm volatile("red.global.add.v4.f32 [%0], {%1,%2,%3,%4};" ::"l"(global), "f"(v.x), "f"(v.y), "f"(v.z), "f"(v.w) : "memory");
#endif
}

/// Its cache line, in time for a read of it.
__device__ __forceinline__ void PrefetchToL2(const void *global) { asm volatile("prefetch.global.L2 [%0];" ::"l"(global)); }

/// 16 bytes to shared memory, there once WaitForCopies has waited for their group; zeros unless it `exists`. The T4
/// (sm_75) copies at once.
__device__ __forceinline__ void CopyAsync(uint32_t shared, const void *global, bool exists) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  int bytes = exists ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(global), "r"(bytes) : "memory");
#else
  uint4 v = exists ? *static_cast<const uint4 *>(global) : uint4{0, 0, 0, 0};
  asm volatile("st.shared.v4.u32 [%0], {%1,%2,%3,%4};" ::"r"(shared), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w) : "memory");
#endif
}
/// A word likewise.
__device__ __forceinline__ void CopyWordAsync(uint32_t shared, const void *global, bool exists) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  int bytes = exists ? 4 : 0;
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared), "l"(global), "r"(bytes) : "memory");
#else
  uint32_t v = exists ? *static_cast<const uint32_t *>(global) : 0;
  asm volatile("st.shared.u32 [%0], %1;" ::"r"(shared), "r"(v) : "memory");
#endif
}
__device__ __forceinline__ void EndGroupOfCopies() {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
/// All but the newest `open` groups of this thread are there.
template <int open> __device__ __forceinline__ void WaitForCopies() {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(open) : "memory");
#endif
}

/// 2^x, to 2 units in the last place; what would be subnormal is 0.
__device__ __forceinline__ float ExponentialOf2(float x) {
  float power;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x));
  return power;
}

/// Four 8x8 matrices of 16 bits, whose rows' addresses the lanes have.
__device__ __forceinline__ void LoadMatrices(uint32_t (&r)[4], uint32_t shared) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared));
}
__device__ __forceinline__ void LoadTransposed(uint32_t (&r)[4], uint32_t shared) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared));
}
/// Four 8x8 matrices of 16 bits whose columns go where the lanes' addresses say, on compute capability 9.0 and above.
__device__ __forceinline__ void StoreTransposed(uint32_t shared, const uint32_t (&r)[4]) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
  asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1,%2,%3,%4};" ::"r"(shared), "r"(r[0]), "r"(r[1]), "r"(r[2]),
               "r"(r[3])
               : "memory");
#endif
}

/// c[16, 8] += a[16, 16] * b[16, 8], bf16 or fp16 with fp32 sums.
template <typename Half>
__device__ __forceinline__ void MultiplyTiles(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  if constexpr (std::is_same_v<Half, __half>)
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  else
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
  // In halves of the depth, and in fp16 only: kernels of bf16 are empty on sm_75.
  if constexpr (std::is_same_v<Half, __half>) {
    auto multiply = [&](uint32_t low, uint32_t high, uint32_t b) {
      asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
                   : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                   : "r"(low), "r"(high), "r"(b));
    };
    multiply(a[0], a[1], b0);
    multiply(a[2], a[3], b1);
  }
#endif
}

/// c[16, 8] += a[16, 32] * b[32, 8], of unsigned and signed bytes.
__device__ __forceinline__ void MultiplyBytes(int (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
  auto multiply = [](int &c0, int &c1, uint32_t part, uint32_t b) { // of 8 rows and half the depth
    asm volatile("mma.sync.aligned.m8n8k16.row.col.s32.u8.s8.s32 {%0,%1}, {%2}, {%3}, {%0,%1};" : "+r"(c0), "+r"(c1) : "r"(part), "r"(b));
  };
  multiply(c[0], c[1], a[0], b0), multiply(c[0], c[1], a[2], b1);
  multiply(c[2], c[3], a[1], b0), multiply(c[2], c[3], a[3], b1);
#endif
}

} // namespace compressc::cuda

#endif
