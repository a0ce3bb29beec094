// In place of the CUDA device, where the build found no nvcc.
#include "compressc/runtime/collective.h"
#include "compressc/runtime/device.h"

namespace compressc {

static Status absent() {
  return absl::UnimplementedError("this program was built without CUDA (no nvcc was found); use --device=cpu");
}

StatusOr<std::unique_ptr<Device>> OpenCudaDevice(const DeviceOptions &) { return absent(); }
StatusOr<std::unique_ptr<Collective>> OpenCudaCollective(absl::Span<Device *const>) { return absent(); }
StatusOr<int> CountCudaDevices() { return absent(); }
std::optional<int> CudaCapability() { return std::nullopt; }

} // namespace compressc
