// Calibration statistics: what observations accumulate, and how it changes when columns are scaled.
#include "floats.h"
#include "kernels.h"
#include "weight_operands.h"
#include <cmath>

namespace compressc {

Status ObserveKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_RETURN_IF_ERROR(CheckCounts(call, "observe", 1, 1, 1));
  const Tensor &x = call.inputs[0];
  if (x.dtype != DType::F32 || x.rank() != 2 || x.dim(0) < 0)
    return Invalid("observe: the input must be f32 [tokens, width]");
  const int64_t tokens = x.dim(0), width = x.dim(1);
  COMPRESSC_ASSIGN_OR_RETURN(StatisticsView statistics,
                             CheckStatistics(call.outputs[0], width, "observe: the statistics"));
  if (tokens == 0)
    return absl::OkStatus();
  COMPRESSC_RETURN_IF_ERROR(CheckTensor(x, DType::F32, {tokens, width}, "observe: the input"));

  const float *values = x.as<float>();
  auto badColumn = [](int64_t column) {
    return Invalid("observe: column ", column,
                   " of the activations holds NaN, infinity or values too large to add up");
  };
  if (context.device) {
    COMPRESSC_ASSIGN_OR_RETURN(int64_t column, context.device->observe(values, tokens, width, statistics));
    return column >= 0 ? badColumn(column) : absl::OkStatus();
  }
  constexpr int64_t columnsPerTask = 64;
  FirstIndex bad;
  context.pool.parallelFor((width + columnsPerTask - 1) / columnsPerTask, [&](int64_t task, int) {
    const int64_t begin = task * columnsPerTask;
    const int64_t count = std::min(columnsPerTask, width - begin);
    double sums[columnsPerTask] = {};
    for (int64_t t = 0; t < tokens; ++t) {
      const float *row = values + t * width + begin;
      for (int64_t k = 0; k < count; ++k)
        sums[k] += std::fabs(row[k]);
    }
    for (int64_t k = 0; k < count; ++k) {
      if (!std::isfinite(float(sums[k])))
        bad.note(begin + k);
      statistics.absSum[begin + k] += float(sums[k]);
    }
  });
  if (bad.found())
    return badColumn(bad.get());
  SyrkAccumulate(context, tokens, width, values, width, statistics.gram);
  *statistics.count += float(tokens);
  return absl::OkStatus();
}

Status ObserveCosineKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_RETURN_IF_ERROR(CheckCounts(call, "observe_cosine", 2, 2, 1));
  const Tensor &x = call.inputs[0], &y = call.inputs[1];
  if (x.dtype != DType::F32 || x.rank() != 2 || x.dim(0) < 0)
    return Invalid("observe_cosine: the input must be f32 [tokens, width]");
  const int64_t tokens = x.dim(0), width = x.dim(1);
  COMPRESSC_RETURN_IF_ERROR(
      CheckTensor(call.outputs[0], DType::F32, {2}, "observe_cosine: the influence"));
  if (tokens == 0)
    return absl::OkStatus();
  COMPRESSC_RETURN_IF_ERROR(
      CheckTensor(x, DType::F32, {tokens, width}, "observe_cosine: the input"));
  COMPRESSC_RETURN_IF_ERROR(
      CheckTensor(y, DType::F32, {tokens, width}, "observe_cosine: the output"));
  auto badRow = [](int64_t row) {
    return Invalid("observe_cosine: row ", row, " of the activations holds NaN or infinity");
  };
  if (context.device) {
    COMPRESSC_ASSIGN_OR_RETURN(int64_t row, context.device->observeCosine(x.as<float>(), y.as<float>(), tokens, width,
                                                                          call.outputs[0].as<float>()));
    return row >= 0 ? badRow(row) : absl::OkStatus();
  }

  auto *distances = static_cast<double *>(context.scratch.shared(tokens * sizeof(double)));
  context.pool.parallelFor(tokens, [&](int64_t t, int) {
    const float *a = x.as<float>() + t * width, *b = y.as<float>() + t * width;
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
      return badRow(t);
    sum += distances[t];
  }
  // The mean of all batches so far: it stays exact enough in fp32, which a sum of many would not.
  float *mean = call.outputs[0].as<float>(), *count = mean + 1;
  *mean = float((double(*mean) * *count + sum) / (double(*count) + double(tokens)));
  *count += float(tokens);
  return absl::OkStatus();
}

Status ScaleStatisticsKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_RETURN_IF_ERROR(CheckCounts(call, "scale_statistics", 2, 2, 1));
  const int64_t width = call.inputs[0].rank() == 1 ? call.inputs[0].dim(0) : 0;
  COMPRESSC_ASSIGN_OR_RETURN(
      StatisticsView from,
      CheckStatistics(call.inputs[0], width, "scale_statistics: the statistics"));
  COMPRESSC_RETURN_IF_ERROR(
      CheckTensor(call.inputs[1], DType::F32, {width}, "scale_statistics: the scales"));
  COMPRESSC_ASSIGN_OR_RETURN(
      StatisticsView to, CheckStatistics(call.outputs[0], width, "scale_statistics: the output"));
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<float> scales, ReadFloats(context, call.inputs[1].as<float>(), width));
  for (int64_t k = 0; k < width; ++k)
    if (!std::isfinite(scales[k]) || scales[k] == 0)
      return Invalid("scale_statistics: scale ", k, " is ", scales[k],
                     "; it must be finite and not 0");

  auto badColumn = [](int64_t column) {
    return Invalid("scale_statistics: column ", column,
                   " becomes NaN or infinite when it is divided by its scale");
  };
  if (context.device) {
    COMPRESSC_ASSIGN_OR_RETURN(int64_t column,
                               context.device->scaleStatistics(from, call.inputs[1].as<float>(), to));
    return column >= 0 ? badColumn(column) : absl::OkStatus();
  }
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
  return bad.found() ? badColumn(bad.get()) : absl::OkStatus();
}

} // namespace compressc
