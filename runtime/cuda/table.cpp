// The kernels of CUDA devices.
#include "compressc/runtime/kernel_row.h"
#include "device.h"

namespace compressc::cuda {

#define COMPRESSC_KERNEL(name, function, ...) Status function##Kernel(KernelContext &context, const KernelCall &call);
#define COMPRESSC_CPU_KERNEL(name, function, ...)
#include "../ops/kernels.def"
#undef COMPRESSC_KERNEL
#undef COMPRESSC_CPU_KERNEL

namespace {
constexpr KernelFunction functions[] = { // as KernelRows
#define COMPRESSC_KERNEL(name, function, ...) &function##Kernel,
#define COMPRESSC_CPU_KERNEL(name, function, ...) nullptr,
#include "../ops/kernels.def"
};
} // namespace

KernelFunction CudaDevice::findKernel(std::string_view name) const {
  const KernelRow *row = FindKernelRow(name);
  return row ? functions[row - KernelRows().data()] : nullptr;
}

} // namespace compressc::cuda
