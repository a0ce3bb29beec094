#include "gram_form.h"
#include "gemm.h"
#include "quantizer_loops.h"
#include <algorithm>

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

} // namespace

double GramForm::trace(int64_t rows, const MakeRow &makeRow, double limit) const {
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

float RelativeError(double part, double whole) {
  if (!(part > 0))
    return 0;
  constexpr double largest = std::numeric_limits<float>::max();
  return float(std::min(part / std::max(whole, 1e-300), largest));
}

} // namespace compressc
