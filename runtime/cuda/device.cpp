#include "device.h"
#include "compressc/runtime/kernel.h"
#include "../ops/batch_rows.h"
#include "../ops/operands.h"
#include "absl/strings/str_format.h"
#include <algorithm>
#include <cstring>

namespace compressc {

StatusOr<std::unique_ptr<Device>> OpenCudaDevice(const DeviceOptions &options) {
  auto device = std::make_unique<cuda::CudaDevice>();
  COMPRESSC_RETURN_IF_ERROR(device->open(options));
  return std::unique_ptr<Device>(std::move(device));
}

StatusOr<int> CountCudaDevices() {
  int count = 0, driver = 0;
  cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaErrorInsufficientDriver) {
    cudaDriverGetVersion(&driver);
    if (driver == 0)
      return absl::NotFoundError("no CUDA driver; install NVIDIA's, or use --device=cpu");
    return absl::FailedPreconditionError(absl::StrCat("the CUDA driver is for CUDA ", driver / 1000, ".", driver % 1000 / 10,
                                                      ", which is too old: this program needs ", CUDART_VERSION / 1000,
                                                      ".", CUDART_VERSION % 1000 / 10, "; update it, or use --device=cpu"));
  }
  if (error != cudaSuccess || count == 0)
    return absl::NotFoundError(absl::StrCat("no CUDA device (", cudaGetErrorString(error), "); use --device=cpu"));
  return count;
}

std::optional<int> CudaCapability() {
  cudaDeviceProp properties;
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess || count == 0 || cudaGetDeviceProperties(&properties, 0) != cudaSuccess)
    return std::nullopt;
  return properties.major * 10 + properties.minor;
}

namespace cuda {
namespace {

/// `firstKeys`: where each sequence's keys begin in the list of slots.
std::vector<QueryTile> queryTiles(const Batch &batch, bool selected, const std::vector<int32_t> &firstKeys) {
  std::vector<QueryTile> tiles;
  ForEachQueryRun(batch, selected, [&](size_t sequence, int64_t query, int64_t count, int64_t position) {
    for (int64_t done = 0; done < count; done += queryTileRows)
      tiles.push_back({int32_t(query + done), int32_t(std::min<int64_t>(queryTileRows, count - done)),
                       int32_t(position + done), firstKeys[sequence]});
  });
  return tiles;
}

} // namespace

/// Whether this process has nothing more to expect of the GPU.
static bool isLost(cudaError_t error) {
  switch (error) {
  case cudaErrorDevicesUnavailable:
  case cudaErrorECCUncorrectable:
  case cudaErrorNvlinkUncorrectable:
  case cudaErrorHardwareStackError:
  case cudaErrorLaunchFailure:
  case cudaErrorLaunchTimeout:
  case cudaErrorIllegalAddress:
  case cudaErrorIllegalInstruction:
  case cudaErrorMisalignedAddress:
  case cudaErrorInvalidAddressSpace:
  case cudaErrorInvalidPc:
  case cudaErrorContextIsDestroyed:
  case cudaErrorExternalDevice:
  case cudaErrorUnknown:
    return true;
  default:
    return false;
  }
}

Status CudaDevice::check(cudaError_t error, std::string_view what) const {
  if (error == cudaSuccess)
    return absl::OkStatus();
  if (isLost(error))
    return absl::AbortedError(absl::StrCat("the GPU failed: ", cudaGetErrorString(error),
                                           "; nvidia-smi and the kernel's log (Xid) tell more"));
  std::string message = absl::StrCat("CUDA: ", detail::ForMessage(what), ": ", cudaGetErrorString(error));
  if (error == cudaErrorMemoryAllocation)
    return absl::ResourceExhaustedError(absl::StrCat(message, "; ", remedy));
  return absl::InternalError(message);
}

void CudaDevice::note(const Status &status) { failure.Update(status); }

Status CudaDevice::orLost(const Status &status) const {
  if (status.ok())
    return status;
  Status now = check(cudaStreamSynchronize(stream), "waiting for the GPU");
  return absl::IsAborted(now) ? now : status;
}

Status CudaDevice::open(const DeviceOptions &options) {
  COMPRESSC_ASSIGN_OR_RETURN(int count, CountCudaDevices());
  if (options.index < 0 || options.index >= count)
    return absl::NotFoundError(absl::StrCat("there is no GPU ", options.index, ": the driver shows ", count, ", counted from 0"));
  index = options.index;
  COMPRESSC_RETURN_IF_ERROR(check(cudaGetDeviceProperties(&properties, index), "the device's properties"));
  auto lacks = [&](const char *wanted) {
    return absl::FailedPreconditionError(absl::StrCat(properties.name, " has compute capability ", properties.major, ".",
                                                      properties.minor, "; ", wanted));
  };
  if (properties.major * 10 + properties.minor < 75)
    return lacks("7.5 or newer is needed: use --device=cpu");
  bool hasBf16 = properties.major >= 8;
  half = options.half.value_or(hasBf16 ? DType::BF16 : DType::F16);
  if (half == DType::BF16 && !hasBf16)
    return lacks("bf16 needs 8.0 or newer: use --half=f16");
  nvml = Nvml::Open(absl::StrFormat("%08x:%02x:%02x.0", properties.pciDomainID, properties.pciBusID, properties.pciDeviceID));
  remedy = options.remedy;
  int64_t usedBefore = nvml ? nvml->usedBytes() : 0;
  COMPRESSC_RETURN_IF_ERROR(enter());
  // The driver keeps so much for every thread that fits, 1 KiB by default, of an H200 276 MB in all. Kernels here know what
  // they need, and get it.
  cudaDeviceSetLimit(cudaLimitStackSize, 128);
  COMPRESSC_RETURN_IF_ERROR(check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "a stream"));
  COMPRESSC_RETURN_IF_ERROR(check(memory.open(stream, index), "a pool of memory"));
  // What the driver's context takes shows from outside only.
  if (options.memoryLimit > 0)
    memory.limit(options.memoryLimit, nvml ? std::max<int64_t>(0, nvml->usedBytes() - usedBefore) : 0);
  if (memory.take(Matmul::workspaceBytes) != cudaSuccess)
    return outOfMemory(Matmul::workspaceBytes, "cuBLASLt");
  COMPRESSC_ASSIGN_OR_RETURN(matmul, Matmul::Load());
  return absl::OkStatus();
}

