// Questions that passes ask of the graph. Nothing here reads a weight's name, except NameFilter, which
// honours what the user asked to ignore.
#pragma once

#include "dialects/Compress/Compress.h"
#include "dialects/LM/LM.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/Regex.h"
#include <string>
#include <vector>

namespace compressc {

/// When a value is known.
enum class BindingTime : uint8_t {
  Weight,      // depends on parameters only
  Calibration, // depends on statistics of the calibration tokens too
  Run          // depends on the request
};

/// Binding times of values, computed on demand and remembered; valid while the IR stays as it is.
class BindingTimes {
public:
  BindingTime get(mlir::Value value);

private:
  llvm::DenseMap<mlir::Value, BindingTime> known;
};

/// Whether the operation sums up activations of all calibration tokens: its operands are run-time values, its
/// result is a calibration-time one.
bool IsObservation(mlir::Operation *op);

/// The run-time values that `outputs` depend on, themselves among them; layers are entered.
llvm::SetVector<mlir::Value> RunTimeSlice(llvm::ArrayRef<mlir::Value> outputs);

/// The operations, inside layers too, that the function's results depend on at run time: not the copies
/// that only calibration runs, and no weight expressions.
llvm::SetVector<mlir::Operation *> DeployedOps(mlir::func::FuncOp function);

/// The decoder layers among them, in order.
std::vector<lm::BlockOp> DeployedBlocks(mlir::func::FuncOp function);

/// The linears whose results the function returns.
std::vector<lm::LinearOp> HeadLinears(mlir::func::FuncOp function);

/// The functions of a module that compression concerns: every one that has a body and layers.
std::vector<mlir::func::FuncOp> ModelFunctions(mlir::ModuleOp module);

/// The parameter that a weight expression rewrites: follows first operands up to the load; null if the
/// expression does not start at one.
lm::LoadParamOp RootParam(mlir::Value weight);

/// ExportName without ".weight", or "" (for reports and `ignore`).
std::string ModuleName(mlir::Value weight);
/// RootParam's export name, or "". The factors of a weight NAME.weight are NAME.0.weight, which the input meets first,
/// and NAME.1.weight, as torch names the two linears of a sequence.
std::string ExportName(mlir::Value weight);

/// True when packed codes are what the value stands for.
bool IsQuantized(mlir::Value weight);

/// Whether the result of this linear is rotated: it makes q or k. Norms in between are looked through.
bool FeedsRotation(lm::LinearOp linear);

/// The location under a name that printed values take ("scaled", "codes").
mlir::Location Named(mlir::Location location, llvm::StringRef name);

/// The type of unquantised checkpoint tensors and of scales: the module's lm.checkpoint_type, else f16.
mlir::Type CheckpointType(mlir::ModuleOp module);

/// The `ignore` option: exact module names or re:REGEX.
class NameFilter {
public:
  /// Fails with a diagnostic on `op` when a regular expression is malformed.
  static mlir::FailureOr<NameFilter> Create(mlir::Operation *op, llvm::ArrayRef<std::string> patterns);
  bool matches(llvm::StringRef moduleName) const;

private:
  std::vector<std::string> exact;
  std::vector<llvm::Regex> expressions;
};

} // namespace compressc
