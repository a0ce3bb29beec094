#include "Estimate.h"
#include <algorithm>
#include <chrono>

namespace compressc {
namespace {

// How long a kernel takes, as operations of a matrix product (the kernel `linear`) that take as long. Counts of
// operations alone mislead: searches round, compare and give up early, statistics and attention work on less
// regular blocks, elementwise work waits for memory. Measured kernel by kernel in processor time, in AWQ W4 g64 of
// SmolLM2 on 8 x 512 tokens; tools/bench/bench_plan.py compares plans with runs.

/// awq_scale, for each element of its weights: the products with the Gram matrix, for each of its columns, and the
/// rounding. Up to 41 points, most given up early.
constexpr double awqPerColumn = 54, awqRounding = 11500;
/// clip tries 10 lower and 10 upper limits for each group: for each element and each column of a group.
constexpr double clipPerColumn = 72;
/// Against the plain count of operations.
constexpr double observeSlowdown = 1.35, attentionSlowdown = 1.6, outputErrorSlowdown = 1.65;
/// For each element of the results: of kernels between plain and packed values, and of the others.
constexpr double perConverted = 450, perElement = 100;

struct Shape {
  double elements = 1, columns = 1, rows = 1;
};

Shape shapeOf(const Schedule &schedule, Operand operand, double tokens) {
  if (operand.kind != Operand::Kind::Weight && operand.kind != Operand::Kind::Buffer)
    return {};
  bool weight = operand.kind == Operand::Kind::Weight;
  const std::vector<int64_t> &dims =
      weight ? schedule.weights[operand.index].shape : schedule.buffers[operand.index].shape;
  Shape shape;
  for (int64_t dim : dims)
    shape.elements *= double(dim);
  shape.columns = dims.empty() ? 1 : double(dims.back());
  if (!weight && schedule.buffers[operand.index].rows != Rows::Fixed)
    shape.elements *= tokens;
  shape.rows = shape.elements / shape.columns;
  return shape;
}

double workOf(const Schedule &schedule, const Call &call, double tokens, double pairs) {
  auto input = [&](size_t index) { return shapeOf(schedule, call.inputs[index], tokens); };
  Shape first = input(0);
  if (call.kernel == "linear")
    return 2 * tokens * input(1).elements;
  if (call.kernel == "attention") // scores and sums, each key at or before a query
    return attentionSlowdown * 4 * pairs * first.columns;
  if (call.kernel == "observe") // one half of the Gram matrix
    return observeSlowdown * first.elements * first.columns;
  if (call.kernel == "awq_scale") {
    double elements = 0;
    for (size_t index = 1; index < call.inputs.size(); ++index)
      elements += input(index).elements;
    return elements * (awqPerColumn * first.columns + awqRounding);
  }
  if (call.kernel == "svd") { // two Gram-like products, and some 15 n^3 of LAPACK, fp64 and ten times slower each
    double rank = shapeOf(schedule, call.outputs[1], tokens).rows;
    return (10 * first.rows + 150 * first.columns) * first.columns * first.columns + 2 * first.elements * rank;
  }
  if (call.kernel == "output_error")
    return outputErrorSlowdown * 2 * first.elements * first.columns;
  if (call.kernel == "clip")
    return clipPerColumn * first.elements * double(call.attributes.getIntOr("group", 1));
  double elements = 0;
  for (Operand output : call.outputs)
    elements += shapeOf(schedule, output, tokens).elements;
  bool converts = call.kernel == "quantize" || call.kernel == "dequantize";
  return (converts ? perConverted : perElement) * elements;
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

/// Scratch memory of the kernels: bounds of what runtime/cpu asks for.
int64_t scratchBytes(const Schedule &schedule, int threads) {
  constexpr int64_t worker = int64_t(1) << 20, gramForm = int64_t(16) << 20;
  int64_t shared = 0;
  for (const Call &call : schedule.entries.front().calls) {
    if (call.kernel == "svd") { // squares and LAPACK's workspace in fp64, blocks of rows
      Shape weight = shapeOf(schedule, call.inputs[0], 0), right = shapeOf(schedule, call.outputs[1], 0);
      shared = std::max(shared, int64_t(40 * weight.columns * weight.columns + 8 * 1024 * weight.columns + 20 * right.elements));
    }
    if (call.kernel != "awq_scale" && call.kernel != "output_error")
      continue;
    // Blocks of an error and of its product with the Gram matrix.
    for (Operand operand : call.inputs) {
      Shape shape = shapeOf(schedule, operand, 0);
      shared = std::max(shared, std::min<int64_t>(gramForm, int64_t(8 * shape.elements)));
    }
  }
  return shared + threads * worker;
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
