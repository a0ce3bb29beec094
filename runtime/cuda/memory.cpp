#include "memory.h"
#include "../ops/operands.h"
#include "device.h"
#include <algorithm>
#include <cstring>
#include <sys/mman.h>

namespace compressc::cuda {
namespace {

constexpr int64_t alignment = 256;
constexpr int64_t partBytes = int64_t(32) << 20; // of a copy, at a time
constexpr int64_t sliceBytes = int64_t(1) << 20; // of a part, for one thread
constexpr int64_t worthStaging = int64_t(2) << 20; // smaller copies are the driver's

/// Copies on all threads. Pages of a mapped file are asked for a slice at a time, not one by one.
void copyOnThreads(void *to, const void *from, int64_t bytes, ThreadPool &pool) {
  pool.parallelFor((bytes + sliceBytes - 1) / sliceBytes, [&](int64_t slice, int) {
    int64_t begin = slice * sliceBytes, count = std::min(sliceBytes, bytes - begin);
    const char *source = static_cast<const char *>(from) + begin;
#ifdef MADV_POPULATE_READ
    constexpr uintptr_t page = 4096;
    uintptr_t first = reinterpret_cast<uintptr_t>(source) / page * page;
    ::madvise(reinterpret_cast<void *>(first), size_t(reinterpret_cast<uintptr_t>(source) + uintptr_t(count) - first), MADV_POPULATE_READ);
#endif
    std::memcpy(static_cast<char *>(to) + begin, source, size_t(count));
  });
}

#define RETURN_IF_CUDA_ERROR(call)                                                                                     \
  if (cudaError_t error = (call); error != cudaSuccess)                                                                \
  return error

} // namespace

cudaError_t DeviceMemory::open(cudaStream_t owner, int device) {
  stream = owner;
  cudaMemPoolProps properties{};
  properties.allocType = cudaMemAllocationTypePinned;
  properties.location.type = cudaMemLocationTypeDevice;
  properties.location.id = device;
  RETURN_IF_CUDA_ERROR(cudaMemPoolCreate(&pool, &properties));
  uint64_t keepAll = UINT64_MAX;
  return cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keepAll);
}

void DeviceMemory::close() {
  if (pool)
    cudaMemPoolDestroy(pool);
  pool = nullptr;
}

cudaError_t DeviceMemory::allocate(int64_t bytes, std::shared_ptr<void> &memory) {
  void *data = nullptr;
  RETURN_IF_CUDA_ERROR(cudaMallocFromPoolAsync(&data, size_t(std::max(bytes, alignment)), pool, stream));
  if (isLimited() && most - drivers - taken < pooled()) { // what the pool keeps may leave room in other places
    cudaFreeAsync(data, stream);
    trim();
    RETURN_IF_CUDA_ERROR(cudaMallocFromPoolAsync(&data, size_t(std::max(bytes, alignment)), pool, stream));
    if (most - drivers - taken < pooled()) {
      cudaFreeAsync(data, stream);
      trim();
      return cudaErrorMemoryAllocation;
    }
  }
  memory = std::shared_ptr<void>(data, [stream = stream](void *data) { cudaFreeAsync(data, stream); });
  return cudaSuccess;
}

cudaError_t DeviceMemory::take(int64_t bytes) {
  if (!fits(bytes))
    trim();
  if (!fits(bytes))
    return cudaErrorMemoryAllocation;
  mostTaken = std::max(mostTaken, taken += bytes);
  return cudaSuccess;
}

void DeviceMemory::trim() {
  cudaStreamSynchronize(stream);
  cudaMemPoolTrimTo(pool, 0);
}

static int64_t attributeOf(cudaMemPool_t pool, cudaMemPoolAttr attribute) {
  uint64_t bytes = 0;
  if (pool)
    cudaMemPoolGetAttribute(pool, attribute, &bytes);
  return int64_t(bytes);
}

int64_t DeviceMemory::pooled() const { return attributeOf(pool, cudaMemPoolAttrReservedMemCurrent); }
int64_t DeviceMemory::peakBytes() const { return mostTaken + attributeOf(pool, cudaMemPoolAttrReservedMemHigh); }

