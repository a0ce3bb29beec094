// The emulated device, and the work of its streams: it is done at once, or recorded.
#pragma once

#include <cuda_runtime_api.h>
#include <functional>

namespace compressc::cuda::emulated {

void Enqueue(cudaStream_t stream, std::function<void()> work);
/// Whether a kernel may be started there by this thread.
cudaError_t CountLaunch(cudaStream_t stream);
void SetLastError(cudaError_t error);
/// Of devices opened from now on.
void SetComputeCapability(int major, int minor);

} // namespace compressc::cuda::emulated
