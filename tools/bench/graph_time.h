// Times what a benchmark starts on a stream, as a CUDA graph, so that nothing of the host's is in it.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cuda_runtime_api.h>
#include <vector>

/// Ends the program with a line of JSON when a call has failed.
inline void check(cudaError_t error, const char *what) {
  if (error != cudaSuccess) {
    std::printf("{\"error\": \"%s: %s\"}\n", what, cudaGetErrorString(error));
    std::exit(1);
  }
}

/// Median seconds of what `enqueue` starts.
template <typename F> double GraphSeconds(cudaStream_t stream, F enqueue) {
  constexpr int repeats = 20;
  cudaGraph_t graph;
  cudaGraphExec_t executable;
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "recording");
  enqueue();
  check(cudaGetLastError(), "a launch");
  check(cudaStreamEndCapture(stream, &graph), "recording");
  check(cudaGraphInstantiate(&executable, graph, 0), "recording");
  cudaEvent_t begin, end;
  check(cudaEventCreate(&begin), "an event");
  check(cudaEventCreate(&end), "an event");
  std::vector<float> times;
  for (int i = 0; i < repeats + 3; ++i) {
    check(cudaEventRecord(begin, stream), "an event");
    check(cudaGraphLaunch(executable, stream), "a graph");
    check(cudaEventRecord(end, stream), "an event");
    check(cudaEventSynchronize(end), "the kernels");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, begin, end), "an event");
    if (i >= 3)
      times.push_back(milliseconds);
  }
  std::nth_element(times.begin(), times.begin() + repeats / 2, times.end());
  return times[repeats / 2] / 1000;
}
