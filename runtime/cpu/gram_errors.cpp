// The errors of searches on the CPU.
#include "gemm.h"
#include "kernels.h"
#include "quantizer_loops.h"
#include <algorithm>
#include <cmath>
#include <functional>

namespace compressc {
namespace {

constexpr int64_t rowsPerTask = 8;

/// How the product E·G is cut. It must not depend on the number of threads.
struct Blocking {
  /// Rows of E at a time: more keep more threads busy, fewer give a bad E up sooner.
  int64_t rows;
  /// Columns of G at a time. G is symmetric: blocks above the diagonal are not multiplied. Wider
  /// panels waste more of the diagonal, narrower ones make the products less efficient.
  int64_t panel;

  explicit Blocking(int64_t width) {
    const bool wide = width >= 2048;
    constexpr int64_t bytes = 16 << 20; // of E and E·G together
    rows = bytes / (2 * width * int64_t(sizeof(float))) / 16 * 16;
    rows = std::clamp<int64_t>(rows, 16, wide ? 512 : 256);
    panel = std::min<int64_t>(wide ? 256 : 128, width);
  }
};

/// On the CPU: E is made row by row, a block at a time, and never stored whole.
class CpuGramErrors : public GramErrors {
public:
  CpuGramErrors(KernelContext &context, std::vector<WeightMatrix> weights, const float *gram)
      : context(context), weights(std::move(weights)), gram(gram), width(this->weights.front().columns) {
    for (const WeightMatrix &weight : this->weights)
      rows += weight.rows;
  }

  StatusOr<int64_t> meanMagnitude(int64_t group, std::vector<float> &mean) override;

  StatusOr<GramTrace> ofWeights() override {
    FirstIndex bad;
    double value = trace([&](int64_t row, int, float *out) { readChecked(row, out, bad); });
    return GramTrace{value, bad.found() ? bad.get() : -1};
  }

  StatusOr<GramTrace> ofScales(const std::vector<float> &scales, const std::vector<float> &inverse,
                               const PackedFormat &format, double limit) override {
    auto makeRow = [&](int64_t row, int worker, float *out) {
      float *w = workerRow(worker);
      read(row, w);
      COMPRESSC_ISA_CALL(scaledErrorRow, w, scales.data(), inverse.data(), width, format, out);
    };
    return GramTrace{trace(makeRow, limit)};
  }

  StatusOr<GramTrace> ofChange(const WeightMatrix &changed) override {
    FirstIndex bad;
    double value = trace([&](int64_t row, int worker, float *out) {
      float *original = workerRow(worker);
      read(row, original);
      DequantizeRow(changed, row, out);
      if (int64_t column = FirstNonFinite(out, width); column >= 0)
        bad.note(row * width + column);
      for (int64_t k = 0; k < width; ++k)
        out[k] -= original[k];
    });
    return GramTrace{value, bad.found() ? bad.get() : -1};
  }

private:
  /// Writes row `row` of E, [width]. Called on worker threads; may use the worker's scratch.
  using MakeRow = std::function<void(int64_t row, int worker, float *out)>;

  double trace(const MakeRow &makeRow, double limit = std::numeric_limits<double>::infinity()) const;

  void read(int64_t row, float *out) const {
    size_t index = 0;
    for (; row >= weights[index].rows; ++index)
      row -= weights[index].rows;
    DequantizeRow(weights[index], row, out);
  }
  /// False when a number is NaN or infinite.
  bool readChecked(int64_t row, float *out, FirstIndex &bad) const {
    read(row, out);
    int64_t column = FirstNonFinite(out, width);
    if (column >= 0)
      bad.note(row * width + column);
    return column < 0;
  }
  float *workerRow(int worker) {
    return static_cast<float *>(context.scratch.worker(worker, size_t(width) * sizeof(float)));
  }

