// Calibration statistics: what observations accumulate, and how it changes when columns are scaled.
#include "gemm.h"
#include "kernels.h"
#include <cmath>

namespace compressc {

Status ObserveKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(ObserveOperands operands, ReadObserve(call));
  const float *x = operands.x;
  const int64_t tokens = operands.tokens, width = operands.width;
  const StatisticsView &to = operands.to;
  if (tokens == 0)
    return absl::OkStatus();
  constexpr int64_t columnsPerTask = 64;
  FirstIndex bad;
  context.pool.parallelFor((width + columnsPerTask - 1) / columnsPerTask, [&](int64_t task, int) {
    const int64_t begin = task * columnsPerTask;
    const int64_t count = std::min(columnsPerTask, width - begin);
    double sums[columnsPerTask] = {};
    for (int64_t t = 0; t < tokens; ++t) {
      const float *row = x + t * width + begin;
      for (int64_t k = 0; k < count; ++k)
        sums[k] += std::fabs(row[k]);
    }
    for (int64_t k = 0; k < count; ++k) {
      if (!std::isfinite(float(sums[k])))
        bad.note(begin + k);
      to.absSum[begin + k] += float(sums[k]);
    }
  });
  if (bad.found())
    return ObserveFault(bad.get());
  SyrkAccumulate(context, tokens, width, x, width, to.gram);
  *to.count += float(tokens);
  return absl::OkStatus();
}

Status ObserveCosineKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(ObserveCosineOperands operands, ReadObserveCosine(call));
  const float *x = operands.x, *y = operands.y;
  const int64_t tokens = operands.tokens, width = operands.width;
  float *influence = operands.influence;
  if (tokens == 0)
    return absl::OkStatus();
  auto *distances = static_cast<double *>(context.scratch.shared(tokens * sizeof(double)));
  context.pool.parallelFor(tokens, [&](int64_t t, int) {
    const float *a = x + t * width, *b = y + t * width;
    double aa = 0, bb = 0, ab = 0;
    for (int64_t k = 0; k < width; ++k) {
      aa += double(a[k]) * a[k];
      bb += double(b[k]) * b[k];
      ab += double(a[k]) * b[k];
    }
    // NaN goes through the quotient and is found below.
    distances[t] = aa != 0 && bb != 0 ? 1 - ab / std::sqrt(aa * bb) : aa == bb ? 0 : 1;
  });
  double sum = 0;
  for (int64_t t = 0; t < tokens; ++t) {
    if (!std::isfinite(distances[t]))
      return ObserveCosineFault(t);
    sum += distances[t];
  }
  // The mean of all batches so far: it stays exact enough in fp32, which a sum of many would not.
  float *mean = influence, *count = influence + 1;
  *mean = float((double(*mean) * *count + sum) / (double(*count) + double(tokens)));
  *count += float(tokens);
  return absl::OkStatus();
}

Status ScaleStatisticsKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(ScaleStatisticsOperands operands, ReadScaleStatistics(context, call));
  const StatisticsView &from = operands.from, &to = operands.to;
  const float *scales = operands.scales;
  const int64_t width = from.width;
  FirstIndex bad;
  context.pool.parallelFor(width, [&](int64_t row, int) {
    const float *source = from.gram + row * width;
    float *target = to.gram + row * width;
    // In fp64, so that both halves stay equal and products of small scales do not vanish.
    for (int64_t k = 0; k < width; ++k)
      target[k] = float(source[k] / (double(scales[row]) * scales[k]));
    to.absSum[row] = float(from.absSum[row] / std::fabs(double(scales[row])));
    if (FirstNonFinite(target, width) >= 0 || !std::isfinite(to.absSum[row]))
      bad.note(row);
  });
  *to.count = *from.count;
  return ScaleStatisticsFault(bad.found() ? bad.get() : -1);
}

Status MirrorGramKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(StatisticsView statistics, ReadMirrorGram(call));
  const int64_t width = statistics.width;
  context.pool.parallelFor(width, [&](int64_t row, int) {
    for (int64_t k = row + 1; k < width; ++k)
      statistics.gram[row * width + k] = statistics.gram[k * width + row];
  });
  return absl::OkStatus();
}

Status CheckStatisticsValues(KernelContext &context, const StatisticsView &statistics, absl::string_view what) {
  COMPRESSC_RETURN_IF_ERROR(CheckObserved(context, statistics, what));
  const int64_t width = statistics.width;
  FirstIndex bad;
  context.pool.parallelFor(width, [&](int64_t row, int) {
    int64_t column = FirstNonFinite(statistics.gram + row * width, width);
    if (column >= 0)
      bad.note(row * width + column);
  });
  if (bad.found())
    return StatisticsFault(statistics, bad.get(), what);
  int64_t column = FirstNonFinite(statistics.absSum, width);
  return StatisticsFault(statistics, column < 0 ? -1 : width * width + column, what);
}

} // namespace compressc