StatusOr<bool> CudaDevice::idle() const {
  cudaError_t error = cudaStreamQuery(stream);
  cudaGetLastError(); // what is not done yet would seem to be a failure later
  if (error == cudaErrorNotReady)
    return false;
  COMPRESSC_RETURN_IF_ERROR(check(error, "waiting for the GPU"));
  return true;
}

Status CudaDevice::enter() { return check(cudaSetDevice(index), "the device is not to be had"); }

CudaDevice::~CudaDevice() {
  if (index >= 0) // the owner may be another thread than those that used it
    (void)enter();
  if (stream)
    cudaStreamSynchronize(stream);
  frequencies.clear();
  for (auto &[key, recording] : recordings)
    if (recording.graph)
      cudaGraphExecDestroy(recording.graph);
  for (Scores &each : scores)
    if (each.done)
      cudaEventDestroy(each.done);
  matmul.reset();
  memory.close();
  if (stream)
    cudaStreamDestroy(stream);
}

/// What to do about it.
Status CudaDevice::outOfMemory(int64_t bytes, std::string_view what) const {
  size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  std::string limit;
  if (memory.isLimited()) {
    free = std::min(free, size_t(memory.freeBytes()));
    limit = " under --gpu-memory-limit";
    if (memory.driverBytes() > 0)
      absl::StrAppend(&limit, ", of which the driver holds ", memory.driverBytes() >> 20, " MiB");
  }
  return absl::ResourceExhaustedError(absl::StrCat(detail::ForMessage(what), " needs ", (bytes + (1 << 20) - 1) >> 20,
                                                   " MiB of GPU memory, of which ", free >> 20, " MiB are free", limit, "; ", remedy));
}

StatusOr<std::shared_ptr<void>> CudaDevice::reserve(int64_t bytes, std::string_view what) {
  StatusOr<GrowingMemory> growing = GrowingMemory::Reserve(bytes, index);
  if (!growing.ok())
    return WithContext(growing.status(), std::string(what));
  void *data = growing->data();
  reserved.emplace(data, *std::move(growing));
  return std::shared_ptr<void>(data, [this](void *data) {
    cudaStreamSynchronize(stream);
    int64_t bytes = reserved.at(data).bytes();
    reserved.erase(data);
    memory.giveBack(bytes);
  });
}

