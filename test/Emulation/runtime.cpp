// The functions of the CUDA runtime and driver that the device uses, on the CPU. Devices are of compute capability 9.0
// unless told otherwise;
// their memory lies before pages that no one may touch, so that what is written beyond an allocation's end, or more than
// 255 bytes in front of it, stops the program. As on real ones, a thread works with the device that it has set, and
// kernels and events go to streams of their device only.
#include "devices.h"
#include "stream.h"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cuda.h>
#include <map>
#include <memory>
#include <mutex>
#include <string_view>
#include <sys/mman.h>
#include <utility>
#include <vector>

using compressc::cuda::emulated::Enqueue;
using Work = std::vector<std::function<void()>>;

struct CUstream_st {
  int device;
  std::unique_ptr<Work> recording;
};
struct CUgraph_st {
  Work work;
};
struct CUgraphExec_st {
  Work work;
};
struct CUevent_st {
  int device;
};
struct CUmemPoolHandle_st {
  int device;
  uint64_t used = 0, most = 0;
};

namespace {

constexpr size_t page = 4096, alignment = 256;
constexpr size_t totalMemory = size_t(4) << 30;
int major = 9, minor = 0;

std::mutex mutex;
thread_local cudaError_t lastError = cudaSuccess;
thread_local int current = 0;

struct Machine {
  int count = 1;
  struct Gpu {
    size_t allocated = 0;
    int64_t launches = 0, last = -1; // launch, before it fails; -1: it does not
    cudaError_t failure = cudaSuccess;
    cudaError_t state() const { return last >= 0 && launches > last ? failure : cudaSuccess; }
  } gpus[compressc::cuda::emulated::mostDevices];

  Machine() {
    if (const char *text = std::getenv("COMPRESSC_EMULATED_GPUS"))
      count = std::clamp(std::atoi(text), 0, int(std::size(gpus)));
    if (const char *text = std::getenv("COMPRESSC_EMULATED_CAPABILITY"))
      std::sscanf(text, "%d.%d", &major, &minor);
    long long launches = 0;
    int gpu = 0, error = 0;
    const char *text = std::getenv("COMPRESSC_EMULATED_FAILURE");
    if (text && std::sscanf(text, "%d:%lld:%d", &gpu, &launches, &error) == 3 && gpu >= 0 && gpu < count)
      gpus[gpu].last = launches, gpus[gpu].failure = cudaError_t(error);
  }
};
Machine &machine() {
  static Machine only;
  return only;
}

cudaError_t stateOf(int device) {
  std::lock_guard lock(mutex);
  return machine().gpus[device].state();
}
cudaError_t stateOf(cudaStream_t stream) { return stateOf(stream ? stream->device : current); }

struct Allocation {
  void *base;
  size_t mapped, bytes;
  cudaMemPool_t pool = nullptr;
  int device = 0;
};
std::map<void *, Allocation> allocations;

size_t roundUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

cudaError_t allocate(void **memory, size_t bytes, cudaMemPool_t pool) {
  std::lock_guard lock(mutex);
  size_t size = roundUp(std::max<size_t>(bytes, 1), alignment), mapped = roundUp(size, page) + page;
  int device = pool ? pool->device : current;
  Machine::Gpu &gpu = machine().gpus[device];
  if (gpu.state() != cudaSuccess)
    return lastError = gpu.state();
  if (gpu.allocated + size > totalMemory)
    return lastError = cudaErrorMemoryAllocation;
  void *base = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED)
    return lastError = cudaErrorMemoryAllocation;
  mprotect(static_cast<char *>(base) + mapped - page, page, PROT_NONE);
  std::memset(base, 0xff, mapped - page); // NaN
  *memory = static_cast<char *>(base) + mapped - page - size;
  allocations[*memory] = {base, mapped, size, pool, device};
  gpu.allocated += size;
  if (pool)
    pool->most = std::max(pool->most, pool->used += size);
  return cudaSuccess;
}

cudaError_t release(void *memory) {
  std::lock_guard lock(mutex);
  if (!memory)
    return cudaSuccess;
  auto found = allocations.find(memory);
  if (found == allocations.end())
    return lastError = cudaErrorInvalidValue;
  munmap(found->second.base, found->second.mapped);
  machine().gpus[found->second.device].allocated -= found->second.bytes;
  if (found->second.pool)
    found->second.pool->used -= found->second.bytes;
  allocations.erase(found);
  return cudaSuccess;
}

} // namespace

