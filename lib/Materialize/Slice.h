// A slice: the operations behind some values, cut out of the model as a function of what is known already,
// lowered to a schedule and run by the runtime's interpreter.
#pragma once

#include "compressc/Import/WeightStore.h"
#include "compressc/runtime/session.h"
#include "dialects/LM/LM.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SetVector.h"

namespace compressc {

/// Copies a tensor, its packed parts too, into memory of its own.
OwnedTensor CopyTensor(const Tensor &tensor);

/// Looks through what only passes a value on: a layer's argument is its input, a calibrated activation the
/// activation.
mlir::Value FromOutside(mlir::Value value);

class Slice {
public:
  /// `isKnown` says which values become inputs instead of being computed. Layers are entered: the slice
  /// of a layer's result is that of what it yields.
  Slice(llvm::ArrayRef<mlir::Value> outputs, llvm::function_ref<bool(mlir::Value)> isKnown);

  /// Values that must be given to run(), in the order of its `inputs`.
  llvm::ArrayRef<mlir::Value> inputs() const { return known.getArrayRef(); }
  /// Every operation that the slice computes.
  llvm::ArrayRef<mlir::Operation *> ops() const { return order; }

  /// Builds the schedule, with linears in `compute`. A plain output whose type differs from `storedTypes` (when
  /// given) is converted.
  StatusOr<Schedule> lower(mlir::ModuleOp module, int64_t maxTokens, llvm::ArrayRef<mlir::Type> storedTypes = {},
                           lm::Compute compute = lm::Compute::f32);

private:
  void visit(mlir::Value value, llvm::function_ref<bool(mlir::Value)> isKnown);

  llvm::SmallVector<mlir::Value> outputs;
  llvm::SetVector<mlir::Value> known;
  llvm::SmallVector<mlir::Operation *> order;
  llvm::DenseSet<mlir::Operation *> visited;
  mlir::Value tokens, batch; // of the enclosing function, when the slice needs them
};

/// Binds a schedule's weights to a store.
WeightResolver StoreResolver(const WeightStore *weights);

} // namespace compressc
