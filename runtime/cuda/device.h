// The device layer on CUDA: memory, one stream, and the batch that kernels work on. Launches follow each other
// on the stream; errors are kept until finishBatch asks.
#pragma once

#include "compressc/runtime/device.h"
#include "growing_memory.h"
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

  void embedding(const WeightMatrix &table, float *out) override;
  void selectRows(const float *x, int64_t width, float *out) override;
  void rmsNorm(const float *x, int64_t rows, int64_t width, const float *weight, int64_t run, float epsilon,
               float *out) override;
  void layerNorm(const float *x, int64_t rows, int64_t width, const float *weight, const float *bias, float epsilon,
                 float *out) override;
  void add(const float *a, const float *b, int64_t count, float *out) override;
  void mul(const float *a, const float *b, int64_t count, float *out) override;
  void gatedActivation(Activation kind, const float *gate, const float *up, int64_t count, float *out) override;
  void linear(const LinearOperands &operands, const GemmProduct *products, size_t count) override;
  void rotaryEmbedding(const float *x, int64_t rows, int64_t width, const Rotation &rotation, float *out) override;
  void attention(const AttentionOperands &operands) override;

  StatusOr<int64_t> observe(const float *x, int64_t tokens, int64_t width, const StatisticsView &to) override;
  StatusOr<int64_t> observeCosine(const float *x, const float *y, int64_t tokens, int64_t width,
                                  float *influence) override;
  StatusOr<int64_t> scaleStatistics(const StatisticsView &from, const float *scales, const StatisticsView &to) override;
  Status mirrorGram(const StatisticsView &statistics) override;
  StatusOr<int64_t> firstNonFinite(const float *values, int64_t count) override;
  StatusOr<std::unique_ptr<GramErrors>> gramErrors(absl::Span<const WeightMatrix> weights, const float *gram) override;
  StatusOr<ClipSums> clip(const WeightMatrix &weight, const float *gram, const PackedFormat &format, float *out) override;
  StatusOr<QuantizeFault> quantize(const WeightMatrix &weight, const Tensor &out) override;
  StatusOr<ConvertFault> convert(const WeightMatrix &weight, const Tensor &out) override;
  Status scaleColumns(const WeightMatrix &weight, const float *scales, float *out) override;
  Status scaleRows(const WeightMatrix &weight, const float *scales, bool inverse, float *out) override;
  Status expandHeads(const float *x, int64_t width, int64_t headDim, int64_t repeat, float *out) override;
  Status transpose(const Tensor &in, const Tensor &out) override;

private:
  friend class BoundProgram;
  friend class CudaGramErrors;
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

  /// Memory whose contents are undefined, back when the last owner goes.
  StatusOr<std::shared_ptr<void>> scratch(int64_t bytes, std::string_view what);
  /// The buffer's memory, at least `bytes`; null, and noted, when there is too little.
  void *grow(DeviceBuffer &buffer, int64_t bytes);
  /// Counters that are 0 unless a kernel is at work, likewise.
  int32_t *zeros(DeviceBuffer &buffer, int64_t count);
  Status grown(DeviceBuffer &buffer, int64_t bytes, std::string_view what);
  Status outOfMemory(int64_t bytes, std::string_view what) const;
  Status check(cudaError_t error, std::string_view what) const;
  void note(const Status &status);
  /// Whether all work is done; an error that it ended with.
  StatusOr<bool> idle() const;
  /// The status, or that the GPU was lost, if that is what it comes of.
  Status orLost(const Status &status) const;
  /// A copy on the device; null, and noted, when there is no room.
  const float *sentFrequencies(absl::Span<const float> host);
  /// How the device has what schedules call bf16.
  DType held(DType type) const { return type == DType::BF16 ? half : type; }
  /// Of products with Gram matrices, whose range is not fp16's.
  DType errorType() const { return half == DType::BF16 ? DType::BF16 : DType::F32; }
  bool fillCache(const AttentionOperands &operands, Attention &attention);
  bool takesFp8(const std::vector<StreamedProduct> &products);
  void product(const LinearOperands &operands, const GemmProduct &product, const void *x, DType type);
  void expandedProduct(const WeightMatrix &w, int64_t rows, const void *x, DType type, void *out, DType outType,
                       bool accumulate);

  int index = -1; // none yet
  cudaDeviceProp properties{};
  DType half = DType::BF16; // what products and KV caches of 16 bits are of: BF16, or F16
  cudaStream_t stream = nullptr;
  std::shared_ptr<Nvml> nvml; // null: it can't be asked
  std::unique_ptr<Matmul> matmul;
  std::string remedy;
  DeviceMemory memory;
  std::map<void *, GrowingMemory> reserved;
  std::set<const void *> hostTables; // weights that stayed in the host's memory
  Upload tableRows{memory};          // of them, for the newest batch
  PinnedBuffer landing;              // of small downloads
  Staging staging;
  Status failure;

  // The batch, on the device.
  const Batch *batch = nullptr;
  Upload arrays{memory};
  const int32_t *tokens = nullptr, *positions = nullptr, *selectedPositions = nullptr, *selected = nullptr;
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
