// Small arrays on their way to the device and back: gathered in pinned memory, sent in one copy, so that the host
// never waits for work that is under way.
#pragma once

#include "compressc/runtime/status.h"
#include "absl/types/span.h"
#include <cuda_runtime_api.h>
#include <vector>

namespace compressc::cuda {

/// Pinned host memory that grows; what it held is gone when it grows.
class PinnedBuffer {
public:
  PinnedBuffer() = default;
  PinnedBuffer(const PinnedBuffer &) = delete;
  PinnedBuffer &operator=(const PinnedBuffer &) = delete;
  ~PinnedBuffer() { cudaFreeHost(memory); }
  cudaError_t grow(size_t bytes);
  void *data() const { return memory; }

private:
  void *memory = nullptr;
  size_t size = 0;
};

/// Device memory that grows; the stream's work is waited for then.
class DeviceBuffer {
public:
  DeviceBuffer() = default;
  DeviceBuffer(const DeviceBuffer &) = delete;
  DeviceBuffer &operator=(const DeviceBuffer &) = delete;
  ~DeviceBuffer() { cudaFree(memory); }
  cudaError_t grow(cudaStream_t stream, size_t bytes);
  void *data() const { return memory; }
  size_t bytes() const { return size; }

private:
  void *memory = nullptr;
  size_t size = 0;
};

/// Arrays that go to the device together. Two pinned buffers take turns: one is filled while the other is sent.
class Upload {
public:
  ~Upload();
  /// Adds an array; the result is its place, for at().
  template <typename T> size_t add(absl::Span<const T> values) {
    return append(values.data(), values.size() * sizeof(T));
  }
  template <typename T> size_t add(const std::vector<T> &values) { return add(absl::MakeConstSpan(values)); }
  /// Sends what was added since the last time. The memory of earlier sends is overwritten, in the stream's order.
  cudaError_t send(cudaStream_t stream);
  template <typename T> const T *at(size_t place) const {
    return reinterpret_cast<const T *>(static_cast<const char *>(device.data()) + place);
  }
  size_t deviceBytes() const { return device.bytes(); }

private:
  size_t append(const void *data, size_t bytes);
  struct Turn {
    PinnedBuffer memory;
    cudaEvent_t sent = nullptr;
  };
  std::vector<char> gathered;
  DeviceBuffer device;
  Turn turns[2];
  int turn = 0;
};

} // namespace compressc::cuda
