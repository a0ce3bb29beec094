// Memory of the GPU that is handed out and comes back in the stream's order, and large copies between the host and it.
#pragma once

#include "compressc/runtime/status.h"
#include "compressc/runtime/thread_pool.h"
#include "staging.h"
#include <algorithm>
#include <cuda_runtime_api.h>
#include <memory>

namespace compressc::cuda {

/// The driver's stream-ordered pool, which keeps what comes back, and the account of what is taken besides: with a
/// limit there seems to be no more memory than that.
class DeviceMemory {
public:
  cudaError_t open(cudaStream_t stream, int device);
  /// `driver`: bytes that it took before any was asked for.
  void limit(int64_t bytes, int64_t driver) { most = bytes, drivers = driver; }
  bool isLimited() const { return most > 0; }
  /// Of a limit.
  int64_t freeBytes() const { return std::max<int64_t>(0, most - drivers - taken - pooled()); }
  int64_t driverBytes() const { return drivers; }
  /// Before memory is allocated elsewhere: whether there is as much. giveBack() follows when that is free again.
  cudaError_t take(int64_t bytes);
  void giveBack(int64_t bytes) { taken -= bytes; }
  /// What was handed out must be back.
  void close();
  /// Contents undefined; aligned to 256 bytes. Back in the pool when the last owner goes.
  cudaError_t allocate(int64_t bytes, std::shared_ptr<void> &memory);
  /// Bytes that were taken from the GPU at most, without the driver's.
  int64_t peakBytes() const;

private:
  int64_t pooled() const;
  bool fits(int64_t bytes) const { return !isLimited() || bytes <= freeBytes(); }
  /// Gives what the pool keeps back to the GPU.
  void trim();

  cudaStream_t stream = nullptr;
  cudaMemPool_t pool = nullptr;
  int64_t most = 0, drivers = 0; // 0: no limit
  int64_t taken = 0, mostTaken = 0; // elsewhere
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
