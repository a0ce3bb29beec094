// A thread for each element.
#pragma once

#include "launch.cuh"
#include <cstdint>

namespace compressc::cuda {

constexpr int threads = 256; // of a block, where a kernel doesn't say otherwise

inline unsigned BlocksFor(int64_t count) { return unsigned((count + threads - 1) / threads); }

template <typename F> __global__ void __launch_bounds__(threads) ForEachKernel(int64_t count, F f) {
  int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (i < count)
    f(i);
}
/// f(i) for i < count.
template <typename F> void ForEach(cudaStream_t stream, int64_t count, F f) {
  if (count > 0)
    Launch(ForEachKernel<F>, BlocksFor(count), threads, 0, stream, count, f);
}

} // namespace compressc::cuda