Staging::~Staging() {
  for (Turn &turn : turns)
    if (turn.done)
      cudaEventDestroy(turn.done);
}

cudaError_t Staging::open() {
  for (Turn &turn : turns) {
    RETURN_IF_CUDA_ERROR(turn.buffer.grow(partBytes));
    if (!turn.done)
      RETURN_IF_CUDA_ERROR(cudaEventCreateWithFlags(&turn.done, cudaEventDisableTiming));
  }
  return cudaSuccess;
}

cudaError_t Staging::toDevice(cudaStream_t stream, void *to, const void *from, int64_t bytes, ThreadPool &pool) {
  if (bytes < worthStaging)
    return cudaMemcpyAsync(to, from, size_t(bytes), cudaMemcpyHostToDevice, stream);
  RETURN_IF_CUDA_ERROR(open());
  for (int64_t begin = 0, part = 0; begin < bytes; begin += partBytes, ++part) {
    Turn &turn = turns[part % 2];
    int64_t count = std::min(partBytes, bytes - begin);
    RETURN_IF_CUDA_ERROR(cudaEventSynchronize(turn.done));
    copyOnThreads(turn.buffer.data(), static_cast<const char *>(from) + begin, count, pool);
    RETURN_IF_CUDA_ERROR(cudaMemcpyAsync(static_cast<char *>(to) + begin, turn.buffer.data(), size_t(count), cudaMemcpyHostToDevice, stream));
    RETURN_IF_CUDA_ERROR(cudaEventRecord(turn.done, stream));
  }
  return cudaSuccess;
}

cudaError_t Staging::toHost(cudaStream_t stream, void *to, const void *from, int64_t bytes, ThreadPool &pool) {
  if (bytes < worthStaging) {
    RETURN_IF_CUDA_ERROR(cudaMemcpyAsync(to, from, size_t(bytes), cudaMemcpyDeviceToHost, stream));
    return cudaStreamSynchronize(stream);
  }
  RETURN_IF_CUDA_ERROR(open());
  auto countAt = [&](int64_t begin) { return std::min(partBytes, bytes - begin); };
  auto start = [&](int64_t begin, Turn &turn) {
    RETURN_IF_CUDA_ERROR(cudaEventSynchronize(turn.done)); // of an upload
    RETURN_IF_CUDA_ERROR(cudaMemcpyAsync(turn.buffer.data(), static_cast<const char *>(from) + begin, size_t(countAt(begin)), cudaMemcpyDeviceToHost, stream));
    return cudaEventRecord(turn.done, stream);
  };
  RETURN_IF_CUDA_ERROR(start(0, turns[0]));
  for (int64_t begin = 0, part = 0; begin < bytes; begin += partBytes, ++part) {
    if (begin + partBytes < bytes)
      RETURN_IF_CUDA_ERROR(start(begin + partBytes, turns[(part + 1) % 2]));
    Turn &turn = turns[part % 2];
    RETURN_IF_CUDA_ERROR(cudaEventSynchronize(turn.done));
    copyOnThreads(static_cast<char *>(to) + begin, turn.buffer.data(), countAt(begin), pool);
  }
  return cudaSuccess;
}

namespace {

/// The arrays of a tensor, one after the other as PackedSizes says: f(offset, bytes, pointer of the tensor's).
template <typename F> Status forEachPart(Tensor &tensor, const F &f) {
  if (tensor.dtype != DType::Packed)
    return f(0, tensor.bytes(), tensor.data);
  PackedSizes sizes = GetPackedSizes(tensor.dim(0), tensor.dim(1), tensor.packed);
  COMPRESSC_RETURN_IF_ERROR(f(0, sizes.codes, tensor.data));
  COMPRESSC_RETURN_IF_ERROR(f(sizes.scalesOffset, sizes.scales, tensor.scales));
  return tensor.zeros ? f(sizes.zerosOffset, sizes.zeros, tensor.zeros) : absl::OkStatus();
}

} // namespace

