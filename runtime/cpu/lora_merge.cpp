// W + scale * B A.
#include "kernels.h"
#include <cmath>

namespace compressc {

Status LoraMergeKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_RETURN_IF_ERROR(CheckCounts(call, "lora_merge", 3, 3, 2));
  COMPRESSC_ASSIGN_OR_RETURN(WeightMatrix weight, PlainMatrix(call.inputs[0], "lora_merge: the weight"));
  COMPRESSC_ASSIGN_OR_RETURN(WeightMatrix a, PlainMatrix(call.inputs[1], "lora_merge: A"));
  COMPRESSC_ASSIGN_OR_RETURN(WeightMatrix b, PlainMatrix(call.inputs[2], "lora_merge: B"));
  COMPRESSC_ASSIGN_OR_RETURN(double scale, call.attributes.getFloat("scale"));
  const int64_t rows = weight.rows, columns = weight.columns, rank = a.rows;
  if (a.columns != columns || b.rows != rows || b.columns != rank)
    return Invalid("lora_merge: B [", b.rows, ", ", b.columns, "] times A [", rank, ", ", a.columns,
                   "] does not have the weight's shape [", rows, ", ", columns, "]");
  COMPRESSC_RETURN_IF_ERROR(
      CheckTensor(call.outputs[0], DType::F32, {rows, columns}, "lora_merge: the output"));
  COMPRESSC_RETURN_IF_ERROR(CheckTensor(call.outputs[1], DType::F32, {1}, "lora_merge: the change"));

  // A as fp32, then each row's squared norms.
  auto *factor = static_cast<float *>(
      context.scratch.shared(rank * columns * sizeof(float) + 2 * rows * sizeof(double) + 64));
  auto *norms = reinterpret_cast<double *>(factor + (rank * columns + 1) / 2 * 2);
  for (int64_t j = 0; j < rank; ++j)
    DequantizeRow(a, j, factor + j * columns);
  float *out = call.outputs[0].as<float>();
  FirstIndex bad;
  context.pool.parallelFor(rows, [&](int64_t n, int worker) {
    auto *update = static_cast<float *>(context.scratch.worker(worker, (columns + rank) * sizeof(float)));
    float *left = update + columns, *row = out + n * columns;
    DequantizeRow(b, n, left);
    DequantizeRow(weight, n, row);
    std::fill_n(update, columns, 0.0f);
    for (int64_t j = 0; j < rank; ++j)
      for (int64_t k = 0; k < columns; ++k)
        update[k] += left[j] * factor[j * columns + k];
    double before = 0, change = 0;
    for (int64_t k = 0; k < columns; ++k) {
      float delta = float(scale * update[k]);
      before += double(row[k]) * row[k];
      change += double(delta) * delta;
      row[k] += delta;
    }
    norms[2 * n] = before, norms[2 * n + 1] = change;
    if (int64_t column = FirstNonFinite(row, columns); column >= 0)
      bad.note(n * columns + column);
  });
  if (bad.found())
    return NonFiniteError(bad.get(), columns, "lora_merge: the merged weight");
  double before = 0, change = 0;
  for (int64_t n = 0; n < rows; ++n)
    before += norms[2 * n], change += norms[2 * n + 1];
  *call.outputs[1].as<float>() = before > 0 ? float(std::sqrt(change / before)) : 0;
  return absl::OkStatus();
}

} // namespace compressc