namespace compressc::cuda::emulated {

void Enqueue(cudaStream_t stream, std::function<void()> work) {
  if (stream && stream->recording)
    stream->recording->push_back(std::move(work));
  else
    work();
}
void SetLastError(cudaError_t error) { lastError = error; }
void SetComputeCapability(int newMajor, int newMinor) { major = newMajor, minor = newMinor; }

cudaError_t CountLaunch(cudaStream_t stream) {
  std::lock_guard lock(mutex);
  if (stream && stream->device != current)
    return cudaErrorInvalidResourceHandle;
  Machine::Gpu &gpu = machine().gpus[current];
  ++gpu.launches;
  return gpu.state();
}

void SetDeviceCount(int count) { machine().count = std::clamp(count, 0, mostDevices); }
void FailAfter(int device, int64_t launches, cudaError_t error) {
  std::lock_guard lock(mutex);
  Machine::Gpu &gpu = machine().gpus[device];
  gpu.failure = error;
  gpu.last = error == cudaSuccess ? -1 : gpu.launches + launches;
}
int64_t LaunchesOn(int device) {
  std::lock_guard lock(mutex);
  return machine().gpus[device].launches;
}
size_t AllocatedOn(int device) {
  std::lock_guard lock(mutex);
  return machine().gpus[device].allocated;
}

} // namespace compressc::cuda::emulated

extern "C" {

cudaError_t cudaGetDeviceCount(int *count) { return (*count = machine().count) ? cudaSuccess : cudaErrorNoDevice; }
cudaError_t cudaDriverGetVersion(int *version) { return *version = CUDART_VERSION, cudaSuccess; }
cudaError_t cudaGetDevice(int *device) { return *device = current, cudaSuccess; }
cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= machine().count)
    return cudaErrorInvalidDevice;
  current = device;
  return stateOf(device);
}
cudaError_t cudaDeviceSetLimit(cudaLimit, size_t) { return cudaSuccess; }
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device) {
  *properties = {};
  std::strcpy(properties->name, "emulated GPU");
  properties->major = major, properties->minor = minor;
  properties->pciBusID = device;
  properties->multiProcessorCount = 4;
  properties->totalGlobalMem = totalMemory;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int) {
  switch (attribute) {
  case cudaDevAttrComputeCapabilityMajor: *value = major; break;
  case cudaDevAttrComputeCapabilityMinor: *value = minor; break;
  case cudaDevAttrMultiProcessorCount: *value = 4; break;
  case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = (major < 8 ? 64 : 227) << 10; break; // of a T4 and an H200
  case cudaDevAttrMaxSharedMemoryPerMultiprocessor: *value = (major < 8 ? 64 : 228) << 10; break;
  default: *value = 0;
  }
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t *free, size_t *total) {
  std::lock_guard lock(mutex);
  *total = totalMemory;
  *free = totalMemory - machine().gpus[current].allocated;
  return cudaSuccess;
}
cudaError_t cudaGetLastError() { return std::exchange(lastError, cudaSuccess); }
const char *cudaGetErrorString(cudaError_t error) {
  switch (error) {
  case cudaSuccess: return "no error";
  case cudaErrorMemoryAllocation: return "out of memory";
  case cudaErrorNoDevice: return "no CUDA-capable device is detected";
  case cudaErrorECCUncorrectable: return "uncorrectable ECC error encountered";
  case cudaErrorLaunchFailure: return "unspecified launch failure";
  case cudaErrorInvalidResourceHandle: return "invalid resource handle";
  default: return "invalid argument";
  }
}
cudaError_t cudaFuncSetAttribute(const void *, cudaFuncAttribute, int) { return cudaSuccess; }
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, const void *, int, size_t) { return *blocks = 1, cudaSuccess; }

cudaError_t cudaMalloc(void **memory, size_t bytes) { return allocate(memory, bytes, nullptr); }
cudaError_t cudaFree(void *memory) { return release(memory); }
cudaError_t cudaMallocHost(void **memory, size_t bytes) { return (*memory = std::malloc(bytes)) ? cudaSuccess : cudaErrorMemoryAllocation; }
cudaError_t cudaFreeHost(void *memory) { return std::free(memory), cudaSuccess; }
cudaError_t cudaMemPoolCreate(cudaMemPool_t *pool, const cudaMemPoolProps *properties) {
  return *pool = new CUmemPoolHandle_st{properties->location.id}, cudaSuccess;
}
cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool) {
  if (pool->used) {
    std::fprintf(stderr, "CUDA emulation: %zu bytes of a pool were not given back\n", size_t(pool->used));
    std::abort();
  }
  delete pool;
  return cudaSuccess;
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void *) { return cudaSuccess; }
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void *value) {
  *static_cast<uint64_t *>(value) = attribute == cudaMemPoolAttrReservedMemHigh ? pool->most : pool->used;
  return cudaSuccess;
}
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, size_t) { return cudaSuccess; }
cudaError_t cudaMallocFromPoolAsync(void **memory, size_t bytes, cudaMemPool_t pool, cudaStream_t) { return allocate(memory, bytes, pool); }
cudaError_t cudaFreeAsync(void *memory, cudaStream_t) { return release(memory); }

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  Enqueue(stream, [=] { std::memmove(to, from, bytes); });
  return stateOf(stream);
}
cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream) {
  Enqueue(stream, [=] { std::memset(to, value, bytes); });
  return stateOf(stream);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned) { return *stream = new CUstream_st{current, nullptr}, stateOf(current); }
