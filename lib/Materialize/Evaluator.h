// Evaluates values of a function: statistics and hidden states over the calibration tokens, and what
// depends on weights and statistics. Holds what is known, and nothing for longer than it is needed.
#pragma once

#include "Slice.h"
#include "Steps.h"
#include "compressc/Materialize/Materialize.h"

namespace compressc {

class Evaluator {
public:
  Evaluator(mlir::ModuleOp module, const StepPlan &plan, const MaterializeOptions &options);

  const std::vector<Batch> &batches() const { return calibrationBatches; }

  /// Evaluates the observations in a top-level operation, those that don't wait for each other in one run,
  /// together with the hidden states that leave it, if they are needed.
  Status observe(mlir::Operation *op, bool advances);
  /// Hidden states that leave a top-level operation and were not computed with its observations. Hidden
  /// states that only this operation reads are gone after it.
  Status advance(mlir::Operation *op);
  /// The values, plain ones converted to `types`.
  StatusOr<std::vector<OwnedTensor>> compute(llvm::ArrayRef<mlir::Value> values, llvm::ArrayRef<mlir::Type> types);

  /// Takes a value of weight or calibration time from elsewhere.
  void know(mlir::Value value, OwnedTensor tensor) { evaluated[value] = std::move(tensor); }
  /// Hidden states: one tensor for each batch.
  void setStates(mlir::Value value, std::vector<OwnedTensor> tensors) { states[value] = std::move(tensors); }
  const std::vector<OwnedTensor> &statesOf(mlir::Value value) { return states[value]; }

  /// Frees what no operation behind `op` reads.
  void forgetBehind(mlir::Operation *op);

  double calibrationSeconds = 0, weightSeconds = 0;

private:
  Status evaluateValues(llvm::ArrayRef<mlir::Value> values);
  Status runOverCalibration(mlir::Operation *op, llvm::ArrayRef<mlir::Value> outputs, bool isLast);
  bool dependsOn(mlir::Value value, llvm::ArrayRef<mlir::Value> others);

  mlir::ModuleOp module;
  const StepPlan &plan;
  const MaterializeOptions &options;
  std::vector<Batch> calibrationBatches;
  llvm::DenseMap<mlir::Value, std::vector<OwnedTensor>> states;
  llvm::DenseMap<mlir::Value, OwnedTensor> evaluated; // weights and statistics
};

} // namespace compressc
