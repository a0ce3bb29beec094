// Copies of whole stages to shared memory by one thread (cp.async.bulk), and the barriers there that tell of their end
// (mbarrier): of compute capability 9.0 and above.
#pragma once

#include "ptx.cuh"

#ifndef COMPRESSC_CUDA_EMULATED

namespace compressc::cuda {

/// A barrier of 8 bytes at a multiple of 8. A phase ends with the last of `count` arrivals and the last expected byte.
__device__ __forceinline__ void InitBarrier(uint32_t barrier, uint32_t count) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count) : "memory");
#endif
}
/// By the thread that began barriers, before the block's threads meet.
__device__ __forceinline__ void ShowBarriers() {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#endif
}
__device__ __forceinline__ void Arrive(uint32_t barrier) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
#endif
}
/// Arrives, and `bytes` are to come by copies.
__device__ __forceinline__ void ArriveExpecting(uint32_t barrier, uint32_t bytes) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
#endif
}
/// From global memory; all are multiples of 16.
__device__ __forceinline__ void CopyBulk(uint32_t shared, const void *global, uint32_t bytes, uint32_t barrier) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(shared), "l"(global),
               "r"(bytes), "r"(barrier)
               : "memory");
#endif
}
/// Until phase number 0, 2, 4 … (parity 0), or 1, 3 … (1), has ended.
__device__ __forceinline__ void WaitForPhase(uint32_t barrier, uint32_t parity) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
  asm volatile("{\n.reg .pred ended;\nAGAIN:\n"
               "mbarrier.try_wait.parity.shared::cta.b64 ended, [%0], %1;\n"
               "@ended bra ENDED;\nbra AGAIN;\nENDED:\n}" ::"r"(barrier),
               "r"(parity)
               : "memory");
#endif
}

} // namespace compressc::cuda

#endif