cudaError_t cudaStreamDestroy(cudaStream_t stream) { return delete stream, cudaSuccess; }
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return stream && stream->recording ? lastError = cudaErrorStreamCaptureUnsupported : stateOf(stream);
}
cudaError_t cudaStreamQuery(cudaStream_t stream) { return stateOf(stream); } // work is done when it is given
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  stream->recording = std::make_unique<Work>();
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
  *graph = new CUgraph_st{std::move(*stream->recording)};
  stream->recording.reset();
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *executable, cudaGraph_t graph, unsigned long long) {
  return *executable = new CUgraphExec_st{graph->work}, cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  cudaError_t error = compressc::cuda::emulated::CountLaunch(stream);
  if (error != cudaSuccess)
    return lastError = error;
  for (const std::function<void()> &work : executable->work)
    Enqueue(stream, work);
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return delete graph, cudaSuccess; }
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) { return delete executable, cudaSuccess; }

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned) { return *event = new CUevent_st{current}, stateOf(current); }
cudaError_t cudaEventDestroy(cudaEvent_t event) { return delete event, cudaSuccess; }
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return stream && stream->device != event->device ? lastError = cudaErrorInvalidResourceHandle : stateOf(stream);
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) { return event ? stateOf(event->device) : cudaSuccess; }

} // extern "C"

// The driver's mapped memory: addresses first, pages when they are wanted.
namespace {

CUresult reserveAddresses(CUdeviceptr *base, size_t bytes, size_t, CUdeviceptr, unsigned long long) {
  void *memory = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    return CUDA_ERROR_OUT_OF_MEMORY;
  *base = reinterpret_cast<CUdeviceptr>(memory);
  return CUDA_SUCCESS;
}
CUresult freeAddresses(CUdeviceptr base, size_t bytes) {
  munmap(reinterpret_cast<void *>(base), bytes);
  return CUDA_SUCCESS;
}
constexpr int deviceBits = 8; // of a handle, under its bytes
CUresult createMemory(CUmemGenericAllocationHandle *handle, size_t bytes, const CUmemAllocationProp *properties, unsigned long long) {
  std::lock_guard lock(mutex);
  int device = properties->location.id;
  if (device < 0 || device >= machine().count)
    return CUDA_ERROR_INVALID_DEVICE;
  if (machine().gpus[device].allocated + bytes > totalMemory)
    return CUDA_ERROR_OUT_OF_MEMORY;
  machine().gpus[device].allocated += bytes;
  *handle = bytes << deviceBits | unsigned(device);
  return CUDA_SUCCESS;
}
CUresult releaseMemory(CUmemGenericAllocationHandle handle) {
  std::lock_guard lock(mutex);
  machine().gpus[handle & ((1 << deviceBits) - 1)].allocated -= handle >> deviceBits;
  return CUDA_SUCCESS;
}
CUresult map(CUdeviceptr, size_t, size_t, CUmemGenericAllocationHandle, unsigned long long) { return CUDA_SUCCESS; }
CUresult unmap(CUdeviceptr, size_t) { return CUDA_SUCCESS; }
CUresult setAccess(CUdeviceptr base, size_t bytes, const CUmemAccessDesc *, size_t) {
  return mprotect(reinterpret_cast<void *>(base), bytes, PROT_READ | PROT_WRITE) == 0 ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}
CUresult granularity(size_t *bytes, const CUmemAllocationProp *, CUmemAllocationGranularity_flags) {
  *bytes = size_t(2) << 20;
  return CUDA_SUCCESS;
}

template <typename F> void *pointer(F function) { return reinterpret_cast<void *>(function); }

} // namespace

extern "C" cudaError_t cudaGetDriverEntryPointByVersion(const char *name, void **function, unsigned, unsigned long long,
                                                        cudaDriverEntryPointQueryResult *result) {
  const std::map<std::string_view, void *> functions = {
      {"cuMemAddressReserve", pointer(reserveAddresses)}, {"cuMemAddressFree", pointer(freeAddresses)},
      {"cuMemCreate", pointer(createMemory)},             {"cuMemRelease", pointer(releaseMemory)},
      {"cuMemMap", pointer(map)},                         {"cuMemUnmap", pointer(unmap)},
      {"cuMemSetAccess", pointer(setAccess)},             {"cuMemGetAllocationGranularity", pointer(granularity)}};
  auto found = functions.find(name);
  *function = found == functions.end() ? nullptr : found->second;
  *result = *function ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
  return cudaSuccess;
}
