// In place of the CUDA device, where the build found no nvcc.
#include "compressc/runtime/device.h"

namespace compressc {

StatusOr<std::unique_ptr<Device>> OpenCudaDevice(const DeviceOptions &) {
  return absl::UnimplementedError("this program was built without CUDA (no nvcc was found); use --device=cpu");
}

std::optional<int> CudaCapability() { return std::nullopt; }

} // namespace compressc
