// How kernels are started. Chained ones begin while the one before still runs (programmatic dependent launch, sm_90):
// what does not depend on it, asking for weights above all, is done meanwhile. Each of them calls
// WaitForTheOneBefore, also when it needs nothing of it: the one behind relies on that.
#pragma once

#include <cuda_runtime.h>

namespace compressc::cuda {

__device__ __forceinline__ void LetTheNextBegin() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  cudaTriggerProgrammaticLaunchCompletion();
#endif
}
__device__ __forceinline__ void WaitForTheOneBefore() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  cudaGridDependencySynchronize();
#endif
}

namespace detail {

template <typename... Parameters, typename... Arguments>
void Launch(void (*kernel)(Parameters...), const cudaLaunchConfig_t &config, const Arguments &...arguments) {
#ifdef COMPRESSC_CUDA_EMULATED
  emulated::Launch(kernel, config, static_cast<Parameters>(arguments)...);
#else
  cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...); // cudaGetLastError tells
#endif
}

inline cudaLaunchConfig_t ConfigOf(dim3 blocks, unsigned threads, size_t shared, cudaStream_t stream) {
  cudaLaunchConfig_t config{};
  config.gridDim = blocks, config.blockDim = dim3(threads), config.dynamicSmemBytes = shared, config.stream = stream;
  return config;
}

} // namespace detail

/// `shared`: bytes of DynamicShared.
template <typename... Parameters, typename... Arguments>
void Launch(void (*kernel)(Parameters...), dim3 blocks, unsigned threads, size_t shared, cudaStream_t stream,
            const Arguments &...arguments) {
  detail::Launch(kernel, detail::ConfigOf(blocks, threads, shared, stream), arguments...);
}

template <typename... Parameters, typename... Arguments>
void LaunchChained(void (*kernel)(Parameters...), dim3 blocks, unsigned threads, size_t shared, cudaStream_t stream,
                   const Arguments &...arguments) {
  static const bool supported = [] {
    int device = 0, major = 0;
    return cudaGetDevice(&device) == cudaSuccess &&
           cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess && major >= 9;
  }();
  cudaLaunchAttribute early;
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = detail::ConfigOf(blocks, threads, shared, stream);
  config.attrs = &early, config.numAttrs = supported ? 1 : 0;
  detail::Launch(kernel, config, arguments...);
}

} // namespace compressc::cuda
