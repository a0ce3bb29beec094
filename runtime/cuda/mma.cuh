// Tensor cores (sm_80 and later).
#pragma once

#include <cstdint>
#include <cuda_bf16.h>

namespace compressc::cuda {

/// Two neighbours of a fragment.
__device__ __forceinline__ uint32_t Pack(float low, float high) {
  __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<uint32_t *>(&pair);
}

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
/// c[16, 8] += a[16, 16] * b[16, 8], bf16 with fp32 sums; fragments as PTX's mma.m16n8k16 has them.
__device__ __forceinline__ void MultiplyTiles(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
#endif

} // namespace compressc::cuda
