// Memory of the GPU for benchmarks.
#pragma once

#include "graph_time.h"
#include <cstddef>
#include <vector>

/// Room for `count`.
template <typename T> T *Allocated(size_t count) {
  void *memory = nullptr;
  check(cudaMalloc(&memory, count * sizeof(T)), "cudaMalloc");
  return static_cast<T *>(memory);
}

/// A copy of these.
template <typename T> T *Sent(const std::vector<T> &host) {
  T *memory = Allocated<T>(host.size());
  check(cudaMemcpy(memory, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice), "cudaMemcpy");
  return memory;
}
