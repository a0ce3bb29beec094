// IR types and attributes as the runtime has them.
#pragma once

#include "compressc/runtime/kernel_row.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Operation.h"

namespace compressc {

/// The runtime's type of an IR type, or nullopt for one that no buffer or weight can have.
struct StorageType {
  DType dtype;
  std::vector<int64_t> shape; // -1 for a dynamic dimension
  PackedFormat packed;
};
std::optional<StorageType> ToStorageType(mlir::Type type);

/// Constants of a call; what is no integer, number, text or list of numbers is left out.
Attributes ToAttributes(mlir::DictionaryAttr constants);

/// The row of the kernel that computes an operation; null for any other operation.
const KernelRow *KernelRowOf(mlir::Operation *op);
/// What the operand is to the operation's kernel; null for the batch, which kernels see in their context.
const OperandRow *KernelOperandOf(mlir::OpOperand &operand);

} // namespace compressc
