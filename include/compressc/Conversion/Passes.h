// Lowering to exec; see Passes.td.
#pragma once

#include "dialects/Compress/Compress.h"
#include "dialects/Exec/Exec.h"
#include "dialects/LM/LM.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassRegistry.h"

namespace compressc {

#define GEN_PASS_DECL
#include "compressc/Conversion/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "compressc/Conversion/Passes.h.inc"

/// A weight expression that the deployed model needs, and the parameter that takes its place.
struct BoundWeight {
  mlir::Value value;      // weight- or calibration-time; packed, or a plain tensor
  std::string name;       // export name of the parameter, e.g. "model.norm.weight"
  mlir::Type storedType;  // packed, or a tensor of the checkpoint's type
  /// The run-time operands that read it.
  llvm::SmallVector<mlir::OpOperand *> uses;
};

/// All of a module's, in the order of their first use, or a diagnostic when two differ but have one name.
mlir::FailureOr<std::vector<BoundWeight>> FindBoundWeights(mlir::ModuleOp module);

/// Declares each as a parameter and makes its uses load it. Drops remarks.
void BindWeights(mlir::ModuleOp module, llvm::ArrayRef<BoundWeight> weights);

/// What lower-to-exec's options say; see Passes.td.
struct LoweringOptions {
  int64_t maxTokens = 0;
  int64_t maxSelected = 0;
  bool reuseBuffers = true;
  bool statesInArena = true; // else their room is not planned, and whoever runs the schedule has them elsewhere
  bool sumOnLoad = false;    // a parameter plus a number is a weight, not a kernel call
};

/// Lowers one function to a program of its name, beside it. Emits a diagnostic on failure.
mlir::FailureOr<exec::ProgramOp> LowerToExec(mlir::func::FuncOp function, const LoweringOptions &options);

} // namespace compressc
