#include "model_kernels.h"
#include <algorithm>
#include <iterator>

namespace compressc {

StatusOr<ElementwiseOperands> ReadElementwise(std::string_view kernel, const KernelCall &call) {
  Operands operands(kernel, call);
  COMPRESSC_RETURN_IF_ERROR(operands.counts(2, 2, 1));
  ElementwiseOperands result{};
  COMPRESSC_ASSIGN_OR_RETURN(result.a, operands.matrix(call.inputs[0], "the first input"));
  result.rows = call.inputs[0].dim(0), result.width = call.inputs[0].dim(1);
  COMPRESSC_ASSIGN_OR_RETURN(
      result.b, operands.matrix(call.inputs[1], "the second input", result.rows, result.width));
  COMPRESSC_ASSIGN_OR_RETURN(
      result.out, operands.matrix(call.outputs[0], "the output", result.rows, result.width));
  return result;
}

StatusOr<Activation> ReadActivation(const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(std::string kind, call.attributes.getString("kind"));
  const auto *name = std::find(std::begin(activationNames), std::end(activationNames), kind);
  if (name == std::end(activationNames))
    return Invalid("gated_activation: the kind '", kind,
                   "' is unknown; choose silu, gelu, gelu_tanh or relu");
  return Activation(name - activationNames);
}

StatusOr<NormOperands> ReadRmsNorm(const KernelCall &call) {
  Operands operands("rms_norm", call);
  COMPRESSC_RETURN_IF_ERROR(operands.counts(2, 2, 1));
  NormOperands result;
  COMPRESSC_ASSIGN_OR_RETURN(result.epsilon, operands.epsilon());
  COMPRESSC_ASSIGN_OR_RETURN(result.x, operands.matrix(call.inputs[0], "x"));
  result.rows = call.inputs[0].dim(0), result.width = call.inputs[0].dim(1);
  COMPRESSC_ASSIGN_OR_RETURN(
      result.out, operands.matrix(call.outputs[0], "the output", result.rows, result.width));
  result.run = call.inputs[1].rank() == 1 ? call.inputs[1].dim(0) : 0;
  if (result.run < 1 || result.width % result.run)
    return operands.error("the weight is ", Describe(call.inputs[1]), "; its size must divide x's ",
                          result.width, " columns");
  COMPRESSC_ASSIGN_OR_RETURN(result.weight,
                             Floats::Read(call.inputs[1], result.run, "rms_norm: the weight"));
  return result;
}

StatusOr<NormOperands> ReadLayerNorm(const KernelCall &call) {
  Operands operands("layer_norm", call);
  COMPRESSC_RETURN_IF_ERROR(operands.counts(2, 3, 1));
  NormOperands result;
  COMPRESSC_ASSIGN_OR_RETURN(result.epsilon, operands.epsilon());
  COMPRESSC_ASSIGN_OR_RETURN(result.x, operands.matrix(call.inputs[0], "x"));
  result.rows = call.inputs[0].dim(0), result.width = result.run = call.inputs[0].dim(1);
  COMPRESSC_ASSIGN_OR_RETURN(
      result.out, operands.matrix(call.outputs[0], "the output", result.rows, result.width));
  COMPRESSC_ASSIGN_OR_RETURN(result.weight,
                             Floats::Read(call.inputs[1], result.width, "layer_norm: the weight"));
  if (call.inputs.size() == 3) {
    COMPRESSC_ASSIGN_OR_RETURN(result.bias,
                               Floats::Read(call.inputs[2], result.width, "layer_norm: the bias"));
  }
  return result;
}

StatusOr<EmbeddingOperands> ReadEmbedding(const KernelCall &call) {
  Operands operands("embedding", call);
  COMPRESSC_RETURN_IF_ERROR(operands.counts(2, 2, 1));
  EmbeddingOperands result{};
  COMPRESSC_ASSIGN_OR_RETURN(result.tokens, operands.integers(call.inputs[0], "tokens"));
  COMPRESSC_ASSIGN_OR_RETURN(result.table, ReadWeight(call.inputs[1], "embedding: the table"));
  result.rows = call.inputs[0].dim(0);
  result.scale = float(call.attributes.getFloatOr("scale", 1));
  COMPRESSC_ASSIGN_OR_RETURN(result.out, operands.matrix(call.outputs[0], "the output", result.rows,
                                                         result.table.columns));
  if (int64_t row = FirstTokenOutside(result.tokens, result.rows, result.table.rows); row >= 0)
    return operands.error("token ", result.tokens[row], " in row ", row,
                          " is not in the vocabulary of ", result.table.rows);
  return result;
}

StatusOr<SelectRowsOperands> ReadSelectRows(const KernelContext &context, const KernelCall &call) {
  Operands operands("select_rows", call);
  COMPRESSC_RETURN_IF_ERROR(operands.counts(1, 1, 1));
  SelectRowsOperands result{};
  COMPRESSC_ASSIGN_OR_RETURN(result.x, operands.matrix(call.inputs[0], "x"));
  int64_t rows = call.inputs[0].dim(0);
  result.width = call.inputs[0].dim(1);
  COMPRESSC_ASSIGN_OR_RETURN(const Batch *batch, operands.batch(context, rows));
  int64_t selected = int64_t(batch->selectedRows.size());
  COMPRESSC_ASSIGN_OR_RETURN(
      result.out, operands.matrix(call.outputs[0], "the output", selected, result.width));
  for (int32_t row : batch->selectedRows)
    if (row < 0 || row >= rows)
      return operands.error("row ", row, " is selected, and the batch has ", rows);
  return result;
}

} // namespace compressc
