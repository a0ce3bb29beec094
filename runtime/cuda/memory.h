// Memory of the GPU that is handed out and comes back in the stream's order, and large copies between the host and it.
#pragma once

#include "compressc/runtime/status.h"
#include "compressc/runtime/thread_pool.h"
#include "staging.h"
#include <cuda_runtime_api.h>
#include <memory>

namespace compressc::cuda {

/// The driver's stream-ordered pool, which keeps what comes back.
class DeviceMemory {
public:
  cudaError_t open(cudaStream_t stream);
  /// What was handed out must be back.
  void close();
  /// Contents undefined; aligned to 256 bytes. Back in the pool when the last owner goes.
  cudaError_t allocate(int64_t bytes, std::shared_ptr<void> &memory);
  /// Bytes that the pool took from the GPU at most.
  int64_t peakBytes() const;

private:
  cudaStream_t stream = nullptr;
  cudaMemPool_t pool = nullptr;
};

/// Copies through two pinned buffers: threads fill or empty one while the copy engine works on the other. Pageable
/// memory alone is copied by one thread of the driver.
class Staging {
public:
  ~Staging();
  cudaError_t toDevice(cudaStream_t stream, void *to, const void *from, int64_t bytes, ThreadPool &pool);
  /// Waits for the stream's work before.
  cudaError_t toHost(cudaStream_t stream, void *to, const void *from, int64_t bytes, ThreadPool &pool);

private:
  struct Turn {
    PinnedBuffer buffer;
    cudaEvent_t done = nullptr;
  };
  cudaError_t open();
  Turn turns[2];
};

} // namespace compressc::cuda
