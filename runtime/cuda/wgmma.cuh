// Products of a warpgroup, four neighbouring warps, which run while its threads go on (wgmma, sm_90a alone). Registers
// are laid out as PTX describes m64nNk16: warp w has the rows 16w … 16w + 15, in the fragments of mma.m16n8k16 (ptx.cuh).
#pragma once

#include "ptx.cuh"

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ == 900 && !defined(__CUDA_ARCH_FEAT_SM90_ALL)
#error "kernels for compute capability 9.0 are built for 90a"
#endif

namespace compressc::cuda {

/// Whether the architecture that is compiled for has these products. Kernels of them are empty elsewhere, and never started.
__device__ constexpr bool HasWarpgroupProducts() {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL) || !defined(__CUDA_ARCH__)
  return true;
#else
  return false;
#endif
}

/// A matrix in shared memory as its rows of 128 bytes lie there: 16-byte chunk c of row r in the place of chunk
/// c ^ (r % 8), eight rows after eight, the first of them at a multiple of 1024 bytes. 64 columns are a panel.
__device__ __forceinline__ constexpr uint32_t SwizzledChunk(int row, int chunk) { return uint32_t(row * 128 + (chunk ^ row % 8) * 16); }

/// A matrix descriptor of PTX: the address, bytes from panel to panel of columns (where the columns are not what is
/// summed over), bytes from eight rows to the next eight, and 128-byte swizzling.
__device__ __forceinline__ constexpr uint64_t SwizzledMatrix(uint32_t address, uint32_t panelBytes) {
  return uint64_t(1) << 62 | uint64_t(1024 / 16) << 32 | uint64_t(panelBytes / 16 & 0x3fff) << 16 | (address / 16 & 0x3fff);
}

/// One of 8 rows of 16 bytes after another, for a left operand's depth of 16: bytes from the first half of the depth to the
/// second, and from eight rows to the next eight.
__device__ __forceinline__ constexpr uint64_t PlainMatrix(uint32_t address, uint32_t halfBytes, uint32_t rowsBytes) {
  return uint64_t(rowsBytes / 16 & 0x3fff) << 32 | uint64_t(halfBytes / 16 & 0x3fff) << 16 | (address / 16 & 0x3fff);
}

#ifndef COMPRESSC_CUDA_EMULATED

/// By each thread that wrote to shared memory what products read next, before the barrier.
__device__ __forceinline__ void ShowToProducts() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

/// `c` is neither read earlier nor written later, as the compiler sees it.
template <int count> __device__ __forceinline__ void Settle(float (&c)[count]) {
#pragma unroll
  for (int i = 0; i < count; ++i)
    asm volatile("" : "+f"(c[i])::"memory");
}

/// Before the first product that reads or adds to registers which the threads have written.
__device__ __forceinline__ void BeginProducts() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#endif
}
/// And `c` is what they add to.
template <int count> __device__ __forceinline__ void BeginProducts(float (&c)[count]) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  Settle(c);
  BeginProducts();
#endif
}
__device__ __forceinline__ void EndGroupOfProducts() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#endif
}
/// All but the newest `open` groups are done.
template <int open> __device__ __forceinline__ void WaitForProducts() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(open) : "memory");
#endif
}
/// And `c` is what they have computed.
template <int open, int count> __device__ __forceinline__ void WaitForProducts(float (&c)[count]) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  WaitForProducts<open>();
  Settle(c);
#endif
}

/// By each thread of a warpgroup, of a kernel whose blocks' size is bound: how many registers its threads have from here on,
/// a multiple of 8. There are as many to take as others have released.
template <int count> __device__ __forceinline__ void ReleaseRegisters() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(count));
#endif
}
template <int count> __device__ __forceinline__ void TakeRegisters() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(count));
#endif
}

/// Keeps ptxas from computing this number, which is never below 0, after the wait for products that follows: by a store
/// that depends on it, and that no thread does. Without, it moves all arithmetic behind the wait.
__device__ __forceinline__ void FinishBeforeWaiting(float number, uint32_t shared) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("{\n.reg .pred never;\nsetp.lt.f32 never, %0, 0f00000000;\n@never st.volatile.shared.f32 [%1], %0;\n}"
               :
               : "f"(number), "r"(shared)
               : "memory");
#endif
}

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define COMPRESSC_SUMS_8(c, i)                                                                                         \
  "+f"(c[i]), "+f"(c[i + 1]), "+f"(c[i + 2]), "+f"(c[i + 3]), "+f"(c[i + 4]), "+f"(c[i + 5]), "+f"(c[i + 6]), "+f"(c[i + 7])
