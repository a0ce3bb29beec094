// The model's kernels: which launches each takes.
#include "../ops/model_kernels.h"
#include "device.h"
#include "../ops/model_kernels.h"
#include "fp8.h"
#include "matrix.h"
#include <cstdio>
#include <cstring>

namespace compressc::cuda {
namespace {

/// Up to as many rows, a product reads any weight as it is packed; more are worth expanding it, unless MultiplyBatch can.
constexpr int64_t fewRows = 16;
constexpr int64_t maxHeadDim = 512; // of AttendRowsKernel

/// Products as the kernels take them that read weights as they are packed.
std::vector<StreamedProduct> packedProducts(const LinearOperands &operands, DType half) {
  std::vector<StreamedProduct> packed;
  for (const LinearProduct &product : absl::MakeSpan(operands.products, size_t(operands.count)))
    packed.push_back({matrixOf(*product.w), product.gate ? matrixOf(*product.gate) : Matrix{}, product.activation,
                      product.bias, product.gateBias, product.residual, product.out.data,
                      product.out.type == DType::F32 ? DType::F32 : half});
  return packed;
}

} // namespace

void CudaDevice::embedding(const WeightMatrix &table, float scale, float *out) {
  auto finish = [&] {
    if (scale != 1)
      Scale(stream, scale, batch->rows() * table.columns, out);
  };
  if (!hostTables.contains(table.data)) {
    GatherRows(stream, matrixOf(table), tokens, batch->rows(), out);
    return finish();
  }
  // A recorded run reads them where the run before found them; they are sent before it.
  if (recording)
    recording->tables.push_back(table);
  else
    sendTableRows(table);
  Matrix some = matrixOf(table);
  some.rows = batch->rows();
  some.data = tableRows.at<uint8_t>(0);
  GatherRows(stream, some, nullptr, some.rows, out);
  finish();
}

/// To the beginning of tableRows.
void CudaDevice::sendTableRows(const WeightMatrix &table) {
  size_t rowBytes = size_t(table.rowBytes);
  auto *rows = static_cast<uint8_t *>(tableRows.add(size_t(batch->rows()) * rowBytes));
  for (size_t i = 0; rows && i < batch->tokens.size(); ++i)
    std::memcpy(rows + i * rowBytes, static_cast<const uint8_t *>(table.data) + size_t(batch->tokens[i]) * rowBytes, rowBytes);
  note(check(tableRows.send(stream), "rows of the embedding table"));
}

/// Whether these products of more than mostBatchRows rows can be computed in e4m3. If not they are in bf16, and the first
/// reason is told.
bool CudaDevice::takesFp8(const std::vector<StreamedProduct> &products) {
  auto problem = [&]() -> Status {
    if (properties.major != 9 || properties.minor != 0)
      return Invalid(properties.name, " has compute capability ", properties.major, ".", properties.minor,
                     "; products in e4m3 are written for 9.0");
    if (products.empty())
      return Invalid("a product computes some columns of a weight only");
    for (const StreamedProduct &product : products)
      if (!CanMultiplyInFp8(product))
        return Invalid("a weight [", product.w.rows, ", ", product.w.columns, "] is not packed in at most 4 bits, groups of a multiple of ", fp8Block,
                       " and a multiple of 8 rows");
    return absl::OkStatus();
  };
  Status status = problem();
  if (!status.ok() && !std::exchange(toldOfFp8, true))
    std::fprintf(stderr, "note: linears that were to compute in fp8 do in bf16: %s\n", std::string(status.message()).c_str());
  return status.ok();
}

/// out = x w^T by cuBLASLt, the weight in the products' type first.
void CudaDevice::expandedProduct(const WeightMatrix &w, int64_t count, const void *x, DType type, void *out,
                                 DType outType, bool accumulate) {
  const void *matrix = w.data;
  if (w.dtype != type) {
    void *scratch = grow(expanded, w.rows * w.columns * int64_t(DTypeSize(type)));
    if (!scratch)
      return;
    Expand(stream, matrixOf(w), scratch, type);
    matrix = scratch;
  }
  note(matmul->run(stream, count, w.rows, w.columns, x, matrix, type, out, outType, accumulate));
}

void CudaDevice::product(int64_t count, const LinearProduct &product, const void *x, DType type) {
  int64_t width = product.w->rows;
  if (product.gate) {
    // cuBLASLt would give infinity for what fp16 can't hold. The gate's place is the output, where that is of its type.
    DType between = type == DType::F16 ? DType::F32 : type, outType = held(product.out.type);
    int64_t bytes = count * width * int64_t(DTypeSize(between));
    void *gated = outType == between ? product.out.data : grow(gate, bytes), *rest = grow(up, bytes);
    if (!gated || !rest)
      return;
    expandedProduct(*product.gate, count, x, type, gated, between, false);
    expandedProduct(*product.w, count, x, type, rest, between, false);
    GatedActivation(stream, product.activation, gated, rest, between, product.gateBias, product.bias, count, width,
                    product.out.data, outType);
    return;
  }
  float *out = product.out.floats();
  const float *bias = product.bias, *residual = product.residual;
  if (bias)
    AddBias(stream, bias, residual, count, width, out);
  else if (residual && residual != out)
    Convert(stream, residual, DType::F32, count * width, out, DType::F32);
  expandedProduct(*product.w, count, x, type, out, DType::F32, bias || residual);
}

void CudaDevice::linear(const LinearOperands &operands) {
  if (operands.compute == Compute::Int8)
    return note(Invalid("linear: compute = 'int8' is the CPU's; compile with --activations=f32 or fp8"));
  int64_t m = operands.rows, depth = operands.depth;
  const int count = operands.count;
  DType xType = held(operands.x.type);
  // Few rows are not limited by arithmetic but by reading the weight: of them fp8 is bf16.
  bool inFp8 = operands.compute == Compute::Fp8, narrow = inFp8 || operands.compute == Compute::BF16;
  bool some = operands.answerCount > 0;
  std::vector<StreamedProduct> packed;
  if (narrow && !some)
    packed = packedProducts(operands, half);
  bool streams = m <= mostBatchRows && !packed.empty();
  for (const StreamedProduct &product : packed)
    streams = streams && CanStream(product, half);
  if (streams) {
    StreamedRows x{operands.x.data, xType, int(m), operands.norm, operands.epsilon};
    int most = mostPlainRows;
    for (const StreamedProduct &product : packed)
      most = std::min(most, StreamedRowsOf(product.w));
    if (m > most && CanMultiplyBatch(m, packed.data(), count)) {
      void *scratch = grow(rows, BatchScratchBytes(m, packed.data(), count));
      int counted = BatchCounters(m, packed.data(), count);
      int32_t *counters = counted ? zeros(batchCounters, counted) : nullptr;
      if (scratch && (counters || !counted))
        MultiplyBatch(stream, x, packed.data(), count, half, scratch, counters);
      return;
    }
    if (m <= most) {
      if (void *scratch = grow(rows, int64_t(StreamScratchBytes(m, depth))))
        StreamProducts(stream, x, packed.data(), count, half, scratch);
      return;
    }
  }
  bool few = m <= fewRows || some;
  DType type = narrow && !few ? half : DType::F32;
  const void *x = operands.x.data;
  if (inFp8 && m > mostBatchRows && !some && half == DType::BF16 && takesFp8(packed)) {
    void *memory = grow(rows, Fp8Rows::bytes(m, depth));
    if (!memory)
      return;
    Fp8Rows rounded = Fp8Rows::In(memory, m, depth);
    RoundToFp8(stream, x, xType, operands.norm, operands.epsilon, rounded);
    for (const StreamedProduct &product : packed) {
      void *scratch = grow(expanded, Fp8Weights::bytes(product));
      if (!scratch)
        return;
      Fp8Weights weights = Fp8Weights::In(scratch, product);
      ExpandToFp8(stream, product, weights);
      MultiplyInFp8(stream, rounded, weights, product);
    }
    return;
  }
  if (operands.norm || xType != type) {
    void *prepared = grow(rows, m * depth * int64_t(DTypeSize(type)));
    if (!prepared)
      return;
    if (operands.norm)
      RmsNorm(stream, operands.x.floats(), m, depth, operands.norm, depth, operands.epsilon, prepared, type);
    else
      Convert(stream, operands.x.data, xType, m * depth, prepared, type);
    x = prepared;
  }
  for (const LinearProduct *product = operands.products; product != operands.products + operands.count; ++product) {
    if (!few) {
      this->product(m, *product, x, type);
      continue;
    }
    const float *from = static_cast<const float *>(x);
    int64_t columns = product->w->rows;
    auto multiply = [&](const WeightMatrix &w, const float *bias, const float *residual, float *out) {
      MultiplyFewRows(stream, from, m,
                      {matrixOf(w), some ? answers : nullptr, some ? operands.answerCount : w.rows, bias, residual, out, columns});
    };
    if (product->gate) {
      void *gated = grow(gate, m * columns * 4), *rest = grow(up, m * columns * 4);
      if (!gated || !rest)
        return;
      multiply(*product->gate, product->gateBias, nullptr, static_cast<float *>(gated));
      multiply(*product->w, product->bias, nullptr, static_cast<float *>(rest));
      GatedActivation(stream, product->activation, gated, rest, DType::F32, nullptr, nullptr, m, columns, product->out.data,
                      held(product->out.type));
    } else {
      multiply(*product->w, product->bias, product->residual, product->out.floats());
    }
  }
}

const float *CudaDevice::sentFrequencies(absl::Span<const float> host) {
  std::shared_ptr<void> &sent = frequencies[{host.begin(), host.end()}];
  if (!sent) {
    StatusOr<std::shared_ptr<void>> allocated = allocate(int64_t(host.size() * sizeof(float)), "frequencies");
    if (!allocated.ok()) {
      note(allocated.status());
      return nullptr;
    }
    sent = *std::move(allocated);
    note(send(sent.get(), host.data(), int64_t(host.size() * sizeof(float))));
  }
  return static_cast<const float *>(sent.get());
}

void CudaDevice::rotaryEmbedding(const float *x, int64_t count, int64_t width, const Rotation &rotation, float *out) {
  const float *sent = sentFrequencies({rotation.frequencies, size_t(rotation.dim / 2)});
  if (!sent)
    return;
  RotaryEmbedding(stream, x, count, width,
                  {rotation.dim, sent, rotation.factor, rotation.selected ? selectedPositions : positions, rotation.norm,
                   rotation.epsilon},
                  out);
}

/// Writes keys and values of the batch's rows to the cache. What is to be rotated is: then `attention` gets its queries
/// from scratch.
bool CudaDevice::fillCache(const AttentionOperands &operands, Attention &attention) {
  const Rotation &rotation = operands.rotation;
  int64_t count = batch->rows(), dim = operands.dim, width = operands.groups * dim, queryWidth = operands.queries * dim;
  auto write = [&](const float *key) {
    WriteCache(stream, key, operands.value, count, width, slots, operands.cache.keys, operands.cache.values, attention.type);
    return true;
  };
  if (!rotation.frequencies)
    return write(operands.key);
  const float *sent = sentFrequencies({rotation.frequencies, size_t(dim / 2)});
  bool together = CanPrepareAttention(dim);
  if (together && AttendsInTiles(attention))
    attention.queryType = attention.type;
  int64_t queryBytes = attention.rows * queryWidth * int64_t(DTypeSize(attention.queryType));
  void *rotated = grow(rows, std::max<int64_t>(1, queryBytes + (together ? 0 : count * width * 4))); // no query: keys still
  if (!sent || !rotated)
    return false;
  attention.query = rotated;
  Rotary query{dim, sent, rotation.factor, operands.selected ? selectedPositions : positions, rotation.norm, rotation.epsilon};
  Rotary key{dim, sent, rotation.factor, positions, operands.keyNorm, rotation.epsilon};
  if (together) {
    PrepareAttention(stream, {operands.query, operands.key, operands.value, int32_t(count), attention.rows, attention.heads,
                              attention.groups, operands.selected, query, key, slots, operands.cache.keys,
                              operands.cache.values, attention.type, rotated, attention.queryType});
    return true;
  }
  auto *queries = static_cast<float *>(rotated), *keys = queries + attention.rows * queryWidth;
  RotaryEmbedding(stream, operands.query, attention.rows, queryWidth, query, queries);
  RotaryEmbedding(stream, operands.key, count, width, key, keys);
  return write(keys);
}

void CudaDevice::attention(const AttentionOperands &operands) {
  if (operands.dim > maxHeadDim)
    return note(Invalid("attention: heads of ", operands.dim, " are larger than ", maxHeadDim, "; use --device=cpu"));
  DType type = held(operands.cache.dtype);
  Attention attention;
  attention.query = operands.query;
  attention.queryType = DType::F32;
  attention.out = operands.out.data;
  attention.outType = held(operands.out.type);
  attention.keys = operands.cache.keys;
  attention.values = operands.cache.values;
  attention.type = type;
  attention.heads = int32_t(operands.queries);
  attention.groups = int32_t(operands.groups);
  attention.dim = int32_t(operands.dim);
  attention.window = int32_t(operands.window);
  attention.scale = operands.scale;
  attention.slots = keySlots;
  attention.tiles = operands.selected ? selectedTiles : tiles;
  attention.tileCount = operands.selected ? selectedTileCount : tileCount;
  attention.rows = int32_t(operands.selected ? int64_t(batch->selectedRows.size()) : batch->rows());
  if (!fillCache(operands, attention))
    return;
  if (attention.rows == attention.tileCount) {
    attention.splits = static_cast<float *>(grow(splits, SplitFloats(attention) * 4));
    attention.counters = zeros(splitCounters, SplitCounters(attention));
    if (!attention.splits || !attention.counters)
      return;
  }
  Attend(stream, attention);
}

//===-- The table's kernels ------------------------------------------------------------------------===//

static CudaDevice &deviceOf(const KernelContext &context) { return static_cast<CudaDevice &>(*context.device); }

Status AddKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(ElementwiseOperands operands, ReadElementwise("add", call));
  Add(deviceOf(context).stream, operands.a, operands.b, operands.rows * operands.width, operands.out);
  return absl::OkStatus();
}

