#include "staging.h"
#include "memory.h"
#include <algorithm>
#include <utility>

namespace compressc::cuda {

cudaError_t PinnedBuffer::grow(size_t bytes, size_t keep) {
  if (bytes <= size)
    return cudaSuccess;
  void *larger = nullptr;
  cudaError_t error = cudaMallocHost(&larger, bytes);
  if (error != cudaSuccess)
    return error;
  if (keep)
    std::memcpy(larger, memory, keep);
  cudaFreeHost(memory);
  memory = larger, size = bytes;
  return cudaSuccess;
}

cudaError_t DeviceBuffer::grow(cudaStream_t stream, size_t bytes) {
  if (bytes <= size)
    return cudaSuccess;
  cudaStreamSynchronize(stream);
  release();
  cudaError_t error = account.take(int64_t(bytes));
  if (error != cudaSuccess)
    return error;
  error = cudaMalloc(&memory, bytes);
  if (error == cudaSuccess)
    size = bytes;
  else
    account.giveBack(int64_t(bytes));
  return error;
}

void DeviceBuffer::release() {
  cudaFree(memory);
  account.giveBack(int64_t(size));
  memory = nullptr, size = 0;
}

Upload::~Upload() {
  for (Turn &turn : turns)
    if (turn.sent)
      cudaEventDestroy(turn.sent);
}

void *Upload::add(size_t bytes) {
  constexpr size_t alignment = 64;
  Turn &now = turns[turn];
  if (used == 0 && failure == cudaSuccess) // what was sent from here has arrived
    failure = now.sent ? cudaEventSynchronize(now.sent) : cudaEventCreateWithFlags(&now.sent, cudaEventDisableTiming);
  last = (used + alignment - 1) / alignment * alignment;
  size_t end = last + std::max<size_t>(bytes, 1);
  // Twice as much as is needed, so that growing is rare.
  if (failure == cudaSuccess && end > now.memory.bytes())
    failure = now.memory.grow(std::max<size_t>(2 * end, 1 << 16), used);
  used = end;
  return failure == cudaSuccess ? static_cast<char *>(now.memory.data()) + last : nullptr;
}

cudaError_t Upload::send(cudaStream_t stream) {
  Turn &now = turns[turn];
  cudaError_t error = std::exchange(failure, cudaSuccess);
  if (error == cudaSuccess && used > device.bytes())
    error = device.grow(stream, now.memory.bytes()); // waits for the device
  if (error == cudaSuccess && used) {
    error = cudaMemcpyAsync(device.data(), now.memory.data(), used, cudaMemcpyHostToDevice, stream);
    if (error == cudaSuccess)
      error = cudaEventRecord(now.sent, stream);
  }
  turn ^= 1;
  used = 0;
  return error;
}

} // namespace compressc::cuda