#define COMPRESSC_SUMS_32(c, i) COMPRESSC_SUMS_8(c, i), COMPRESSC_SUMS_8(c, i + 8), COMPRESSC_SUMS_8(c, i + 16), COMPRESSC_SUMS_8(c, i + 24)
#define COMPRESSC_MULTIPLY_16(type)                                                                                    \
  asm volatile("{\n.reg .pred add;\nsetp.ne.b32 add, %13, 0;\n"                                                        \
               "wgmma.mma_async.sync.aligned.m64n16k16.f32." type "." type " "                                         \
               "{%0,%1,%2,%3,%4,%5,%6,%7}, {%8,%9,%10,%11}, %12, add, 1, 1, %14;\n}"                                   \
               : COMPRESSC_SUMS_8(c, 0)                                                                                \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(int(add)), "n"(int(transposed)))
#define COMPRESSC_MULTIPLY_32(type)                                                                                    \
  asm volatile("{\n.reg .pred add;\nsetp.ne.b32 add, %21, 0;\n"                                                        \
               "wgmma.mma_async.sync.aligned.m64n32k16.f32." type "." type " "                                         \
               "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15}, {%16,%17,%18,%19}, %20, add, 1, 1, %22;\n}"   \
               : COMPRESSC_SUMS_8(c, 0), COMPRESSC_SUMS_8(c, 8)                                                        \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(int(add)), "n"(int(transposed)))
#define COMPRESSC_MULTIPLY_64(type)                                                                                    \
  asm volatile("{\n.reg .pred add;\nsetp.ne.b32 add, %37, 0;\n"                                                        \
               "wgmma.mma_async.sync.aligned.m64n64k16.f32." type "." type " "                                         \
               "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,"   \
               "%27,%28,%29,%30,%31}, {%32,%33,%34,%35}, %36, add, 1, 1, %38;\n}"                                      \
               : COMPRESSC_SUMS_32(c, 0)                                                                               \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(int(add)), "n"(int(transposed)))
#define COMPRESSC_MULTIPLY_128(type)                                                                                   \
  asm volatile("{\n.reg .pred add;\nsetp.ne.b32 add, %69, 0;\n"                                                        \
               "wgmma.mma_async.sync.aligned.m64n128k16.f32." type "." type " "                                        \
               "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,"   \
               "%27,%28,%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,"  \
               "%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63}, {%64,%65,%66,%67}, %68, add, 1, 1, %70;\n}"          \
               : COMPRESSC_SUMS_32(c, 0), COMPRESSC_SUMS_32(c, 32)                                                     \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(int(add)), "n"(int(transposed)))
#endif

/// c[64, columns] = a[64, 16] * b[16, columns], added to c where `add`, bf16 or fp16 with fp32 sums. Rows of b's matrix
/// in shared memory are b's columns, or with `transposed` b's rows. Until WaitForProducts, c is not to be touched.
template <typename Half, int columns, bool transposed>
__device__ __forceinline__ void MultiplyLater(float (&c)[columns / 2], const uint32_t (&a)[4], uint64_t b, bool add) {
  static_assert(columns == 16 || columns == 32 || columns == 64 || columns == 128);
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define COMPRESSC_MULTIPLY(columns)                                                                                    \
  if constexpr (std::is_same_v<Half, __half>)                                                                          \
    COMPRESSC_MULTIPLY_##columns("f16");                                                                               \
  else                                                                                                                 \
    COMPRESSC_MULTIPLY_##columns("bf16")
  if constexpr (columns == 16) {
    COMPRESSC_MULTIPLY(16);
  } else if constexpr (columns == 32) {
    COMPRESSC_MULTIPLY(32);
  } else if constexpr (columns == 64) {
    COMPRESSC_MULTIPLY(64);
  } else {
    COMPRESSC_MULTIPLY(128);
  }
#undef COMPRESSC_MULTIPLY
#endif
}

/// c[64, 128] = a[64, 32] * b[32, 128], added to c where `add`, of e4m3 with sums of some 13 bits behind the greatest's first.
/// Rows of b's matrix in shared memory are b's columns.
__device__ __forceinline__ void MultiplyE4M3Later(float (&c)[64], const uint32_t (&a)[4], uint64_t b, bool add) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("{\n.reg .pred add;\nsetp.ne.b32 add, %69, 0;\n"
               "wgmma.mma_async.sync.aligned.m64n128k32.f32.e4m3.e4m3 "
               "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,"
               "%27,%28,%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,"
               "%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63}, {%64,%65,%66,%67}, %68, add, 1, 1;\n}"
               : COMPRESSC_SUMS_32(c, 0), COMPRESSC_SUMS_32(c, 32)
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(int(add)));
#endif
}

#undef COMPRESSC_MULTIPLY_128
#undef COMPRESSC_MULTIPLY_64
#undef COMPRESSC_MULTIPLY_32
#undef COMPRESSC_MULTIPLY_16
#undef COMPRESSC_SUMS_32
#undef COMPRESSC_SUMS_8

#endif

} // namespace compressc::cuda