StatusOr<std::shared_ptr<void>> CudaDevice::scratch(int64_t bytes, std::string_view what) {
  std::shared_ptr<void> result;
  cudaError_t error = memory.allocate(bytes, result);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError(); // or the next launch would seem to fail
    return outOfMemory(bytes, what);
  }
  COMPRESSC_RETURN_IF_ERROR(check(error, what));
  return result;
}

StatusOr<std::shared_ptr<void>> CudaDevice::allocate(int64_t bytes, std::string_view what) {
  COMPRESSC_ASSIGN_OR_RETURN(std::shared_ptr<void> result, scratch(bytes, what));
  COMPRESSC_RETURN_IF_ERROR(check(cudaMemsetAsync(result.get(), 0, size_t(bytes), stream), what));
  return result;
}

StatusOr<OwnedTensor> CudaDevice::upload(const Tensor &tensor, std::string_view what, ThreadPool &pool, bool rowsOnly) {
  if (rowsOnly && tensor.dtype != DType::Packed) { // whose rows lie in three places
    hostTables.insert(tensor.data);
    return OwnedTensor{nullptr, tensor};
  }
  OwnedTensor copy{nullptr, tensor, true};
  if (tensor.rank() == 1 && (tensor.dtype == DType::F16 || tensor.dtype == DType::BF16)) {
    COMPRESSC_ASSIGN_OR_RETURN(Floats values, Floats::Read(tensor, tensor.dim(0), what));
    copy.tensor.dtype = DType::F32;
    COMPRESSC_ASSIGN_OR_RETURN(copy.memory, scratch(copy.tensor.bytes(), what));
    copy.tensor.data = copy.memory.get();
    COMPRESSC_RETURN_IF_ERROR(send(copy.tensor.data, values.data(), copy.tensor.bytes()));
    return copy;
  }
  COMPRESSC_ASSIGN_OR_RETURN(copy.memory, scratch(tensor.bytes(), what));
  COMPRESSC_RETURN_IF_ERROR(forEachPart(copy.tensor, [&](int64_t offset, int64_t bytes, void *&data) {
    const void *from = std::exchange(data, static_cast<char *>(copy.memory.get()) + offset);
    return check(staging.toDevice(stream, data, from, bytes, pool), what);
  }));
  return copy;
}

StatusOr<OwnedTensor> CudaDevice::copy(const Tensor &tensor, std::string_view what) {
  OwnedTensor copy{nullptr, tensor, true};
  COMPRESSC_ASSIGN_OR_RETURN(copy.memory, scratch(tensor.bytes(), what));
  COMPRESSC_RETURN_IF_ERROR(forEachPart(copy.tensor, [&](int64_t offset, int64_t bytes, void *&data) {
    const void *from = std::exchange(data, static_cast<char *>(copy.memory.get()) + offset);
    return check(cudaMemcpyAsync(data, from, size_t(bytes), cudaMemcpyDeviceToDevice, stream), what);
  }));
  return copy;
}

StatusOr<OwnedTensor> CudaDevice::fetch(const Tensor &tensor, ThreadPool &pool) {
  OwnedTensor copy{nullptr, tensor};
  size_t size = (size_t(tensor.bytes()) + 63) / 64 * 64;
  copy.memory = std::shared_ptr<void>(std::aligned_alloc(64, std::max<size_t>(size, 64)), std::free);
  if (!copy.memory)
    return absl::ResourceExhaustedError(absl::StrCat("no memory for ", size, " bytes of results"));
  COMPRESSC_RETURN_IF_ERROR(forEachPart(copy.tensor, [&](int64_t offset, int64_t bytes, void *&data) {
    const void *from = std::exchange(data, static_cast<char *>(copy.memory.get()) + offset);
    return check(staging.toHost(stream, data, from, bytes, pool), "results cannot be read");
  }));
  return copy;
}

Status CudaDevice::send(void *to, const void *from, int64_t bytes) {
  // From pageable memory: it is copied before this returns.
  return check(cudaMemcpyAsync(to, from, size_t(bytes), cudaMemcpyHostToDevice, stream), "values cannot be sent");
}

} // namespace compressc::cuda
