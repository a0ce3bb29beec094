#include "floats.h"
#include "operands.h"
#include "weight_kernels.h"

namespace compressc {

float RelativeError(double part, double whole) {
  if (!(part > 0))
    return 0;
  constexpr double largest = std::numeric_limits<float>::max();
  return float(std::min(part / std::max(whole, 1e-300), largest));
}

Status OutputError(KernelContext &context, const KernelCall &call, const SearchPlace &place) {
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
      ReadWeight(changedTensor, "output_error: the changed weight"));
  if (changed.rows != rows || changed.columns != columns)
    return Invalid("output_error: the changed weight is [", changed.rows, ", ", changed.columns,
                   "], the weight [", rows, ", ", columns, "]");
  COMPRESSC_ASSIGN_OR_RETURN(
      StatisticsView statistics,
      CheckStatistics(call.inputs[2], columns, "output_error: the statistics"));
  COMPRESSC_RETURN_IF_ERROR(
      CheckTensor(call.outputs[0], DType::F32, {1}, "output_error: the output"));
  COMPRESSC_RETURN_IF_ERROR(
      place.checkStatistics(context, statistics, "output_error: the statistics"));

  COMPRESSC_ASSIGN_OR_RETURN(auto errors, place.gramErrors(context, {weight}, statistics.gram));
  COMPRESSC_ASSIGN_OR_RETURN(GramTrace whole, errors->ofWeights());
  if (whole.bad >= 0)
    return NonFiniteError(whole.bad, columns, "output_error: the weight");
  COMPRESSC_ASSIGN_OR_RETURN(GramTrace part, errors->ofChange(changed));
  if (part.bad >= 0)
    return NonFiniteError(part.bad, columns, "output_error: the changed weight");
  return WriteFloats(context, call.outputs[0], {RelativeError(part.value, whole.value)});
}

} // namespace compressc
