// Calibration and weight expressions: which launches each kernel takes.
#include "calibration.h"
#include "../ops/weight_kernels.h"
#include "first_bad.h"
#include "gram_errors.h"
#include "matrix.h"
#include <algorithm>

namespace compressc::cuda {
namespace {

constexpr int64_t gramPanel = 2048; // columns of a Gram matrix computed at a time, under the diagonal
constexpr int64_t floatBytes = sizeof(float), doubleBytes = sizeof(double);

} // namespace

StatusOr<FirstBad> FirstBad::Create(CudaDevice &device, int count) {
  FirstBad bad;
  bad.device = &device;
  std::vector<int64_t> none(size_t(count), std::numeric_limits<int64_t>::max());
  int64_t bytes = count * int64_t(sizeof(int64_t));
  COMPRESSC_ASSIGN_OR_RETURN(bad.memory, device.allocate(bytes, "a check"));
  COMPRESSC_RETURN_IF_ERROR(device.send(bad.memory.get(), none.data(), bytes));
  return bad;
}

StatusOr<int64_t> FirstBad::get(int which) const {
  int64_t index = 0;
  COMPRESSC_RETURN_IF_ERROR(device->download(&index, data() + which, sizeof index));
  return index == std::numeric_limits<int64_t>::max() ? -1 : index;
}

static CudaDevice &deviceOf(const KernelContext &context) { return static_cast<CudaDevice &>(*context.device); }

/// The column of the first element that is NaN or infinite, or -1.
static StatusOr<int64_t> observe(CudaDevice &device, const ObserveOperands &operands) {
  const auto &[x, tokens, width, to] = operands;
  cudaStream_t stream = device.stream;
  DType half = device.half;
  COMPRESSC_ASSIGN_OR_RETURN(FirstBad bad, FirstBad::Create(device));
  COMPRESSC_ASSIGN_OR_RETURN(auto partial, device.scratch(PartialSums(tokens) * width * doubleBytes, "sums of activations"));
  AddColumnMagnitudes(stream, x, tokens, width, static_cast<double *>(partial.get()), to.absSum, bad.data());
  COMPRESSC_ASSIGN_OR_RETURN(int64_t column, bad.get());
  if (column >= 0)
    return column;
  // In 16 bits, like the linears that read x.
  COMPRESSC_ASSIGN_OR_RETURN(auto rounded, device.scratch(tokens * width * 2, "activations in 16 bits"));
  Convert(stream, x, DType::F32, tokens * width, rounded.get(), half);
  for (int64_t begin = 0; begin < width; begin += gramPanel) {
    Product part{};
    part.m = std::min(gramPanel, width - begin), part.n = begin + part.m, part.k = tokens;
    part.x = static_cast<const char *>(rounded.get()) + begin * 2, part.ldx = width;
    part.w = rounded.get(), part.ldw = width;
    part.out = to.gram + begin * width, part.ldo = width;
    part.type = half, part.outType = DType::F32;
    part.accumulate = part.transposed = true;
    COMPRESSC_RETURN_IF_ERROR(device.orLost(device.matmul->run(stream, part)));
  }
  MirrorLower(stream, to.gram, width);
  float count = 0;
  COMPRESSC_RETURN_IF_ERROR(device.download(&count, to.count, sizeof count));
  count += float(tokens);
  COMPRESSC_RETURN_IF_ERROR(device.send(to.count, &count, sizeof count));
  return -1;
}

Status ObserveKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(ObserveOperands operands, ReadObserve(call));
  if (operands.tokens == 0)
    return absl::OkStatus();
  COMPRESSC_ASSIGN_OR_RETURN(int64_t column, observe(deviceOf(context), operands));
  return ObserveFault(column);
}

