#include "weight_kernels.h"
#include "absl/strings/str_join.h"
#include "floats.h"
#include "operands.h"
#include <cmath>

namespace compressc {

StatusOr<ObserveOperands> ReadObserve(const KernelCall &call) {
  COMPRESSC_RETURN_IF_ERROR(CheckCounts(call, "observe", 1, 1, 1));
  const Tensor &x = call.inputs[0];
  if (x.dtype != DType::F32 || x.rank() != 2 || x.dim(0) < 0)
    return Invalid("observe: the input must be f32 [tokens, width]");
  ObserveOperands operands{x.as<float>(), x.dim(0), x.dim(1), {}};
  COMPRESSC_ASSIGN_OR_RETURN(operands.to, CheckStatistics(call.outputs[0], operands.width, "observe: the statistics"));
  if (operands.tokens > 0)
    COMPRESSC_RETURN_IF_ERROR(
        CheckTensor(x, DType::F32, {operands.tokens, operands.width}, "observe: the input"));
  return operands;
}

Status ObserveFault(int64_t column) {
  if (column < 0)
    return absl::OkStatus();
  return Invalid("observe: column ", column,
                 " of the activations holds NaN, infinity or values too large to add up");
}

StatusOr<ObserveCosineOperands> ReadObserveCosine(const KernelCall &call) {
  COMPRESSC_RETURN_IF_ERROR(CheckCounts(call, "observe_cosine", 2, 2, 1));
  const Tensor &x = call.inputs[0], &y = call.inputs[1];
  if (x.dtype != DType::F32 || x.rank() != 2 || x.dim(0) < 0)
    return Invalid("observe_cosine: the input must be f32 [tokens, width]");
  const int64_t tokens = x.dim(0), width = x.dim(1);
  COMPRESSC_RETURN_IF_ERROR(
      CheckTensor(call.outputs[0], DType::F32, {2}, "observe_cosine: the influence"));
  if (tokens > 0) {
    COMPRESSC_RETURN_IF_ERROR(
        CheckTensor(x, DType::F32, {tokens, width}, "observe_cosine: the input"));
    COMPRESSC_RETURN_IF_ERROR(
        CheckTensor(y, DType::F32, {tokens, width}, "observe_cosine: the output"));
  }
  return ObserveCosineOperands{x.as<float>(), y.as<float>(), tokens, width, call.outputs[0].as<float>()};
}

Status ObserveCosineFault(int64_t row) {
  if (row < 0)
    return absl::OkStatus();
  return Invalid("observe_cosine: row ", row, " of the activations holds NaN or infinity");
}

StatusOr<ScaleStatisticsOperands> ReadScaleStatistics(const KernelContext &context, const KernelCall &call) {
  COMPRESSC_RETURN_IF_ERROR(CheckCounts(call, "scale_statistics", 2, 2, 1));
  const int64_t width = call.inputs[0].rank() == 1 ? call.inputs[0].dim(0) : 0;
  ScaleStatisticsOperands operands{};
  COMPRESSC_ASSIGN_OR_RETURN(
      operands.from, CheckStatistics(call.inputs[0], width, "scale_statistics: the statistics"));
  COMPRESSC_RETURN_IF_ERROR(
      CheckTensor(call.inputs[1], DType::F32, {width}, "scale_statistics: the scales"));
  COMPRESSC_ASSIGN_OR_RETURN(
      operands.to, CheckStatistics(call.outputs[0], width, "scale_statistics: the output"));
  operands.scales = call.inputs[1].as<float>();
  COMPRESSC_ASSIGN_OR_RETURN(operands.hostScales, ReadFloats(context, operands.scales, width));
  for (int64_t k = 0; k < width; ++k)
    if (float scale = operands.hostScales[size_t(k)]; !std::isfinite(scale) || scale == 0)
      return Invalid("scale_statistics: scale ", k, " is ", scale,
                     "; it must be finite and not 0");
  return operands;
}

Status ScaleStatisticsFault(int64_t column) {
  if (column < 0)
    return absl::OkStatus();
  return Invalid("scale_statistics: column ", column,
                 " becomes NaN or infinite when it is divided by its scale");
}

StatusOr<ConvertOperands> ReadConvert(const KernelCall &call) {
  COMPRESSC_RETURN_IF_ERROR(CheckCounts(call, "convert", 1, 1, 1));
  const Tensor &in = call.inputs[0], &out = call.outputs[0];
  COMPRESSC_RETURN_IF_ERROR(CheckPlain(in, "convert: the input"));
  COMPRESSC_RETURN_IF_ERROR(CheckPlain(out, "convert: the output"));
  if (out.shape != in.shape)
    return Invalid("convert: the output is [", absl::StrJoin(out.shape, ", "), "], the input [",
                   absl::StrJoin(in.shape, ", "), "]");
  return ConvertOperands{"convert", WeightMatrix::Plain(in.dtype, in.data, in.dim(0), in.elements() / in.dim(0)), out};
}

StatusOr<ConvertOperands> ReadDequantize(const KernelCall &call) {
  COMPRESSC_RETURN_IF_ERROR(CheckCounts(call, "dequantize", 1, 1, 1));
  const Tensor &in = call.inputs[0], &out = call.outputs[0];
  if (in.dtype != DType::Packed && DTypeBlock(in.dtype).elements == 1)
    return Invalid("dequantize: the weight is ", TypeName(in.dtype),
                   "; it must be packed or in GGUF blocks");
  ConvertOperands operands{"dequantize", {}, out};
  COMPRESSC_ASSIGN_OR_RETURN(operands.from, ReadWeight(in, "dequantize: the weight"));
  COMPRESSC_RETURN_IF_ERROR(CheckPlain(out, "dequantize: the output"));
  if (out.shape != in.shape)
    return Invalid("dequantize: the output is [", absl::StrJoin(out.shape, ", "), "], the weight [",
                   absl::StrJoin(in.shape, ", "), "]");
  return operands;
}

Status ConvertFault(const ConvertOperands &operands, int64_t index, float value) {
  if (index < 0)
    return absl::OkStatus();
  if (!std::isfinite(value))
    return Invalid(operands.kernel, ": element ", index, " is NaN or infinite");
  return Invalid(operands.kernel, ": element ", index, " is ", value, ", too large for ",
                 TypeName(operands.to.dtype), "; choose bf16 or f32");
}

Status CheckTranspose(const KernelCall &call) {
  COMPRESSC_RETURN_IF_ERROR(CheckCounts(call, "transpose", 1, 1, 1));
  const Tensor &in = call.inputs[0], &out = call.outputs[0];
  COMPRESSC_RETURN_IF_ERROR(CheckPlain(in, "transpose: the input"));
  if (in.rank() != 2)
    return Invalid("transpose: the input must be a matrix");
  COMPRESSC_RETURN_IF_ERROR(
      CheckTensor(out, in.dtype, {in.dim(1), in.dim(0)}, "transpose: the output"));
  if (in.data == out.data)
    return Invalid("transpose: the output must not lie on the input");
  return absl::OkStatus();
}

StatusOr<ScaleColumnsOperands> ReadScaleColumns(const KernelCall &call) {
  COMPRESSC_RETURN_IF_ERROR(CheckCounts(call, "scale_columns", 2, 2, 1));
  ScaleColumnsOperands operands{};
  COMPRESSC_ASSIGN_OR_RETURN(operands.weight,
                             PlainMatrix(call.inputs[0], "scale_columns: the weight"));
  const int64_t columns = operands.weight.columns;
  COMPRESSC_RETURN_IF_ERROR(
      CheckTensor(call.inputs[1], DType::F32, {columns}, "scale_columns: the scales"));
  COMPRESSC_RETURN_IF_ERROR(CheckTensor(call.outputs[0], DType::F32, {operands.weight.rows, columns},
                                        "scale_columns: the output"));
  operands.scales = call.inputs[1].as<float>();
  operands.out = call.outputs[0].as<float>();
  return operands;
}

StatusOr<ScaleRowsOperands> ReadScaleRows(const KernelContext &context, const KernelCall &call) {
  COMPRESSC_RETURN_IF_ERROR(CheckCounts(call, "scale_rows", 2, 2, 1));
  const Tensor &in = call.inputs[0];
  COMPRESSC_RETURN_IF_ERROR(CheckPlain(in, "scale_rows: the weight"));
  if (in.rank() > 2)
    return Invalid("scale_rows: the weight must be a matrix or a vector");
  const int64_t rows = in.dim(0);
  COMPRESSC_RETURN_IF_ERROR(
      CheckTensor(call.inputs[1], DType::F32, {rows}, "scale_rows: the scales"));
  COMPRESSC_RETURN_IF_ERROR(
      CheckTensor(call.outputs[0], DType::F32, in.shape, "scale_rows: the output"));
  ScaleRowsOperands operands{WeightMatrix::Plain(in.dtype, in.data, rows, in.elements() / rows),
                             call.inputs[1].as<float>(),
                             {},
                             call.attributes.getIntOr("inverse", 0) != 0,
                             call.outputs[0].as<float>()};
  COMPRESSC_ASSIGN_OR_RETURN(operands.hostScales, ReadFloats(context, operands.scales, rows));
  for (int64_t n = 0; operands.inverse && n < rows; ++n)
    if (operands.hostScales[size_t(n)] == 0)
      return Invalid("scale_rows: scale ", n, " is 0 and rows are divided by the scales");
  return operands;
}

StatusOr<ExpandHeadsOperands> ReadExpandHeads(const KernelCall &call) {
  COMPRESSC_RETURN_IF_ERROR(CheckCounts(call, "expand_heads", 1, 1, 1));
  const Tensor &in = call.inputs[0], &out = call.outputs[0];
  COMPRESSC_ASSIGN_OR_RETURN(int64_t headDim, call.attributes.getInt("head_dim"));
  COMPRESSC_ASSIGN_OR_RETURN(int64_t repeat, call.attributes.getInt("repeat"));
  const int64_t width = in.rank() == 1 ? in.dim(0) : 0;
  COMPRESSC_RETURN_IF_ERROR(CheckTensor(in, DType::F32, {width}, "expand_heads: the input"));
  int64_t expanded = 0;
  if (headDim < 1 || repeat < 1 || width % headDim != 0 ||
      __builtin_mul_overflow(width, repeat, &expanded))
    return Invalid("expand_heads: head_dim = ", headDim, " and repeat = ", repeat,
                   " do not fit a vector of ", width);
  COMPRESSC_RETURN_IF_ERROR(CheckTensor(out, DType::F32, {expanded}, "expand_heads: the output"));
  if (in.data == out.data && repeat > 1)
    return Invalid("expand_heads: the output must not lie on the input");
  return ExpandHeadsOperands{in.as<float>(), width, headDim, repeat, out.as<float>()};
}

StatusOr<ClipOperands> ReadClip(const KernelCall &call) {
  COMPRESSC_RETURN_IF_ERROR(CheckCounts(call, "clip", 2, 2, 2));
  ClipOperands operands{};
  COMPRESSC_ASSIGN_OR_RETURN(operands.weight, PlainMatrix(call.inputs[0], "clip: the weight"));
  const int64_t rows = operands.weight.rows, columns = operands.weight.columns;
  COMPRESSC_ASSIGN_OR_RETURN(operands.statistics,
                             CheckStatistics(call.inputs[1], columns, "clip: the statistics"));
  COMPRESSC_ASSIGN_OR_RETURN(operands.format,
                             FormatFromAttributes(call.attributes, columns, "clip"));
  COMPRESSC_RETURN_IF_ERROR(
      CheckTensor(call.outputs[0], DType::F32, {rows, columns}, "clip: the output"));
  COMPRESSC_RETURN_IF_ERROR(CheckTensor(call.outputs[1], DType::F32, {2}, "clip: the choice"));
  operands.out = call.outputs[0].as<float>();
  return operands;
}

Status FinishClip(const KernelContext &context, const KernelCall &call, const ClipOperands &operands, const ClipSums &sums) {
  int64_t rows = operands.weight.rows, columns = operands.weight.columns;
  if (sums.bad >= 0)
    return NonFiniteError(sums.bad, columns, "clip: the weight");
  if (!std::isfinite(sums.before))
    return Invalid("clip: the weights are too large for ", TypeName(operands.format.scaleType),
                   " scales; choose scale_type = f32");
  return WriteFloats(context, call.outputs[1],
                     {sums.before > 0 ? float(sums.after / sums.before) : 1.0f,
                      float(sums.ratios / double(rows * (columns / operands.format.group)))});
}

StatusOr<QuantizeOperands> ReadQuantize(const KernelCall &call) {
  COMPRESSC_RETURN_IF_ERROR(CheckCounts(call, "quantize", 1, 1, 1));
  QuantizeOperands operands{{}, call.outputs[0]};
  COMPRESSC_ASSIGN_OR_RETURN(operands.weight,
                             PlainMatrix(call.inputs[0], "quantize: the weight"));
  const int64_t rows = operands.weight.rows, columns = operands.weight.columns;
  COMPRESSC_RETURN_IF_ERROR(
      CheckTensor(operands.to, DType::Packed, {rows, columns}, "quantize: the output"));
  const PackedFormat &format = operands.to.packed;
  COMPRESSC_RETURN_IF_ERROR(WithContext(CheckPackedFormat(format, columns), "quantize"));
  if (!operands.to.scales || (!format.symmetric && !operands.to.zeros))
    return Invalid("quantize: the output has no memory for scales or zeros");
  return operands;
}

Status QuantizeFault(const QuantizeOperands &operands, const QuantizeFaults &faults) {
  if (faults.value >= 0)
    return NonFiniteError(faults.value, operands.weight.columns, "quantize: the weight");
  if (faults.scale >= 0)
    return Invalid("quantize: row ", faults.scale, " of the weight is too large for ",
                   TypeName(operands.to.packed.scaleType), " scales; choose f32");
  return absl::OkStatus();
}

StatusOr<StatisticsView> ReadMirrorGram(const KernelCall &call) {
  COMPRESSC_RETURN_IF_ERROR(CheckCounts(call, "mirror_gram", 1, 1, 1));
  const int64_t width = call.inputs[0].rank() == 1 ? call.inputs[0].dim(0) : 0;
  if (call.inputs[0].data != call.outputs[0].data)
    return Invalid("mirror_gram: works in place; the output must be the input");
  return CheckStatistics(call.inputs[0], width, "mirror_gram: the statistics");
}

} // namespace compressc
