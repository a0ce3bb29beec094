// An accelerator that runs the model's kernels in place of the CPU. Weights, the arena and the KV cache lie
// in its memory; the interpreter and compiled programs stay what they are: they check and order the work,
// and hand each kernel's operands, which point into that memory, to the device.
#pragma once

#include "compressc/runtime/batch.h"
#include "compressc/runtime/row_score.h"
#include "compressc/runtime/tensor.h"
#include "compressc/runtime/status.h"
#include "absl/types/span.h"
#include <memory>
#include <string>

namespace compressc {

enum class Activation : uint8_t;
struct AttentionOperands;
struct GemmProduct;
struct LinearOperands;
struct Rotation;
struct WeightMatrix;

/// Results of Device::scoreRows, in host memory.
struct DeviceScores {
  const RowScore *rows;
  const float *logits; // [rows, columns]
};

class Device {
public:
  virtual ~Device() = default;

  /// Its name, "NVIDIA H200"; for reports.
  virtual std::string name() const = 0;
  /// Bytes that were allocated at most.
  virtual int64_t peakBytes() const = 0;

  /// Zeroed memory that lives as long as the device. `what` is named when there is too little.
  virtual StatusOr<void *> allocate(int64_t bytes, std::string_view what) = 0;
  /// Addresses of memory that commit() provides, from the beginning on; they stay. Likewise for the device's life.
  virtual StatusOr<void *> reserve(int64_t bytes, std::string_view what) = 0;
  virtual Status commit(void *reserved, int64_t bytes, std::string_view what) = 0;
  /// A copy of a weight, laid out as the host's. Vectors (rank 1) become fp32. `rowsOnly`: nothing but
  /// embedding() reads it; then it may stay in the host's memory, which must outlive the device.
  virtual StatusOr<Tensor> upload(const Tensor &weight, std::string_view what, bool rowsOnly = false) = 0;
  /// Waits for the work given so far, then copies to the host. Errors of that work are reported here.
  virtual Status download(void *to, const void *from, int64_t bytes) = 0;

  /// Makes a batch the one that the following kernels work on; its slots are inside the cache. Kernels are
  /// started, not waited for. finishBatch returns errors of starting them; those of running them are reported
  /// where results are read.
  /// Runs of one `program`, an address, on batches of one shape are the same kernels on the same memory: where
  /// the device recorded them the result is true, and finishBatch runs them with no kernel called again.
  virtual bool beginBatch(const Batch &batch, const void *program) = 0;
  virtual Status finishBatch() = 0;

  /// Of some rows of logits [_, width]: the normaliser, unless not wanted, and the logits in as many columns for
  /// each row. `rows` and `columns` are host memory. Returns a ticket; two can be open at a time.
  virtual StatusOr<int> scoreRows(const float *logits, int64_t width, absl::Span<const int32_t> rows,
                                  absl::Span<const int32_t> columns, bool normalise) = 0;
  /// Waits for the results of a ticket; they stay until the ticket after the next is given.
  virtual StatusOr<DeviceScores> awaitScores(int ticket) = 0;

  // The kernels; operands are checked, and described in runtime/cpu/model_kernels.h.
  virtual void embedding(const WeightMatrix &table, float *out) = 0; // of the batch's tokens
  virtual void selectRows(const float *x, int64_t width, float *out) = 0;
  virtual void rmsNorm(const float *x, int64_t rows, int64_t width, const float *weight, int64_t run,
                       float epsilon, float *out) = 0;
  virtual void layerNorm(const float *x, int64_t rows, int64_t width, const float *weight, const float *bias,
                         float epsilon, float *out) = 0;
  virtual void add(const float *a, const float *b, int64_t count, float *out) = 0;
  virtual void mul(const float *a, const float *b, int64_t count, float *out) = 0;
  virtual void gatedActivation(Activation kind, const float *gate, const float *up, int64_t count,
                               float *out) = 0;
  virtual void linear(const LinearOperands &operands, const GemmProduct *products, size_t count) = 0;
  virtual void rotaryEmbedding(const float *x, int64_t rows, int64_t width, const Rotation &rotation,
                               float *out) = 0;
  virtual void attention(const AttentionOperands &operands) = 0;
};

/// The first GPU of the machine. Says what is missing: a build with CUDA, the driver, a GPU, cuBLASLt.
StatusOr<std::unique_ptr<Device>> OpenCudaDevice();

} // namespace compressc