Status ObserveCosineKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(ObserveCosineOperands operands, ReadObserveCosine(call));
  if (operands.tokens == 0)
    return absl::OkStatus();
  CudaDevice &device = deviceOf(context);
  COMPRESSC_ASSIGN_OR_RETURN(FirstBad bad, FirstBad::Create(device));
  COMPRESSC_ASSIGN_OR_RETURN(auto distances, device.scratch(operands.tokens * doubleBytes, "cosines"));
  AddCosines(device.stream, operands.x, operands.y, operands.tokens, operands.width, static_cast<double *>(distances.get()),
             operands.influence, bad.data());
  COMPRESSC_ASSIGN_OR_RETURN(int64_t row, bad.get());
  return ObserveCosineFault(row);
}

Status ScaleStatisticsKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(ScaleStatisticsOperands operands, ReadScaleStatistics(context, call));
  const StatisticsView &from = operands.from, &to = operands.to;
  CudaDevice &device = deviceOf(context);
  COMPRESSC_ASSIGN_OR_RETURN(FirstBad bad, FirstBad::Create(device));
  ScaleGram(device.stream, from.gram, from.absSum, operands.scales, from.width, to.gram, to.absSum, bad.data());
  COMPRESSC_RETURN_IF_ERROR(device.check(
      cudaMemcpyAsync(to.count, from.count, sizeof(float), cudaMemcpyDeviceToDevice, device.stream), "a count"));
  COMPRESSC_ASSIGN_OR_RETURN(int64_t column, bad.get());
  return ScaleStatisticsFault(column);
}

Status MirrorGramKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(StatisticsView statistics, ReadMirrorGram(call));
  CudaDevice &device = deviceOf(context);
  MirrorLower(device.stream, statistics.gram, statistics.width);
  return device.check(cudaGetLastError(), "a Gram matrix");
}

static Status checkStatistics(KernelContext &context, const StatisticsView &statistics, absl::string_view what) {
  COMPRESSC_RETURN_IF_ERROR(CheckObserved(context, statistics, what));
  CudaDevice &device = deviceOf(context);
  COMPRESSC_ASSIGN_OR_RETURN(FirstBad bad, FirstBad::Create(device));
  FindNonFinite(device.stream, statistics.gram, (statistics.width + 1) * statistics.width, bad.data());
  COMPRESSC_ASSIGN_OR_RETURN(int64_t first, bad.get());
  return StatisticsFault(statistics, first, what);
}

static StatusOr<std::unique_ptr<GramErrors>> makeGramErrors(KernelContext &context, std::vector<WeightMatrix> weights,
                                                            const float *gram) {
  return CudaGramErrors::Create(deviceOf(context), weights, gram);
}

static constexpr SearchPlace here = {&checkStatistics, &makeGramErrors};

Status AwqScaleKernel(KernelContext &context, const KernelCall &call) { return AwqScale(context, call, here); }
Status OutputErrorKernel(KernelContext &context, const KernelCall &call) { return OutputError(context, call, here); }

Status ClipKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(ClipOperands operands, ReadClip(call));
  COMPRESSC_RETURN_IF_ERROR(checkStatistics(context, operands.statistics, "clip: the statistics"));
  CudaDevice &device = deviceOf(context);
  const WeightMatrix &weight = operands.weight;
  COMPRESSC_ASSIGN_OR_RETURN(FirstBad bad, FirstBad::Create(device));
  int64_t parts = 3 * ClipParts(weight.rows, weight.columns, operands.format.group, device.errorType());
  COMPRESSC_ASSIGN_OR_RETURN(auto partial, device.scratch((parts + 3) * doubleBytes, "sums of errors"));
  auto *sums = static_cast<double *>(partial.get());
  Clip(device.stream, matrixOf(weight), operands.statistics.gram, operands.format, device.errorType(), operands.out, sums,
       sums + parts, bad.data());
  double totals[3];
  COMPRESSC_RETURN_IF_ERROR(device.download(totals, sums + parts, sizeof totals));
  ClipSums result{totals[0], totals[1], totals[2]};
  COMPRESSC_ASSIGN_OR_RETURN(result.bad, bad.get());
  return FinishClip(context, call, operands, result);
}

