#include "gemm.h"
#include "kernels.h"
#include "operands.h"
#include <cstring>

namespace compressc {

Status EmbeddingKernel(KernelContext &context, const KernelCall &call) {
  Operands operands("embedding", call);
  COMPRESSC_RETURN_IF_ERROR(operands.counts(2, 2, 1));
  COMPRESSC_ASSIGN_OR_RETURN(const int32_t *tokens, operands.integers(call.inputs[0], "tokens"));
  COMPRESSC_ASSIGN_OR_RETURN(WeightMatrix table,
                             WeightMatrix::Create(call.inputs[1], "embedding: the table"));
  int64_t rows = call.inputs[0].dim(0);
  COMPRESSC_ASSIGN_OR_RETURN(float *out,
                             operands.matrix(call.outputs[0], "the output", rows, table.columns));
  for (int64_t row = 0; row < rows; ++row)
    if (tokens[row] < 0 || tokens[row] >= table.rows)
      return operands.error("token ", tokens[row], " in row ", row, " is not in the vocabulary of ",
                            table.rows);
  ForRows(context, rows, table.columns, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row)
      DequantizeRow(table, tokens[row], out + row * table.columns);
  });
  return absl::OkStatus();
}

Status SelectRowsKernel(KernelContext &context, const KernelCall &call) {
  Operands operands("select_rows", call);
  COMPRESSC_RETURN_IF_ERROR(operands.counts(1, 1, 1));
  COMPRESSC_ASSIGN_OR_RETURN(float *x, operands.matrix(call.inputs[0], "x"));
  int64_t rows = call.inputs[0].dim(0), width = call.inputs[0].dim(1);
  COMPRESSC_ASSIGN_OR_RETURN(const Batch *batch, operands.batch(context, rows));
  int64_t selected = int64_t(batch->selectedRows.size());
  COMPRESSC_ASSIGN_OR_RETURN(float *out,
                             operands.matrix(call.outputs[0], "the output", selected, width));
  for (int32_t row : batch->selectedRows)
    if (row < 0 || row >= rows)
      return operands.error("row ", row, " is selected, and the batch has ", rows);
  ForRows(context, selected, width, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i)
      std::memcpy(out + i * width, x + batch->selectedRows[i] * width,
                  size_t(width) * sizeof(float));
  });
  return absl::OkStatus();
}

} // namespace compressc
