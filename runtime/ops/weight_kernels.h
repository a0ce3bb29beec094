// Operands of the kernels of calibration and weight expressions, checked, and what these kernels say of bad numbers: the
// same on the CPU and on devices.
#pragma once

#include "gram_errors.h"
#include "weight_operands.h"

namespace compressc {

struct ObserveOperands {
  const float *x; // [tokens, width]
  int64_t tokens, width;
  StatisticsView to;
};
/// With no tokens there is nothing to do.
StatusOr<ObserveOperands> ReadObserve(const KernelCall &call);
/// OK for -1.
Status ObserveFault(int64_t column);

struct ObserveCosineOperands {
  const float *x, *y; // [tokens, width]
  int64_t tokens, width;
  float *influence; // [2]
};
StatusOr<ObserveCosineOperands> ReadObserveCosine(const KernelCall &call);
Status ObserveCosineFault(int64_t row);

struct ScaleStatisticsOperands {
  StatisticsView from, to;
  const float *scales;
  std::vector<float> hostScales;
};
StatusOr<ScaleStatisticsOperands> ReadScaleStatistics(const KernelContext &context, const KernelCall &call);
Status ScaleStatisticsFault(int64_t column);

/// Of `convert` and `dequantize`; `to` has the matrix's elements, as a matrix or not.
struct ConvertOperands {
  const char *kernel;
  WeightMatrix from;
  Tensor to;
};
StatusOr<ConvertOperands> ReadConvert(const KernelCall &call);
StatusOr<ConvertOperands> ReadDequantize(const KernelCall &call);
/// The first element that is NaN or infinite, or becomes so, and what it was before. OK for -1.
Status ConvertFault(const ConvertOperands &operands, int64_t index, float value);

/// The input and the output of a transpose fit.
Status CheckTranspose(const KernelCall &call);

struct ScaleColumnsOperands {
  WeightMatrix weight;
  const float *scales;
  float *out;
};
StatusOr<ScaleColumnsOperands> ReadScaleColumns(const KernelCall &call);

struct ScaleRowsOperands {
  WeightMatrix weight; // a vector as rows of one column
  const float *scales;
  std::vector<float> hostScales;
  bool inverse; // divides
  float *out;
};
StatusOr<ScaleRowsOperands> ReadScaleRows(const KernelContext &context, const KernelCall &call);

struct ExpandHeadsOperands {
  const float *x; // [width]
  int64_t width, headDim, repeat;
  float *out;
};
StatusOr<ExpandHeadsOperands> ReadExpandHeads(const KernelCall &call);

struct ClipOperands {
  WeightMatrix weight;
  StatisticsView statistics;
  PackedFormat format;
  float *out;
};
StatusOr<ClipOperands> ReadClip(const KernelCall &call);
/// Over all groups of all rows: the error δᵀ·G·δ of the old and the new range, and new range / old range.
struct ClipSums {
  double before = 0, after = 0, ratios = 0;
  int64_t bad = -1; // index of the first NaN or infinity of the weight
};
/// Says what is wrong with the numbers, or writes the choice.
Status FinishClip(const KernelContext &context, const KernelCall &call, const ClipOperands &operands, const ClipSums &sums);

struct QuantizeOperands {
  WeightMatrix weight;
  Tensor to;
};
StatusOr<QuantizeOperands> ReadQuantize(const KernelCall &call);
struct QuantizeFaults {
  int64_t value = -1; // index of the first NaN or infinity
  int64_t scale = -1; // the first row whose scales are too large for their type
};
Status QuantizeFault(const QuantizeOperands &operands, const QuantizeFaults &faults);

StatusOr<StatisticsView> ReadMirrorGram(const KernelCall &call);

/// Where a kernel computes: what the searches below ask of it.
struct SearchPlace {
  Status (*checkStatistics)(KernelContext &, const StatisticsView &, absl::string_view what);
  StatusOr<std::unique_ptr<GramErrors>> (*gramErrors)(KernelContext &, std::vector<WeightMatrix> weights, const float *gram);
};
Status AwqScale(KernelContext &context, const KernelCall &call, const SearchPlace &place);
Status OutputError(KernelContext &context, const KernelCall &call, const SearchPlace &place);

} // namespace compressc
