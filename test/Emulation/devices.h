// How many GPUs there seem to be, and when one is lost. A program that is not a test reads the environment:
// COMPRESSC_EMULATED_GPUS=N, COMPRESSC_EMULATED_FAILURE=GPU:LAUNCHES:ERROR, COMPRESSC_EMULATED_CAPABILITY=MAJOR.MINOR.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cuda_runtime_api.h>

namespace compressc::cuda::emulated {

constexpr int mostDevices = 8;

void SetDeviceCount(int count);
/// After so many more launches on the GPU, whatever it is asked to do gives this error. cudaSuccess: it works again.
void FailAfter(int device, int64_t launches, cudaError_t error);
/// Launches on a GPU so far.
int64_t LaunchesOn(int device);
size_t AllocatedOn(int device);

} // namespace compressc::cuda::emulated
