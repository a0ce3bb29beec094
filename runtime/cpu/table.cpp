#include "compressc/runtime/kernel_row.h"
#include "kernels.h"
#include <iterator>

namespace compressc {
namespace {

constexpr KernelFunction functions[] = { // as KernelRows
#define COMPRESSC_KERNEL(name, function, ...) &function##Kernel,
#define COMPRESSC_CPU_KERNEL COMPRESSC_KERNEL
#include "../ops/kernels.def"
};

} // namespace

KernelFunction FindKernel(std::string_view name) {
  const KernelRow *row = FindKernelRow(name);
  return row ? functions[row - KernelRows().data()] : nullptr;
}

} // namespace compressc
