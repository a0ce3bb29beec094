// The device layer on CUDA: memory, one stream, and the batch that kernels work on. Launches follow each other
// on the stream; errors are kept until finishBatch asks.
#pragma once

#include "compressc/runtime/device.h"
#include "growing_memory.h"
#include "../ops/model_operands.h"
#include "kernels.h"
#include "matmul.h"
#include "memory.h"
#include "nvml.h"
#include "staging.h"
#include <map>
#include <set>
#include <vector>

namespace compressc::cuda {

class CudaDevice : public Device {
public:
  Status open(const DeviceOptions &options);
  ~CudaDevice() override;

  Status enter() override;
  std::string name() const override { return properties.name; }
  int number() const override { return index; }
  int64_t peakBytes() const override { return memory.peakBytes(); }
  std::unique_ptr<DeviceWatch> watch() const override { return Watch(nvml); }
  StatusOr<std::shared_ptr<void>> allocate(int64_t bytes, std::string_view what) override;
  StatusOr<std::shared_ptr<void>> reserve(int64_t bytes, std::string_view what) override;
  Status commit(void *reserved, int64_t bytes, std::string_view what) override;
  StatusOr<OwnedTensor> upload(const Tensor &tensor, std::string_view what, ThreadPool &pool, bool rowsOnly) override;
  StatusOr<OwnedTensor> copy(const Tensor &tensor, std::string_view what) override;
  Status send(void *to, const void *from, int64_t bytes) override;
  StatusOr<OwnedTensor> fetch(const Tensor &tensor, ThreadPool &pool) override;
  Status download(void *to, const void *from, int64_t bytes) override;
  bool beginBatch(const Batch &batch, const void *program) override;
  Status finishBatch() override;
  StatusOr<std::unique_ptr<DeviceProgram>> bindProgram(const std::string &schedule, absl::Span<const ProgramWeight> weights,
                                                       absl::Span<const CacheView> caches, uint8_t *arena) override;
  StatusOr<int> scoreRows(const float *logits, int64_t width, absl::Span<const int32_t> rows,
                          absl::Span<const int32_t> columns, bool normalise) override;
  StatusOr<DeviceScores> awaitScores(int ticket) override;

  KernelFunction findKernel(std::string_view name) const override;

  // What kernels are made of, here and in emitted programs. Errors of starting work are noted: finishBatch returns them.

  /// Of the batch's tokens.
  void embedding(const WeightMatrix &table, float scale, float *out);
  void linear(const LinearOperands &operands);
  void attention(const AttentionOperands &operands);
  void rotaryEmbedding(const float *x, int64_t rows, int64_t width, const Rotation &rotation, float *out);
  void note(const Status &status);
  Status check(cudaError_t error, std::string_view what) const;
  /// Memory whose contents are undefined, back when the last owner goes.
  StatusOr<std::shared_ptr<void>> scratch(int64_t bytes, std::string_view what);
  /// The status, or that the GPU was lost, if that is what it comes of.
  Status orLost(const Status &status) const;
  /// Of products with Gram matrices, whose range is not fp16's.
  DType errorType() const { return half == DType::BF16 ? DType::BF16 : DType::F32; }

  cudaStream_t stream = nullptr;
  DType half = DType::BF16; // what products and KV caches of 16 bits are of: BF16, or F16
  std::unique_ptr<Matmul> matmul;
  const Batch *batch = nullptr;
  const int32_t *selected = nullptr; // the batch's selected rows, on the device

private:
  friend class BoundProgram;
  friend class NcclCollective;
  /// Results of scoreRows: RowScore [rows], then float [rows, columns].
  struct Scores {
    explicit Scores(DeviceMemory &memory) : arrays(memory), results(memory) {}
    Upload arrays;
    DeviceBuffer results;
    PinnedBuffer host;
    cudaEvent_t done = nullptr;
    size_t logitsAt = 0;
  };
  /// A recorded run, and what is sent before it.
  struct Recording {
    cudaGraphExec_t graph = nullptr;
    std::vector<WeightMatrix> tables; // on the host, of which it reads rows
    int runs = 0;                     // before it was recorded
  };
  /// What makes two runs the same: the program, the batch's shape, and where buffers that grow lie.
  using RunKey = std::vector<int64_t>;
  RunKey keyOf(const Batch &batch, const void *program) const;
  void sendTableRows(const WeightMatrix &table);

  /// The buffer's memory, at least `bytes`; null, and noted, when there is too little.
  void *grow(DeviceBuffer &buffer, int64_t bytes);
  /// Counters that are 0 unless a kernel is at work, likewise.
  int32_t *zeros(DeviceBuffer &buffer, int64_t count);
  Status grown(DeviceBuffer &buffer, int64_t bytes, std::string_view what);
  Status outOfMemory(int64_t bytes, std::string_view what) const;
  /// Whether all work is done; an error that it ended with.
  StatusOr<bool> idle() const;
  /// A copy on the device; null, and noted, when there is no room.
  const float *sentFrequencies(absl::Span<const float> host);
  /// How the device has what schedules call bf16.
  DType held(DType type) const { return type == DType::BF16 ? half : type; }
  bool fillCache(const AttentionOperands &operands, Attention &attention);
  bool takesFp8(const std::vector<StreamedProduct> &products);
  void product(int64_t rows, const LinearProduct &product, const void *x, DType type);
  void expandedProduct(const WeightMatrix &w, int64_t rows, const void *x, DType type, void *out, DType outType,
                       bool accumulate);

  int index = -1; // none yet
  cudaDeviceProp properties{};
  std::shared_ptr<Nvml> nvml; // null: it can't be asked
  std::string remedy;
  DeviceMemory memory;
  std::map<void *, GrowingMemory> reserved;
  std::set<const void *> hostTables; // weights that stayed in the host's memory
  Upload tableRows{memory};          // of them, for the newest batch
  PinnedBuffer landing;              // of small downloads
  Staging staging;
  Status failure;

  // The batch, on the device.
  Upload arrays{memory};
  const int32_t *tokens = nullptr, *positions = nullptr, *selectedPositions = nullptr;
  const int32_t *slots = nullptr, *keySlots = nullptr, *answers = nullptr;
  const QueryTile *tiles = nullptr, *selectedTiles = nullptr;
  int32_t tileCount = 0, selectedTileCount = 0;
  std::map<RunKey, Recording> recordings;
  Recording *replaying = nullptr, *recording = nullptr;
  Scores scores[2] = {Scores(memory), Scores(memory)};
  int nextScores = 0;
  DeviceBuffer rows{memory}, expanded{memory}, gate{memory}, up{memory}; // scratch of linears; rows: of rotated queries too
  DeviceBuffer splits{memory}, splitCounters{memory};                    // of attentions of single queries
  DeviceBuffer batchCounters{memory};                                    // of products of 5 to 64 rows
  bool toldOfFp8 = false;                                                // that it is bf16
  std::map<std::vector<float>, std::shared_ptr<void>> frequencies;
};

} // namespace compressc::cuda