Status MulKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(ElementwiseOperands operands, ReadElementwise("mul", call));
  Mul(deviceOf(context).stream, operands.a, operands.b, operands.rows * operands.width, operands.out);
  return absl::OkStatus();
}

Status GatedActivationKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(Activation kind, ReadActivation(call));
  COMPRESSC_ASSIGN_OR_RETURN(ElementwiseOperands operands, ReadElementwise("gated_activation", call));
  GatedActivation(deviceOf(context).stream, kind, operands.a, operands.b, DType::F32, nullptr, nullptr, 1,
                  operands.rows * operands.width, operands.out, DType::F32);
  return absl::OkStatus();
}

Status RmsNormKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(NormOperands norm, ReadRmsNorm(call));
  RmsNorm(deviceOf(context).stream, norm.x, norm.rows, norm.width, norm.weight.data(), norm.run, norm.epsilon, norm.out,
          DType::F32);
  return absl::OkStatus();
}

Status LayerNormKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(NormOperands norm, ReadLayerNorm(call));
  LayerNorm(deviceOf(context).stream, norm.x, norm.rows, norm.width, norm.weight.data(), norm.bias.data(), norm.epsilon,
            norm.out);
  return absl::OkStatus();
}

Status EmbeddingKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(EmbeddingOperands embedding, ReadEmbedding(call));
  deviceOf(context).embedding(embedding.table, embedding.scale, embedding.out);
  return absl::OkStatus();
}

Status SelectRowsKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(SelectRowsOperands select, ReadSelectRows(context, call));
  CudaDevice &device = deviceOf(context);
  SelectRows(device.stream, select.x, select.width, device.selected, int64_t(device.batch->selectedRows.size()), select.out);
  return absl::OkStatus();
}

Status LinearKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(LinearCall linear, ReadLinear(context, call));
  if (linear.operands.rows > 0)
    deviceOf(context).linear(linear.operands);
  return absl::OkStatus();
}

Status RotaryEmbeddingKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(RotaryOperands rotary, ReadRotary(context, call));
  deviceOf(context).rotaryEmbedding(rotary.x, rotary.rows, rotary.width, rotary.rotation, rotary.out);
  return absl::OkStatus();
}

Status AttentionKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(AttentionCall attention, ReadAttention(context, call));
  deviceOf(context).attention(attention.operands);
  return absl::OkStatus();
}

} // namespace compressc::cuda