Status CudaDevice::commit(void *address, int64_t bytes, std::string_view what) {
  GrowingMemory &growing = reserved.at(address);
  int64_t more = growing.missing(bytes);
  if (memory.take(more) != cudaSuccess)
    return outOfMemory(more, what);
  Status status = growing.commit(bytes);
  if (!status.ok())
    memory.giveBack(more);
  return absl::IsResourceExhausted(status) ? outOfMemory(more, what) : status;
}

Status CudaDevice::grown(DeviceBuffer &buffer, int64_t bytes, std::string_view what) {
  cudaError_t error = buffer.grow(stream, size_t(bytes));
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError(); // or the next launch would seem to fail
    return outOfMemory(bytes, what);
  }
  return check(error, what);
}

void *CudaDevice::grow(DeviceBuffer &buffer, int64_t bytes) {
  note(grown(buffer, bytes, "scratch memory of linears and attention"));
  return buffer.data();
}

int32_t *CudaDevice::zeros(DeviceBuffer &buffer, int64_t count) {
  bool more = size_t(count * 4) > buffer.bytes();
  void *counters = grow(buffer, count * 4);
  if (more && counters)
    note(check(cudaMemsetAsync(counters, 0, size_t(count * 4), stream), "counters of products and attention"));
  return static_cast<int32_t *>(counters);
}

Status CudaDevice::download(void *to, const void *from, int64_t bytes) {
  constexpr int64_t worthPinning = 8 << 20; // a row of logits: by way of pinned memory it arrives sooner
  if (bytes > 0 && bytes <= worthPinning) {
    COMPRESSC_RETURN_IF_ERROR(check(landing.grow(size_t(bytes)), "results cannot be read"));
    COMPRESSC_RETURN_IF_ERROR(check(cudaMemcpyAsync(landing.data(), from, size_t(bytes), cudaMemcpyDeviceToHost, stream), "results cannot be read"));
    COMPRESSC_RETURN_IF_ERROR(check(cudaStreamSynchronize(stream), "waiting for the GPU"));
    std::memcpy(to, landing.data(), size_t(bytes));
    return absl::OkStatus();
  }
  if (bytes > 0)
    COMPRESSC_RETURN_IF_ERROR(check(cudaMemcpyAsync(to, from, size_t(bytes), cudaMemcpyDeviceToHost, stream), "results cannot be read"));
  return check(cudaStreamSynchronize(stream), "waiting for the GPU");
}

/// Runs of more rows are not recorded: starting their kernels takes less time than running them.
constexpr int64_t mostRecordedRows = 64;
constexpr size_t mostRecordings = 256;

CudaDevice::RunKey CudaDevice::keyOf(const Batch &now, const void *program) const {
  RunKey key = {reinterpret_cast<int64_t>(program), now.rows(), int64_t(now.selectedRows.size()), int64_t(now.answers.size()),
                tileCount, selectedTileCount, int64_t(arrays.deviceBytes()), int64_t(tableRows.deviceBytes())};
  for (const DeviceBuffer *buffer : {&rows, &expanded, &gate, &up, &splits, &splitCounters, &batchCounters})
    key.push_back(int64_t(buffer->bytes()));
  return key;
}

