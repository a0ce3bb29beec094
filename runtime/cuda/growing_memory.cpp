#include "growing_memory.h"
#include <algorithm>
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <utility>

namespace compressc::cuda {
namespace {

/// Functions of the driver, which the CUDA runtime has found.
struct Driver {
  decltype(&cuMemAddressReserve) reserve = find<decltype(&cuMemAddressReserve)>("cuMemAddressReserve");
  decltype(&cuMemAddressFree) free = find<decltype(&cuMemAddressFree)>("cuMemAddressFree");
  decltype(&cuMemCreate) create = find<decltype(&cuMemCreate)>("cuMemCreate");
  decltype(&cuMemRelease) release = find<decltype(&cuMemRelease)>("cuMemRelease");
  decltype(&cuMemMap) map = find<decltype(&cuMemMap)>("cuMemMap");
  decltype(&cuMemUnmap) unmap = find<decltype(&cuMemUnmap)>("cuMemUnmap");
  decltype(&cuMemSetAccess) setAccess = find<decltype(&cuMemSetAccess)>("cuMemSetAccess");
  decltype(&cuMemGetAllocationGranularity) granularityOf =
      find<decltype(&cuMemGetAllocationGranularity)>("cuMemGetAllocationGranularity");

  bool whole() const { return reserve && free && create && release && map && unmap && setAccess && granularityOf; }

  template <typename F> static F find(const char *name) {
    void *function = nullptr;
    cudaDriverEntryPointQueryResult result;
    if (cudaGetDriverEntryPointByVersion(name, &function, 12000, cudaEnableDefault, &result) != cudaSuccess ||
        result != cudaDriverEntryPointSuccess)
      return nullptr;
    return reinterpret_cast<F>(function);
  }
};

const Driver &driver() {
  static const Driver functions;
  return functions;
}

CUmemAllocationProp propertiesOf(int device) {
  CUmemAllocationProp properties{};
  properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, device};
  return properties;
}

} // namespace

StatusOr<GrowingMemory> GrowingMemory::Reserve(int64_t bytes, int device) {
  CUmemAllocationProp properties = propertiesOf(device);
  size_t unit = 0;
  if (!driver().whole() || driver().granularityOf(&unit, &properties, CU_MEM_ALLOC_GRANULARITY_MINIMUM) != CUDA_SUCCESS || unit == 0)
    return absl::FailedPreconditionError("the CUDA driver can't map memory; update it, or use --device=cpu");
  GrowingMemory memory;
  memory.device = device;
  memory.unit = int64_t(unit);
  memory.reserved = memory.rounded(std::max<int64_t>(bytes, 1));
  if (CUresult error = driver().reserve(&memory.base, size_t(memory.reserved), 0, 0, 0); error != CUDA_SUCCESS) {
    memory.base = 0;
    return absl::ResourceExhaustedError(absl::StrCat("no addresses for ", bytes >> 20, " MiB of GPU memory (error ", int(error), ")"));
  }
  return memory;
}

GrowingMemory &GrowingMemory::operator=(GrowingMemory &&other) noexcept {
  std::swap(base, other.base);
  std::swap(reserved, other.reserved);
  std::swap(committed, other.committed);
  std::swap(unit, other.unit);
  std::swap(device, other.device);
  std::swap(blocks, other.blocks);
  return *this;
}

GrowingMemory::~GrowingMemory() {
  if (!base)
    return;
  int64_t at = 0;
  for (const Block &block : blocks) {
    driver().unmap(base + CUdeviceptr(at), size_t(block.bytes));
    driver().release(block.handle);
    at += block.bytes;
  }
  driver().free(base, size_t(reserved));
}

int64_t GrowingMemory::missing(int64_t bytes) const { return std::max<int64_t>(0, rounded(bytes) - committed); }

Status GrowingMemory::commit(int64_t bytes) {
  int64_t more = missing(bytes);
  if (more == 0)
    return absl::OkStatus();
  CUmemGenericAllocationHandle handle = 0;
  CUmemAllocationProp properties = propertiesOf(device);
  CUmemAccessDesc access{properties.location, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
  CUresult error = driver().create(&handle, size_t(more), &properties, 0);
  if (error == CUDA_SUCCESS) {
    error = driver().map(base + CUdeviceptr(committed), size_t(more), 0, handle, 0);
    if (error != CUDA_SUCCESS)
      driver().release(handle);
  }
  if (error == CUDA_SUCCESS) {
    blocks.push_back({handle, more});
    error = driver().setAccess(base + CUdeviceptr(committed), size_t(more), &access, 1);
    committed += more;
  }
  if (error == CUDA_ERROR_OUT_OF_MEMORY)
    return absl::ResourceExhaustedError(absl::StrCat(more >> 20, " MiB"));
  if (error != CUDA_SUCCESS)
    return absl::InternalError(absl::StrCat("CUDA: mapping memory failed with error ", int(error)));
  return absl::OkStatus();
}

} // namespace compressc::cuda
