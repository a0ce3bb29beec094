// Clusters: blocks that run at the same time, and write to each other's shared memory (compute capability 9.0 and above).
#pragma once

#include "launch.cuh"
#include "ptx.cuh"

namespace compressc::cuda {

#ifndef COMPRESSC_CUDA_EMULATED

/// By all threads of all blocks of the cluster; what they have written before is seen behind WaitForCluster.
__device__ __forceinline__ void ArriveAtCluster() {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
#endif
}
__device__ __forceinline__ void WaitForCluster() {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
#endif
}
/// At the same place in the shared memory of the cluster's block `rank`.
__device__ __forceinline__ void StoreInCluster(float4 *shared, int rank, float4 v) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
  asm volatile("{\n.reg .b32 there;\nmapa.shared::cluster.u32 there, %0, %1;\n"
               "st.shared::cluster.v4.f32 [there], {%2, %3, %4, %5};\n}" ::"r"(SharedAddress(shared)),
               "r"(rank), "f"(v.x), "f"(v.y), "f"(v.z), "f"(v.w)
               : "memory");
#endif
}

#endif

/// As LaunchChained, in clusters of neighbouring blocks.
template <typename... Parameters, typename... Arguments>
void LaunchCluster(void (*kernel)(Parameters...), unsigned blocks, unsigned clusterBlocks, unsigned threads, size_t shared,
                   cudaStream_t stream, const Arguments &...arguments) {
  cudaLaunchAttribute attributes[2];
  attributes[0].id = cudaLaunchAttributeClusterDimension;
  attributes[0].val.clusterDim.x = clusterBlocks, attributes[0].val.clusterDim.y = attributes[0].val.clusterDim.z = 1;
  attributes[1].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attributes[1].val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = detail::ConfigOf(dim3(blocks), threads, shared, stream);
  config.attrs = attributes, config.numAttrs = 2;
  detail::Launch(kernel, config, arguments...);
}

} // namespace compressc::cuda