bool CudaDevice::beginBatch(const Batch &now, const void *program) {
  batch = &now;
  std::vector<int32_t> keys, firstKeys;
  for (const Sequence &sequence : now.sequences) {
    firstKeys.push_back(int32_t(keys.size()));
    auto add = [&](SlotRange range) {
      for (int32_t i = 0; i < range.count; ++i)
        keys.push_back(range.begin + i);
    };
    for (const SlotRange &range : sequence.context)
      add(range);
    add({sequence.slotBegin, sequence.rowCount});
  }
  std::vector<QueryTile> all = queryTiles(now, false, firstKeys), chosen = queryTiles(now, true, firstKeys);
  tileCount = int32_t(all.size());
  selectedTileCount = int32_t(chosen.size());
  size_t tokensAt = arrays.add(now.tokens), positionsAt = arrays.add(RowPositions(now));
  size_t selectedPositionsAt = arrays.add(SelectedPositions(now)), selectedAt = arrays.add(now.selectedRows);
  size_t slotsAt = arrays.add(RowSlots(now)), tilesAt = arrays.add(all), selectedTilesAt = arrays.add(chosen);
  size_t answersAt = arrays.add(now.answers);
  size_t keySlotsAt = arrays.add(keys); // last: in steps of generation only its size changes
  note(check(arrays.send(stream), "the batch"));
  tokens = arrays.at<int32_t>(tokensAt);
  positions = arrays.at<int32_t>(positionsAt);
  selectedPositions = arrays.at<int32_t>(selectedPositionsAt);
  selected = arrays.at<int32_t>(selectedAt);
  slots = arrays.at<int32_t>(slotsAt);
  tiles = arrays.at<QueryTile>(tilesAt);
  selectedTiles = arrays.at<QueryTile>(selectedTilesAt);
  answers = arrays.at<int32_t>(answersAt);
  keySlots = arrays.at<int32_t>(keySlotsAt);

  // Recorded the second time: the first makes every buffer large enough.
  if (!program || now.rows() > mostRecordedRows)
    return false;
  RunKey key = keyOf(now, program);
  if (recordings.size() >= mostRecordings && !recordings.contains(key))
    return false;
  Recording &known = recordings[key];
  if (known.graph) {
    replaying = &known;
    return true;
  }
  if (++known.runs > 1 && failure.ok()) {
    note(check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "recording"));
    recording = &known;
  }
  return false;
}

Status CudaDevice::finishBatch() {
  if (recording) {
    cudaGraph_t graph = nullptr;
    note(check(cudaStreamEndCapture(stream, &graph), "recording"));
    if (failure.ok())
      note(check(cudaGraphInstantiate(&recording->graph, graph, 0), "recording"));
    cudaGraphDestroy(graph);
    replaying = std::exchange(recording, nullptr);
  }
  if (replaying && replaying->graph) {
    for (const WeightMatrix &table : replaying->tables)
      sendTableRows(table);
    note(check(cudaGraphLaunch(replaying->graph, stream), "a recorded run"));
  }
  replaying = nullptr;
  note(check(cudaGetLastError(), "a kernel could not be started"));
  batch = nullptr;
  return orLost(std::exchange(failure, absl::OkStatus()));
}

StatusOr<int> CudaDevice::scoreRows(const float *logits, int64_t width, absl::Span<const int32_t> rows,
                                    absl::Span<const int32_t> columns, bool normalise) {
  int ticket = nextScores;
  nextScores ^= 1;
  Scores &to = scores[ticket];
  to.logitsAt = rows.size() * sizeof(RowScore);
  size_t bytes = to.logitsAt + columns.size() * sizeof(float);
  if (!to.done)
    COMPRESSC_RETURN_IF_ERROR(check(cudaEventCreateWithFlags(&to.done, cudaEventDisableTiming), "an event"));
  COMPRESSC_RETURN_IF_ERROR(grown(to.results, int64_t(bytes), "memory for log-probabilities"));
  COMPRESSC_RETURN_IF_ERROR(check(to.host.grow(bytes), "memory for log-probabilities"));
  size_t rowsAt = to.arrays.add(rows), columnsAt = to.arrays.add(columns);
  COMPRESSC_RETURN_IF_ERROR(check(to.arrays.send(stream), "the wanted rows"));
  char *results = static_cast<char *>(to.results.data());
  ScoreRows(stream, logits, width, to.arrays.at<int32_t>(rowsAt), int64_t(rows.size()), to.arrays.at<int32_t>(columnsAt),
            rows.empty() ? 0 : int64_t(columns.size() / rows.size()), normalise ? reinterpret_cast<RowScore *>(results) : nullptr,
            reinterpret_cast<float *>(results + to.logitsAt));
  if (bytes)
    COMPRESSC_RETURN_IF_ERROR(check(cudaMemcpyAsync(to.host.data(), results, bytes, cudaMemcpyDeviceToHost, stream), "results cannot be read"));
  COMPRESSC_RETURN_IF_ERROR(check(cudaEventRecord(to.done, stream), "an event"));
  return ticket;
}

StatusOr<DeviceScores> CudaDevice::awaitScores(int ticket) {
  Scores &from = scores[ticket];
  COMPRESSC_RETURN_IF_ERROR(check(cudaEventSynchronize(from.done), "waiting for the GPU"));
  const char *results = static_cast<const char *>(from.host.data());
  return DeviceScores{reinterpret_cast<const RowScore *>(results), reinterpret_cast<const float *>(results + from.logitsAt)};
}

} // namespace cuda
} // namespace compressc
