// An accelerator that runs kernels in place of the CPU: memory, a stream, the batch, and kernels by name. Weights, the
// arena, inputs and the KV cache lie in its memory; the interpreter stays what it is.
#pragma once

#include "compressc/runtime/batch.h"
#include "compressc/runtime/device_usage.h"
#include "compressc/runtime/kernel.h"
#include "compressc/runtime/row_score.h"
#include "compressc/runtime/tensor.h"
#include "compressc/runtime/status.h"
#include "compressc/runtime/thread_pool.h"
#include "absl/types/span.h"
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace compressc {

struct ProgramWeight;

/// Results of Device::scoreRows, in host memory.
struct DeviceScores {
  const RowScore *rows;
  const float *logits; // [rows, columns]
};

/// A program that was compiled for a device, on a session's weights and memory.
class DeviceProgram {
public:
  virtual ~DeviceProgram() = default;
  /// Starts the kernels of an entry point, on the batch of beginBatch. False when it has none of this name.
  virtual bool start(std::string_view entry, KernelContext &context) = 0;
};

class Device {
public:
  virtual ~Device() = default;

  /// Makes it the one that this thread works with. Of several, each thread says so before it uses one, and a device
  /// is used by one thread at a time; the thread that opened it need not.
  virtual Status enter() = 0;

  /// Its name, "NVIDIA H200"; for reports.
  virtual std::string name() const = 0;
  /// Which of the machine's it is, as the driver counts them.
  virtual int number() const = 0;
  /// Bytes that were allocated at most.
  virtual int64_t peakBytes() const = 0;
  /// Watches it from now on; null when nothing tells what it does.
  virtual std::unique_ptr<DeviceWatch> watch() const = 0;

  /// Zeroed memory, free again when its last owner goes; the device lives longer. `what` is named when there
  /// is too little.
  virtual StatusOr<std::shared_ptr<void>> allocate(int64_t bytes, std::string_view what) = 0;
  /// Addresses of memory that commit() provides, from the beginning on; they stay. Owned likewise.
  virtual StatusOr<std::shared_ptr<void>> reserve(int64_t bytes, std::string_view what) = 0;
  virtual Status commit(void *reserved, int64_t bytes, std::string_view what) = 0;
  /// A copy of a tensor of the host, laid out in the same way. Plain vectors (rank 1) become fp32. `rowsOnly`: nothing
  /// but `embedding` reads it; then it may stay in the host's memory, which must outlive the device.
  virtual StatusOr<OwnedTensor> upload(const Tensor &tensor, std::string_view what, ThreadPool &pool,
                                       bool rowsOnly = false) = 0;
  /// A copy of a tensor of the device there.
  virtual StatusOr<OwnedTensor> copy(const Tensor &tensor, std::string_view what) = 0;
  /// Copies a few bytes there; they may go when this returns.
  virtual Status send(void *to, const void *from, int64_t bytes) = 0;
  /// A copy on the host of a tensor of the device.
  virtual StatusOr<OwnedTensor> fetch(const Tensor &tensor, ThreadPool &pool) = 0;
  /// Waits for the work given so far, then copies to the host. Errors of that work are reported here.
  virtual Status download(void *to, const void *from, int64_t bytes) = 0;

  /// Makes a batch the one that the following kernels work on; its slots are inside the cache. Kernels are
  /// started, not waited for. finishBatch returns errors of starting them; those of running them are reported
  /// where results are read.
  /// Runs of one `program`, an address, on batches of one shape are the same kernels on the same memory: where
  /// the device recorded them the result is true, and finishBatch runs them with no kernel called again.
  virtual bool beginBatch(const Batch &batch, const void *program) = 0;
  virtual Status finishBatch() = 0;
  /// The program that was compiled for this kind of device from the schedule of this digest; null when none is linked
  /// in. Weights, caches and arena stay where they are.
  virtual StatusOr<std::unique_ptr<DeviceProgram>> bindProgram(const std::string &schedule,
                                                               absl::Span<const ProgramWeight> weights,
                                                               absl::Span<const CacheView> caches, uint8_t *arena) = 0;

  /// Of some rows of logits [_, width]: the normaliser, unless not wanted, and the logits in as many columns for
  /// each row. `rows` and `columns` are host memory. Returns a ticket; two can be open at a time.
  virtual StatusOr<int> scoreRows(const float *logits, int64_t width, absl::Span<const int32_t> rows,
                                  absl::Span<const int32_t> columns, bool normalise) = 0;
  /// Waits for the results of a ticket; they stay until the ticket after the next is given.
  virtual StatusOr<DeviceScores> awaitScores(int ticket) = 0;

  /// The device's kernel of this name, or null. It takes operands that lie on the device, and the context names it.
  virtual KernelFunction findKernel(std::string_view name) const = 0;
};

/// The kernel of this name where `device` computes; null: the CPU.
inline KernelFunction FindKernel(std::string_view name, const Device *device) {
  return device ? device->findKernel(name) : FindKernel(name);
}

struct DeviceOptions {
  /// What the GPU computes and stores as what schedules call bf16: BF16 or F16. Default: BF16 where the GPU has it.
  std::optional<DType> half;
  int index = 0;           // of the machine's GPUs, as the driver counts them
  int64_t memoryLimit = 0; // bytes to take at most, the driver's own included where they are known; 0: all there are
  std::string remedy = "compile with a smaller --max-tokens, or use --device=cpu"; // when memory is short
};

/// A GPU of the machine. Says what is missing: a build with CUDA, the driver, a GPU, cuBLASLt.
StatusOr<std::unique_ptr<Device>> OpenCudaDevice(const DeviceOptions &options = {});
/// How many there are, or what is missing.
StatusOr<int> CountCudaDevices();
/// The GPUs that --devices names: a number of them, all, or a list of indices; `count` there are.
StatusOr<std::vector<int>> ParseDevices(absl::string_view text, int count);
/// The first one's compute capability, 90 for 9.0; none without a GPU or a driver.
std::optional<int> CudaCapability();

} // namespace compressc
