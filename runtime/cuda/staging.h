// Small arrays on their way to the device and back: gathered in pinned memory, sent in one copy, so that the host
// never waits for work that is under way.
#pragma once

#include "compressc/runtime/status.h"
#include "absl/types/span.h"
#include <cstring>
#include <cuda_runtime_api.h>
#include <vector>

namespace compressc::cuda {

/// Pinned host memory that grows.
class PinnedBuffer {
public:
  PinnedBuffer() = default;
  PinnedBuffer(const PinnedBuffer &) = delete;
  PinnedBuffer &operator=(const PinnedBuffer &) = delete;
  ~PinnedBuffer() { cudaFreeHost(memory); }
  /// The first `keep` bytes stay what they are.
  cudaError_t grow(size_t bytes, size_t keep = 0);
  void *data() const { return memory; }
  size_t bytes() const { return size; }

private:
  void *memory = nullptr;
  size_t size = 0;
};

class DeviceMemory;

/// Device memory that grows; the stream's work is waited for then.
class DeviceBuffer {
public:
  explicit DeviceBuffer(DeviceMemory &account) : account(account) {}
  DeviceBuffer(const DeviceBuffer &) = delete;
  DeviceBuffer &operator=(const DeviceBuffer &) = delete;
  ~DeviceBuffer() { release(); }
  cudaError_t grow(cudaStream_t stream, size_t bytes);
  void *data() const { return memory; }
  size_t bytes() const { return size; }

private:
  void release();
  DeviceMemory &account;
  void *memory = nullptr;
  size_t size = 0;
};

/// Arrays that go to the device together. Two pinned buffers take turns: one is filled while the other is sent.
class Upload {
public:
  explicit Upload(DeviceMemory &account) : device(account) {}
  ~Upload();
  /// Adds an array; the result is its place, for at().
  template <typename T> size_t add(absl::Span<const T> values) {
    size_t bytes = values.size() * sizeof(T);
    void *to = add(bytes);
    if (to && bytes)
      std::memcpy(to, values.data(), bytes);
    return last;
  }
  template <typename T> size_t add(const std::vector<T> &values) { return add(absl::MakeConstSpan(values)); }
  /// Room for an array that the caller fills before the next call; the first one's place is 0. Null when there is
  /// no pinned memory, which send() reports.
  void *add(size_t bytes);
  /// Sends what was added since the last time. The memory of earlier sends is overwritten, in the stream's order.
  cudaError_t send(cudaStream_t stream);
  template <typename T> const T *at(size_t place) const {
    return reinterpret_cast<const T *>(static_cast<const char *>(device.data()) + place);
  }
  size_t deviceBytes() const { return device.bytes(); }

private:
  struct Turn {
    PinnedBuffer memory;
    cudaEvent_t sent = nullptr;
  };
  DeviceBuffer device;
  Turn turns[2];
  int turn = 0;
  size_t used = 0, last = 0; // of the turn's memory
  cudaError_t failure = cudaSuccess;
};

} // namespace compressc::cuda
