// The steps of a materialisation: what is evaluated, stored and resumed as a whole. Usually a layer
// with the copy of it that observes.
#pragma once

#include "ValueDigests.h"
#include "compressc/Conversion/Passes.h"
#include "compressc/Transforms/Dataflow.h"

namespace compressc {

struct Step {
  /// Top-level operations with something to evaluate, in program order.
  llvm::SmallVector<mlir::Operation *> ops;
  bool observes = false;

  llvm::SmallVector<const BoundWeight *> weights;
  llvm::SmallVector<compress::RemarkOp> remarks;

  struct Result {
    mlir::Operation *op; // of the step, that it belongs to
    mlir::Value value;
    mlir::Type type; // that it is stored in
  };
  /// What the step is evaluated for: the weights, the remarks' values, and values that depend on statistics
  /// and that hidden states are computed with, where they are not among the weights as they are stored (a
  /// divided norm in fp32). With those the hidden states behind a finished step need no statistics.
  llvm::SmallVector<Result> results;

  /// Hidden states that calibration needs behind it.
  llvm::SmallVector<mlir::Value> states;
};

/// A function's steps, and what they share.
struct StepPlan {
  std::vector<Step> steps;
  /// Top-level run-time values that observations depend on: the hidden states of the calibration set.
  llvm::SetVector<mlir::Value> stream;

  /// Whether calibration runs a top-level operation.
  bool calibrates(mlir::Operation *op) const;
  /// Whether a step evaluates something of a top-level operation.
  bool concerns(mlir::Operation *op) const { return ops.contains(op); }

  llvm::DenseSet<mlir::Operation *> ops;
};

/// The layer that an operation stands in, or the operation itself at the top level.
mlir::Operation *TopLevel(mlir::Operation *op);

/// Whether a top-level operation behind `op` for which `reads` holds uses the value.
bool UsedBehind(mlir::Value value, mlir::Operation *op, llvm::function_ref<bool(mlir::Operation *)> reads);

/// Cuts a function wherever no statistics, nor anything made from them, are needed on both sides.
StepPlan CutIntoSteps(mlir::func::FuncOp function, llvm::ArrayRef<BoundWeight> weights);

/// The key of a step's results.
StatusOr<Digest> ResultsKey(const Step &step, ValueDigests &digests);
/// The key of the hidden states behind it.
StatusOr<Digest> StatesKey(const Step &step, ValueDigests &digests);

} // namespace compressc
