#include "staging.h"
#include <algorithm>
#include <cstring>

namespace compressc::cuda {

cudaError_t PinnedBuffer::grow(size_t bytes) {
  if (bytes <= size)
    return cudaSuccess;
  cudaFreeHost(memory);
  memory = nullptr, size = 0;
  cudaError_t error = cudaMallocHost(&memory, bytes);
  if (error == cudaSuccess)
    size = bytes;
  return error;
}

cudaError_t DeviceBuffer::grow(cudaStream_t stream, size_t bytes) {
  if (bytes <= size)
    return cudaSuccess;
  cudaStreamSynchronize(stream);
  cudaFree(memory);
  memory = nullptr, size = 0;
  cudaError_t error = cudaMalloc(&memory, bytes);
  if (error == cudaSuccess)
    size = bytes;
  return error;
}

Upload::~Upload() {
  for (Turn &turn : turns)
    if (turn.sent)
      cudaEventDestroy(turn.sent);
}

size_t Upload::append(const void *data, size_t bytes) {
  constexpr size_t alignment = 64;
  size_t place = (gathered.size() + alignment - 1) / alignment * alignment;
  gathered.resize(place + bytes);
  if (bytes)
    std::memcpy(gathered.data() + place, data, bytes);
  return place;
}

cudaError_t Upload::send(cudaStream_t stream) {
  Turn &now = turns[turn];
  turn ^= 1;
  cudaError_t error = now.sent ? cudaEventSynchronize(now.sent) : cudaEventCreateWithFlags(&now.sent, cudaEventDisableTiming);
  size_t bytes = gathered.size();
  // Twice as much as is needed, so that growing is rare: it waits for the device.
  if (error == cudaSuccess)
    error = now.memory.grow(bytes);
  if (error == cudaSuccess && bytes > device.bytes())
    error = device.grow(stream, std::max<size_t>(2 * bytes, 1 << 16));
  if (error == cudaSuccess && bytes) {
    std::memcpy(now.memory.data(), gathered.data(), bytes);
    error = cudaMemcpyAsync(device.data(), now.memory.data(), bytes, cudaMemcpyHostToDevice, stream);
    if (error == cudaSuccess)
      error = cudaEventRecord(now.sent, stream);
  }
  gathered.clear();
  return error;
}

} // namespace compressc::cuda
