// Checks of operands: a schedule is never trusted.
#pragma once

#include "compressc/runtime/kernel.h"
#include "model_operands.h"
#include <string>

namespace compressc {

/// "f32 [3, 5]", for messages.
std::string Describe(const Tensor &tensor);

/// The product of the dimensions; false when one is negative or the byte size would overflow.
bool CountElements(const Tensor &tensor, int64_t &elements);

/// A vector as fp32: a tensor's own memory, or a converted copy.
class Floats {
public:
  Floats() = default;
  /// A vector [size] of type f32, f16 or bf16. `what` names the operand in the message.
  static StatusOr<Floats> Read(const Tensor &tensor, int64_t size, std::string_view what);
  const float *data() const { return storage.empty() ? own : storage.data(); }

private:
  const float *own = nullptr;
  std::vector<float> storage;
};

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

/// A weight that matrix products can read: checks type, rank, format and pointers. `what` names the operand in the
/// message.
StatusOr<WeightMatrix> ReadWeight(const Tensor &tensor, std::string_view what);

/// The index of the first token that a table of so many rows has no row for, or -1.
int64_t FirstTokenOutside(const int32_t *tokens, int64_t count, int64_t tableRows);

} // namespace compressc
