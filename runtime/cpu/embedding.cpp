#include "kernels.h"
#include "rows.h"
#include <cstring>

namespace compressc {

Status EmbeddingKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(EmbeddingOperands embedding, ReadEmbedding(call));
  int64_t width = embedding.table.columns;
  ForRows(context, embedding.rows, width, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      float *out = embedding.out + row * width;
      DequantizeRow(embedding.table, embedding.tokens[row], out);
      for (int64_t k = 0; embedding.scale != 1 && k < width; ++k)
        out[k] *= embedding.scale;
    }
  });
  return absl::OkStatus();
}

Status SelectRowsKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(SelectRowsOperands select, ReadSelectRows(context, call));
  const std::vector<int32_t> &selected = context.batch->selectedRows;
  int64_t width = select.width;
  ForRows(context, int64_t(selected.size()), width, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i)
      std::memcpy(select.out + i * width, select.x + selected[size_t(i)] * width,
                  size_t(width) * sizeof(float));
  });
  return absl::OkStatus();
}

} // namespace compressc
