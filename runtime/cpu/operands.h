// Checks of the operands of the model's kernels: a schedule is never trusted.
#pragma once

#include "compressc/runtime/kernel.h"
#include "gemm.h"
#include <functional>
#include <string>

namespace compressc {

/// "f32 [3, 5]", for messages.
std::string Describe(const Tensor &tensor);

/// The product of the dimensions; false when one is negative or the byte size would overflow.
bool CountElements(const Tensor &tensor, int64_t &elements);

/// The operands of one call. Messages begin with the kernel's name.
class Operands {
public:
  Operands(std::string_view kernel, const KernelCall &call) : kernel(kernel), call(call) {}

  Status counts(size_t minInputs, size_t maxInputs, size_t outputs, size_t caches = 0) const;

  /// The data of a plain matrix [rows, columns] of this type; a size below 0 means any.
  StatusOr<float *> matrix(const Tensor &tensor, std::string_view what, int64_t rows = -1,
                           int64_t columns = -1) const;
  /// The same, where bf16 may do as well.
  StatusOr<Activations> activations(const Tensor &tensor, std::string_view what, bool narrow, int64_t rows = -1,
                                    int64_t columns = -1) const;
  /// The attribute `epsilon`: finite, 0 or more.
  StatusOr<float> epsilon() const;
  StatusOr<const int32_t *> integers(const Tensor &tensor, std::string_view what) const;

  /// The batch, which must have `rows` rows that its sequences tile in order.
  StatusOr<const Batch *> batch(const KernelContext &context, int64_t rows) const;
  /// The batch, of which the operand has the selected rows, `selected` of them, ascending.
  StatusOr<const Batch *> selectedBatch(const KernelContext &context, int64_t selected) const;

  template <typename... Args> Status error(const Args &...args) const {
    return Invalid(kernel, ": ", args...);
  }

private:
  std::string_view kernel;
  const KernelCall &call;
};

/// A vector [size] of type f32, f16 or bf16 as fp32: the tensor's own memory, or `storage`.
StatusOr<const float *> VectorAsFloats(const Tensor &tensor, int64_t size, std::string_view what,
                                       std::vector<float> &storage);

/// Rounds rows of fp32 to bf16.
void RoundRows(KernelContext &context, const float *x, int64_t rows, int64_t width, void *out);

/// Splits [0, rows) in runs that are worth a task each, of at most `rows` rows of `width` elements.
void ForRows(KernelContext &context, int64_t rows, int64_t width,
             const std::function<void(int64_t begin, int64_t end, int worker)> &run);

} // namespace compressc
