#include "gram_form.h"
#include "kernels.h"
#include "weight_operands.h"

namespace compressc {

Status OutputErrorKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_RETURN_IF_ERROR(CheckCounts(call, "output_error", 3, 3, 1));
  COMPRESSC_ASSIGN_OR_RETURN(WeightMatrix weight,
                             PlainMatrix(call.inputs[0], "output_error: the weight"));
  const int64_t rows = weight.rows, columns = weight.columns;
  const Tensor &changedTensor = call.inputs[1];
  if (!IsPlainFloat(changedTensor.dtype) && changedTensor.dtype != DType::Packed)
    return Invalid("output_error: the changed weight is ", TypeName(changedTensor.dtype),
                   "; it must be f32, f16, bf16 or packed");
  COMPRESSC_ASSIGN_OR_RETURN(
      WeightMatrix changed,
      WeightMatrix::Create(changedTensor, "output_error: the changed weight"));
  if (changed.rows != rows || changed.columns != columns)
    return Invalid("output_error: the changed weight is [", changed.rows, ", ", changed.columns,
                   "], the weight [", rows, ", ", columns, "]");
  COMPRESSC_ASSIGN_OR_RETURN(
      StatisticsView statistics,
      CheckStatistics(call.inputs[2], columns, "output_error: the statistics"));
  COMPRESSC_RETURN_IF_ERROR(
      CheckTensor(call.outputs[0], DType::F32, {1}, "output_error: the output"));
  COMPRESSC_RETURN_IF_ERROR(
      CheckStatisticsValues(context, statistics, "output_error: the statistics"));

  GramForm form(context, statistics.gram, columns);
  FirstIndex bad, badChanged;
  double whole = form.trace(rows, [&](int64_t row, int, float *out) {
    DequantizeRow(weight, row, out);
    if (int64_t column = FirstNonFinite(out, columns); column >= 0)
      bad.note(row * columns + column);
  });
  if (bad.found())
    return NonFiniteError(bad.get(), columns, "output_error: the weight");
  double part = form.trace(rows, [&](int64_t row, int worker, float *out) {
    auto *original = static_cast<float *>(context.scratch.worker(worker, columns * sizeof(float)));
    DequantizeRow(weight, row, original);
    DequantizeRow(changed, row, out);
    if (int64_t column = FirstNonFinite(out, columns); column >= 0)
      badChanged.note(row * columns + column);
    for (int64_t k = 0; k < columns; ++k)
      out[k] -= original[k];
  });
  if (badChanged.found())
    return NonFiniteError(badChanged.get(), columns, "output_error: the changed weight");
  *call.outputs[0].as<float>() = RelativeError(part, whole);
  return absl::OkStatus();
}

} // namespace compressc
