#include "compressc/runtime/device.h"
#include "kernels.h"
#include "model_kernels.h"
#include "operands.h"
#include <cstring>

namespace compressc {

int64_t FirstTokenOutside(const int32_t *tokens, int64_t count, int64_t tableRows) {
  for (int64_t i = 0; i < count; ++i)
    if (tokens[i] < 0 || tokens[i] >= tableRows)
      return i;
  return -1;
}

void Embedding(KernelContext &context, const int32_t *tokens, int64_t rows, const WeightMatrix &table,
               float *out, float scale) {
  if (context.device)
    return context.device->embedding(table, out);
  ForRows(context, rows, table.columns, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      float *to = out + row * table.columns;
      DequantizeRow(table, tokens[row], to);
      for (int64_t i = 0; scale != 1 && i < table.columns; ++i)
        to[i] *= scale;
    }
  });
}

void SelectRows(KernelContext &context, const float *x, int64_t width, float *out) {
  if (context.device)
    return context.device->selectRows(x, width, out);
  const std::vector<int32_t> &selected = context.batch->selectedRows;
  ForRows(context, int64_t(selected.size()), width, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i)
      std::memcpy(out + i * width, x + selected[size_t(i)] * width, size_t(width) * sizeof(float));
  });
}

Status EmbeddingKernel(KernelContext &context, const KernelCall &call) {
  Operands operands("embedding", call);
  COMPRESSC_RETURN_IF_ERROR(operands.counts(2, 2, 1));
  COMPRESSC_ASSIGN_OR_RETURN(const int32_t *tokens, operands.integers(call.inputs[0], "tokens"));
  COMPRESSC_ASSIGN_OR_RETURN(WeightMatrix table,
                             WeightMatrix::Create(call.inputs[1], "embedding: the table"));
  int64_t rows = call.inputs[0].dim(0);
  COMPRESSC_ASSIGN_OR_RETURN(float *out,
                             operands.matrix(call.outputs[0], "the output", rows, table.columns));
  if (int64_t row = FirstTokenOutside(tokens, rows, table.rows); row >= 0)
    return operands.error("token ", tokens[row], " in row ", row, " is not in the vocabulary of ",
                          table.rows);
  auto scale = float(call.attributes.getFloatOr("scale", 1));
  if (context.device && scale != 1)
    return operands.error("a scale is not supported on a GPU");
  Embedding(context, tokens, rows, table, out, scale);
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
  SelectRows(context, x, width, out);
  return absl::OkStatus();
}

} // namespace compressc
