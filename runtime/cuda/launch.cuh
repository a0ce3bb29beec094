// How kernels are started. Chained ones begin while the one before still runs (programmatic dependent launch, sm_90):
// what does not depend on it, asking for weights above all, is done meanwhile. Each of them calls
// WaitForTheOneBefore, also when it needs nothing of it: the one behind relies on that.
#pragma once

#include <atomic>
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

/// Of the thread's device; 0 when there is none. The runtime has it at hand, so nothing is kept here, where devices differ.
inline int DeviceAttribute(cudaDeviceAttr attribute) {
  int device = 0, value = 0;
  bool known = cudaGetDevice(&device) == cudaSuccess && cudaDeviceGetAttribute(&value, attribute, device) == cudaSuccess;
  return known ? value : 0;
}

/// At least 1.
inline int Multiprocessors() {
  int count = DeviceAttribute(cudaDevAttrMultiProcessorCount);
  return count > 1 ? count : 1;
}

/// Whether kernels that are compiled for 90a run there: products of warpgroups (wgmma.cuh).
inline bool HasCapability90() {
  return DeviceAttribute(cudaDevAttrComputeCapabilityMajor) == 9 && DeviceAttribute(cudaDevAttrComputeCapabilityMinor) == 0;
}

/// What is done once on each device.
class OncePerDevice {
public:
  template <typename F> void operator()(const F &f) {
    int device = 0;
    cudaGetDevice(&device);
    uint64_t bit = uint64_t(1) << (device & 63);
    if ((done.load(std::memory_order_relaxed) & bit) && device < 64)
      return;
    f();
    done.fetch_or(bit, std::memory_order_relaxed);
  }

private:
  std::atomic<uint64_t> done{0};
};

/// `shared`: bytes of DynamicShared.
template <typename... Parameters, typename... Arguments>
void Launch(void (*kernel)(Parameters...), dim3 blocks, unsigned threads, size_t shared, cudaStream_t stream,
            const Arguments &...arguments) {
  detail::Launch(kernel, detail::ConfigOf(blocks, threads, shared, stream), arguments...);
}

template <typename... Parameters, typename... Arguments>
void LaunchChained(void (*kernel)(Parameters...), dim3 blocks, unsigned threads, size_t shared, cudaStream_t stream,
                   const Arguments &...arguments) {
  cudaLaunchAttribute early;
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = detail::ConfigOf(blocks, threads, shared, stream);
  config.attrs = &early, config.numAttrs = DeviceAttribute(cudaDevAttrComputeCapabilityMajor) >= 9 ? 1 : 0;
  detail::Launch(kernel, config, arguments...);
}

} // namespace compressc::cuda
