// Where kernels note the first element that is NaN or infinite.
#pragma once

#include "device.h"
#include <limits>

namespace compressc::cuda {

class FirstBad {
public:
  /// Several of them, one after the other.
  static StatusOr<FirstBad> Create(CudaDevice &device, int count = 1);
  int64_t *data() const { return static_cast<int64_t *>(memory.get()); }
  /// Waits for the work given so far. The index, or -1.
  StatusOr<int64_t> get(int which = 0) const;

private:
  CudaDevice *device = nullptr;
  std::shared_ptr<void> memory;
};

} // namespace compressc::cuda
