#include "operands.h"
#include "absl/strings/str_join.h"
#include <algorithm>
#include <cmath>
#include <limits>

namespace compressc {

std::string Describe(const Tensor &tensor) {
  return absl::StrCat(std::string(DTypeName(tensor.dtype)), " [", absl::StrJoin(tensor.shape, ", "),
                      "]");
}

bool CountElements(const Tensor &tensor, int64_t &elements) {
  elements = 1;
  for (int64_t dim : tensor.shape)
    if (dim < 0 || __builtin_mul_overflow(elements, dim, &elements))
      return false;
  return elements <= std::numeric_limits<int64_t>::max() / 16; // so that every byte size fits
}

Status Operands::counts(size_t minInputs, size_t maxInputs, size_t outputs, size_t caches) const {
  if (call.inputs.size() >= minInputs && call.inputs.size() <= maxInputs &&
      call.outputs.size() == outputs && call.caches.size() == caches)
    return absl::OkStatus();
  return error("got ", call.inputs.size(), " inputs, ", call.outputs.size(), " outputs and ",
               call.caches.size(), " caches; it takes ", minInputs,
               maxInputs > minInputs ? absl::StrCat(" to ", maxInputs) : "", " inputs, ", outputs,
               " outputs and ", caches, " caches");
}

StatusOr<float *> Operands::matrix(const Tensor &tensor, std::string_view what, int64_t rows,
                                   int64_t columns) const {
  int64_t elements = 0;
  bool fits = tensor.dtype == DType::F32 && tensor.rank() == 2 && CountElements(tensor, elements) &&
              tensor.dim(1) > 0 && (rows < 0 || tensor.dim(0) == rows) &&
              (columns < 0 || tensor.dim(1) == columns);
  if (!fits) {
    auto size = [](int64_t n) { return n < 0 ? std::string("any") : absl::StrCat(n); };
    return error(what, " is ", Describe(tensor), "; it must be f32 [", size(rows), ", ",
                 size(columns), "]");
  }
  if (!tensor.data && elements > 0)
    return error(what, " has no data");
  return tensor.as<float>();
}

StatusOr<Activations> Operands::activations(const Tensor &tensor, std::string_view what, bool narrow, int64_t rows,
                                            int64_t columns) const {
  Tensor wide = tensor;
  if (narrow && tensor.dtype == DType::BF16)
    wide.dtype = DType::F32;
  COMPRESSC_ASSIGN_OR_RETURN(float *data, matrix(wide, what, rows, columns));
  return Activations{data, tensor.dtype};
}

StatusOr<float> Operands::epsilon() const {
  COMPRESSC_ASSIGN_OR_RETURN(double epsilon, call.attributes.getFloat("epsilon"));
  if (!(epsilon >= 0) || !std::isfinite(epsilon))
    return error("epsilon = ", epsilon, "; it must be a finite number, 0 or more");
  return float(epsilon);
}

StatusOr<const int32_t *> Operands::integers(const Tensor &tensor, std::string_view what) const {
  int64_t elements = 0;
  if (tensor.dtype != DType::I32 || tensor.rank() != 1 || !CountElements(tensor, elements))
    return error(what, " is ", Describe(tensor), "; it must be i32 [any]");
  if (!tensor.data && elements > 0)
    return error(what, " has no data");
  return tensor.as<const int32_t>();
}

StatusOr<const Batch *> Operands::batch(const KernelContext &context, int64_t rows) const {
  const Batch *batch = context.batch;
  if (!batch)
    return error("needs a batch, and the entry point has none");
  if (batch->rows() != rows)
    return error("the batch has ", batch->rows(), " rows, the operand ", rows);
  int64_t next = 0;
  for (size_t i = 0; i < batch->sequences.size(); ++i) {
    const Sequence &sequence = batch->sequences[i];
    if (sequence.rowBegin != next || sequence.rowCount < 1 || sequence.rowCount > rows - next)
      return error("sequence ", i, " has the rows [", sequence.rowBegin, ", ",
                   int64_t(sequence.rowBegin) + sequence.rowCount, "); sequences must tile the ",
                   rows, " rows in order, and this one begins at ", next);
    if (sequence.positionBegin < 0)
      return error("sequence ", i, " begins at the position ", sequence.positionBegin);
    next += sequence.rowCount;
  }
  if (next != rows)
    return error("the sequences have ", next, " rows, the batch ", rows);
  return batch;
}

StatusOr<const Batch *> Operands::selectedBatch(const KernelContext &context, int64_t selected) const {
  if (!context.batch)
    return error("needs a batch, and the entry point has none");
  COMPRESSC_ASSIGN_OR_RETURN(const Batch *result, batch(context, context.batch->rows()));
  if (int64_t(result->selectedRows.size()) != selected)
    return error("the batch selects ", result->selectedRows.size(), " rows, the operand has ",
                 selected);
  for (size_t i = 0; i < result->selectedRows.size(); ++i)
    if (result->selectedRows[i] < (i ? result->selectedRows[i - 1] + 1 : 0) ||
        result->selectedRows[i] >= result->rows())
      return error("selected row ", result->selectedRows[i], " is out of order or not one of ",
                   result->rows());
  return result;
}

StatusOr<Floats> Floats::Read(const Tensor &tensor, int64_t size, std::string_view what) {
  bool plain =
      tensor.dtype == DType::F32 || tensor.dtype == DType::F16 || tensor.dtype == DType::BF16;
  if (!plain || tensor.rank() != 1 || tensor.dim(0) != size)
    return Invalid(what, " is ", Describe(tensor), "; it must be f32, f16 or bf16 [", size, "]");
  if (!tensor.data)
    return Invalid(what, " has no data");
  Floats floats;
  if (tensor.dtype == DType::F32) {
    floats.own = tensor.as<const float>();
    return floats;
  }
  const uint16_t *bits = tensor.as<const uint16_t>();
  for (int64_t i = 0; i < size; ++i)
    floats.storage.push_back(tensor.dtype == DType::F16 ? HalfToFloat(bits[i])
                                                        : BFloat16ToFloat(bits[i]));
  return floats;
}

int64_t FirstTokenOutside(const int32_t *tokens, int64_t count, int64_t tableRows) {
  for (int64_t i = 0; i < count; ++i)
    if (tokens[i] < 0 || tokens[i] >= tableRows)
      return i;
  return -1;
}

} // namespace compressc