Status QuantizeKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(QuantizeOperands operands, ReadQuantize(call));
  CudaDevice &device = deviceOf(context);
  const WeightMatrix &weight = operands.weight;
  const Tensor &out = operands.to;
  COMPRESSC_ASSIGN_OR_RETURN(FirstBad bad, FirstBad::Create(device, 2));
  int64_t groups = weight.rows * (weight.columns / out.packed.group);
  COMPRESSC_ASSIGN_OR_RETURN(auto quantizers, device.scratch(2 * groups * floatBytes, "quantisers"));
  Quantize(device.stream, matrixOf(weight), {out.packed, out.as<uint32_t>(), out.scales, static_cast<uint32_t *>(out.zeros)},
           static_cast<float *>(quantizers.get()), bad.data());
  QuantizeFaults faults;
  COMPRESSC_ASSIGN_OR_RETURN(faults.value, bad.get(0));
  COMPRESSC_ASSIGN_OR_RETURN(faults.scale, bad.get(1));
  return QuantizeFault(operands, faults);
}

static Status convert(CudaDevice &device, const ConvertOperands &operands) {
  const WeightMatrix &weight = operands.from;
  COMPRESSC_ASSIGN_OR_RETURN(FirstBad bad, FirstBad::Create(device));
  ConvertMatrix(device.stream, matrixOf(weight), operands.to.data, operands.to.dtype, bad.data());
  COMPRESSC_ASSIGN_OR_RETURN(int64_t index, bad.get());
  if (index < 0)
    return absl::OkStatus();
  // What it was before.
  COMPRESSC_ASSIGN_OR_RETURN(auto row, device.scratch(weight.columns * floatBytes, "a row"));
  COMPRESSC_ASSIGN_OR_RETURN(auto number, device.scratch(sizeof(int32_t), "a row"));
  auto which = int32_t(index / weight.columns);
  COMPRESSC_RETURN_IF_ERROR(device.send(number.get(), &which, sizeof which));
  GatherRows(device.stream, matrixOf(weight), static_cast<const int32_t *>(number.get()), 1, static_cast<float *>(row.get()));
  float value = 0;
  COMPRESSC_RETURN_IF_ERROR(
      device.download(&value, static_cast<const float *>(row.get()) + index % weight.columns, floatBytes));
  return ConvertFault(operands, index, value);
}

Status ConvertKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(ConvertOperands operands, ReadConvert(call));
  return convert(deviceOf(context), operands);
}

Status DequantizeKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(ConvertOperands operands, ReadDequantize(call));
  return convert(deviceOf(context), operands);
}

Status ScaleColumnsKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(ScaleColumnsOperands operands, ReadScaleColumns(call));
  CudaDevice &device = deviceOf(context);
  ScaleColumns(device.stream, matrixOf(operands.weight), operands.scales, operands.out);
  return device.check(cudaGetLastError(), "scale_columns");
}

Status ScaleRowsKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(ScaleRowsOperands operands, ReadScaleRows(context, call));
  CudaDevice &device = deviceOf(context);
  ScaleRows(device.stream, matrixOf(operands.weight), operands.scales, operands.inverse, operands.out);
  return device.check(cudaGetLastError(), "scale_rows");
}

Status ExpandHeadsKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(ExpandHeadsOperands operands, ReadExpandHeads(call));
  CudaDevice &device = deviceOf(context);
  ExpandHeads(device.stream, operands.x, operands.width, operands.headDim, operands.repeat, operands.out);
  return device.check(cudaGetLastError(), "expand_heads");
}

Status TransposeKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_RETURN_IF_ERROR(CheckTranspose(call));
  CudaDevice &device = deviceOf(context);
  const Tensor &in = call.inputs[0];
  Transpose(device.stream, in.data, in.dim(0), in.dim(1), DTypeSize(in.dtype), call.outputs[0].data);
  return device.check(cudaGetLastError(), "transpose");
}

} // namespace compressc::cuda
