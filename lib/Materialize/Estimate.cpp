#include "Estimate.h"
#include "compressc/runtime/kernel_row.h"
#include "llvm/ADT/SmallVector.h"
#include <algorithm>
#include <chrono>

namespace compressc {
namespace {

OperandShape shapeOf(const Schedule &schedule, Operand operand, double tokens) {
  if (operand.kind != Operand::Kind::Weight && operand.kind != Operand::Kind::Buffer)
    return {};
  bool weight = operand.kind == Operand::Kind::Weight;
  const std::vector<int64_t> &dims =
      weight ? schedule.weights[operand.index].shape : schedule.buffers[operand.index].shape;
  OperandShape shape;
  for (int64_t dim : dims)
    shape.elements *= double(dim);
  shape.columns = dims.empty() ? 1 : double(dims.back());
  if (!weight && schedule.buffers[operand.index].rows != Rows::Fixed)
    shape.elements *= tokens;
  shape.rows = shape.elements / shape.columns;
  return shape;
}

/// Asks the kernel's row about a call over a batch of so many tokens and pairs of a query and a key.
template <typename Question>
double ask(const Schedule &schedule, const Call &call, double tokens, double pairs, const Question &question) {
  const KernelRow *row = FindKernelRow(call.kernel);
  auto shapes = [&](const std::vector<Operand> &operands) {
    llvm::SmallVector<OperandShape, 4> result;
    for (Operand operand : operands)
      result.push_back(shapeOf(schedule, operand, tokens));
    return result;
  };
  auto inputs = shapes(call.inputs), outputs = shapes(call.outputs);
  return question({*row, {inputs.data(), inputs.size()}, {outputs.data(), outputs.size()}, call.attributes, pairs});
}

double workOf(const Schedule &schedule, const Call &call, double tokens, double pairs) {
  return ask(schedule, call, tokens, pairs, [](const CallShape &shape) { return shape.row.work(shape); });
}

int64_t bytesOf(const BufferDecl &decl, int64_t rows) {
  Tensor tensor;
  tensor.dtype = decl.dtype;
  tensor.packed = decl.packed;
  tensor.shape = decl.shape;
  return tensor.bytes() * (decl.rows == Rows::Fixed ? 1 : rows);
}

/// Bytes of the arena that buffers lie on. What was planned for states, which lie elsewhere, is not touched.
int64_t touchedBytes(const Schedule &schedule) {
  std::vector<std::pair<int64_t, int64_t>> spans;
  for (const BufferDecl &decl : schedule.buffers)
    if (decl.offset >= 0)
      spans.emplace_back(decl.offset, decl.offset + bytesOf(decl, schedule.maxTokens));
  std::sort(spans.begin(), spans.end());
  int64_t total = 0, end = 0;
  for (auto [from, to] : spans) {
    total += std::max<int64_t>(0, to - std::max(from, end));
    end = std::max(end, to);
  }
  return total;
}

/// Scratch memory of the kernels.
int64_t scratchBytes(const Schedule &schedule, int threads) {
  constexpr int64_t worker = int64_t(1) << 20;
  double shared = 0;
  for (const Call &call : schedule.entries.front().calls)
    shared = std::max(shared, ask(schedule, call, 0, 0, [](const CallShape &shape) {
                        return shape.row.scratch ? shape.row.scratch(shape) : 0;
                      }));
  return int64_t(shared) + threads * worker;
}

} // namespace

void Estimate::hold(const Schedule &schedule, int64_t liveBytes) {
  int64_t bytes = liveBytes + touchedBytes(schedule) + scratchBytes(schedule, threads);
  for (const CacheDecl &cache : schedule.caches)
    bytes += 2 * schedule.maxTokens * cache.heads * cache.dim * int64_t(sizeof(float));
  peakBytes = std::max(peakBytes, bytes);
}

void Estimate::calibrate(const Schedule &schedule, llvm::ArrayRef<Batch> batches, int64_t liveBytes) {
  hold(schedule, liveBytes);
  for (const Batch &batch : batches) {
    double pairs = 0;
    for (const auto &sequence : batch.sequences)
      pairs += double(sequence.rowCount) * double(sequence.rowCount + 1) / 2;
    for (const Call &call : schedule.entries.front().calls)
      calibrationWork += workOf(schedule, call, double(batch.rows()), pairs);
  }
}

void Estimate::evaluate(const Schedule &schedule, int64_t liveBytes) {
  hold(schedule, liveBytes);
  for (const Call &call : schedule.entries.front().calls)
    weightWork += workOf(schedule, call, 0, 0);
}

double MeasureFlopRate(ThreadPool &pool) {
  constexpr int64_t M = 512, N = 1024, K = 1024;
  std::vector<float> x(M * K, 0.5f), w(N * K, 0.25f), out(M * N);
  auto matrix = [](std::vector<float> &data, int64_t rows, int64_t columns) {
    Tensor tensor;
    tensor.shape = {rows, columns};
    tensor.data = data.data();
    return tensor;
  };
  Tensor inputs[] = {matrix(x, M, K), matrix(w, N, K)}, outputs[] = {matrix(out, M, N)};
  Scratch scratch(pool.threads());
  KernelContext context{pool, scratch, nullptr};
  Attributes attributes;
  double best = 1e9;
  for (int repeat = 0; repeat < 4; ++repeat) {
    auto start = std::chrono::steady_clock::now();
    if (!FindKernel("linear")(context, {inputs, outputs, {}, attributes}).ok())
      return 0;
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return 2.0 * M * N * K / best;
}

} // namespace compressc