  KernelContext &context;
  std::vector<WeightMatrix> weights;
  const float *gram;
  int64_t width, rows = 0;
};

StatusOr<int64_t> CpuGramErrors::meanMagnitude(int64_t group, std::vector<float> &mean) {
  constexpr int64_t rowsPerTask = 256;
  int64_t tasks = (rows + rowsPerTask - 1) / rowsPerTask;
  std::vector<double> partial(size_t(tasks * width), 0.0);
  FirstIndex bad;
  context.pool.parallelFor(tasks, [&](int64_t task, int worker) {
    float *row = workerRow(worker);
    double *sums = partial.data() + task * width;
    int64_t end = std::min(rows, (task + 1) * rowsPerTask);
    for (int64_t n = task * rowsPerTask; n < end; ++n) {
      if (!readChecked(n, row, bad))
        return;
      for (int64_t begin = 0; begin < width; begin += group) {
        float largest = 0;
        for (int64_t k = begin; k < begin + group; ++k)
          largest = std::max(largest, std::fabs(row[k]));
        for (int64_t k = begin; k < begin + group; ++k)
          sums[k] += std::fabs(row[k]) / (largest + 1e-6f);
      }
    }
  });
  if (bad.found())
    return bad.get();
  mean.resize(size_t(width));
  for (int64_t k = 0; k < width; ++k) {
    double sum = 0;
    for (int64_t task = 0; task < tasks; ++task)
      sum += partial[size_t(task * width + k)];
    mean[size_t(k)] = float(sum / double(rows));
  }
  return -1;
}

double CpuGramErrors::trace(const MakeRow &makeRow, double limit) const {
  const Blocking blocking(width);
  const int64_t block = std::min(rows, blocking.rows);
  size_t floats = size_t(2 * block * width + blocking.panel * blocking.panel);
  auto *sums = static_cast<double *>(
      context.scratch.shared(block * sizeof(double) + floats * sizeof(float)));
  auto *error = reinterpret_cast<float *>(sums + block);
  float *product = error + block * width;
  float *half = product + block * width;

  double total = 0;
  for (int64_t begin = 0; begin < rows; begin += block) {
    int64_t count = std::min(block, rows - begin);
    const int64_t tasks = (count + rowsPerTask - 1) / rowsPerTask;
    context.pool.parallelFor(tasks, [&](int64_t task, int worker) {
      const int64_t end = std::min(count, (task + 1) * rowsPerTask);
      for (int64_t i = task * rowsPerTask; i < end; ++i)
        makeRow(begin + i, worker, error + i * width);
    });
    // With T = the blocks of G under the diagonal and half of those on it, G = T + Tᵀ and
    // e·G·eᵀ = 2 e·T·eᵀ.
    for (int64_t panel = 0; panel < width; panel += blocking.panel) {
      int64_t n = std::min(blocking.panel, width - panel);
      GemmEpilogue add;
      if (panel > 0) {
        Gemm(context, count, n, panel, error, width,
             WeightMatrix::FromFloats(gram + panel * width, n, panel, width), product + panel,
             width);
        add.residual = product + panel;
        add.residualStride = width;
      }
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < n; ++j)
          half[i * n + j] = 0.5f * gram[(panel + i) * width + panel + j];
      Gemm(context, count, n, n, error + panel, width, WeightMatrix::FromFloats(half, n, n, n),
           product + panel, width, add);
    }
    context.pool.parallelFor(tasks, [&](int64_t task, int) {
      const int64_t end = std::min(count, (task + 1) * rowsPerTask);
      for (int64_t i = task * rowsPerTask; i < end; ++i)
        sums[i] =
            2 * COMPRESSC_ISA_CALL(dotInDouble, error + i * width, product + i * width, width);
    });
    for (int64_t i = 0; i < count; ++i)
      total += sums[i];
    if (total > limit)
      break;
  }
  return total;
}

StatusOr<std::unique_ptr<GramErrors>> makeGramErrors(KernelContext &context, std::vector<WeightMatrix> weights,
                                                     const float *gram) {
  return std::unique_ptr<GramErrors>(std::make_unique<CpuGramErrors>(context, std::move(weights), gram));
}

constexpr SearchPlace here = {&CheckStatisticsValues, &makeGramErrors};

} // namespace

Status AwqScaleKernel(KernelContext &context, const KernelCall &call) { return AwqScale(context, call, here); }
Status OutputErrorKernel(KernelContext &context, const KernelCall &call) { return OutputError(context, call, here); }

} // namespace compressc
