// The functions of the CUDA runtime and driver that the device uses, on the CPU. There is one device, of compute
// capability 9.0 unless told otherwise; its memory lies before pages that no one may touch, so that what is written beyond an allocation's
// end, or more than 255 bytes in front of it, stops the program.
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
  std::unique_ptr<Work> recording;
};
struct CUgraph_st {
  Work work;
};
struct CUgraphExec_st {
  Work work;
};
struct CUevent_st {};
struct CUmemPoolHandle_st {
  uint64_t used = 0, most = 0;
};

namespace {

constexpr size_t page = 4096, alignment = 256;
constexpr size_t totalMemory = size_t(4) << 30;
int major = 9, minor = 0;

std::mutex mutex;
thread_local cudaError_t lastError = cudaSuccess;

struct Allocation {
  void *base;
  size_t mapped, bytes;
  cudaMemPool_t pool = nullptr;
};
std::map<void *, Allocation> allocations;
size_t allocated = 0;

size_t roundUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

cudaError_t allocate(void **memory, size_t bytes, cudaMemPool_t pool) {
  std::lock_guard lock(mutex);
  size_t size = roundUp(std::max<size_t>(bytes, 1), alignment), mapped = roundUp(size, page) + page;
  if (allocated + size > totalMemory)
    return lastError = cudaErrorMemoryAllocation;
  void *base = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED)
    return lastError = cudaErrorMemoryAllocation;
  mprotect(static_cast<char *>(base) + mapped - page, page, PROT_NONE);
  std::memset(base, 0xff, mapped - page); // NaN
  *memory = static_cast<char *>(base) + mapped - page - size;
  allocations[*memory] = {base, mapped, size, pool};
  allocated += size;
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
  allocated -= found->second.bytes;
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

} // namespace compressc::cuda::emulated

extern "C" {

cudaError_t cudaGetDeviceCount(int *count) { return *count = 1, cudaSuccess; }
cudaError_t cudaDriverGetVersion(int *version) { return *version = CUDART_VERSION, cudaSuccess; }
cudaError_t cudaGetDevice(int *device) { return *device = 0, cudaSuccess; }
cudaError_t cudaSetDevice(int device) { return device == 0 ? cudaSuccess : cudaErrorInvalidDevice; }
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int) {
  *properties = {};
  std::strcpy(properties->name, "emulated GPU");
  properties->major = major, properties->minor = minor;
  properties->multiProcessorCount = 4;
  properties->totalGlobalMem = totalMemory;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int) {
  *value = attribute == cudaDevAttrComputeCapabilityMajor ? major : attribute == cudaDevAttrMultiProcessorCount ? 4 : 0;
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t *free, size_t *total) {
  std::lock_guard lock(mutex);
  *total = totalMemory;
  *free = totalMemory - allocated;
  return cudaSuccess;
}
cudaError_t cudaGetLastError() { return std::exchange(lastError, cudaSuccess); }
const char *cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorMemoryAllocation ? "out of memory" : error == cudaSuccess ? "no error" : "invalid argument";
}
cudaError_t cudaFuncSetAttribute(const void *, cudaFuncAttribute, int) { return cudaSuccess; }
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, const void *, int, size_t) { return *blocks = 1, cudaSuccess; }

cudaError_t cudaMalloc(void **memory, size_t bytes) { return allocate(memory, bytes, nullptr); }
cudaError_t cudaFree(void *memory) { return release(memory); }
cudaError_t cudaMallocHost(void **memory, size_t bytes) { return (*memory = std::malloc(bytes)) ? cudaSuccess : cudaErrorMemoryAllocation; }
cudaError_t cudaFreeHost(void *memory) { return std::free(memory), cudaSuccess; }
cudaError_t cudaMemPoolCreate(cudaMemPool_t *pool, const cudaMemPoolProps *) { return *pool = new CUmemPoolHandle_st, cudaSuccess; }
cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool) {
  if (pool->used) {
    std::fprintf(stderr, "CUDA emulation: %zu bytes of a pool were not given back\n", size_t(pool->used));
    std::abort();
  }
  delete pool;
  return cudaSuccess;
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void *) { return cudaSuccess; }
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, cudaMemPoolAttr, void *value) {
  *static_cast<uint64_t *>(value) = pool->most;
  return cudaSuccess;
}
cudaError_t cudaMallocFromPoolAsync(void **memory, size_t bytes, cudaMemPool_t pool, cudaStream_t) { return allocate(memory, bytes, pool); }
cudaError_t cudaFreeAsync(void *memory, cudaStream_t) { return release(memory); }

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  Enqueue(stream, [=] { std::memmove(to, from, bytes); });
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream) {
  Enqueue(stream, [=] { std::memset(to, value, bytes); });
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned) { return *stream = new CUstream_st, cudaSuccess; }
cudaError_t cudaStreamDestroy(cudaStream_t stream) { return delete stream, cudaSuccess; }
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return stream && stream->recording ? lastError = cudaErrorStreamCaptureUnsupported : cudaSuccess;
}
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
  for (const std::function<void()> &work : executable->work)
    Enqueue(stream, work);
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return delete graph, cudaSuccess; }
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) { return delete executable, cudaSuccess; }

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned) { return *event = new CUevent_st, cudaSuccess; }
cudaError_t cudaEventDestroy(cudaEvent_t event) { return delete event, cudaSuccess; }
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }

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
CUresult createMemory(CUmemGenericAllocationHandle *handle, size_t bytes, const CUmemAllocationProp *, unsigned long long) {
  std::lock_guard lock(mutex);
  if (allocated + bytes > totalMemory)
    return CUDA_ERROR_OUT_OF_MEMORY;
  allocated += *handle = bytes;
  return CUDA_SUCCESS;
}
CUresult releaseMemory(CUmemGenericAllocationHandle handle) {
  std::lock_guard lock(mutex);
  allocated -= handle;
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
