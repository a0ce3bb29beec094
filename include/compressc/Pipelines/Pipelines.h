// The only place that orders passes.
#pragma once

#include "mlir/Pass/PassManager.h"
#include <string>

namespace compressc {

/// Registers every pass and pipeline, and the dialects' names, for textual pipelines.
void RegisterPassesAndPipelines();

struct DeploymentOptions {
  int64_t maxTokens = 0;   // rows of a batch that the schedule is planned for
  int64_t maxSelected = 0; // selected rows
  std::string compute = "f32", activations = "f32"; // see the pass set-compute
  /// Optimisations to leave out, of OptimizationNames().
  std::vector<std::string> without;
};

/// What can be left out of the deployment pipeline, to see what it buys.
llvm::ArrayRef<llvm::StringLiteral> OptimizationNames();

/// Everything after materialisation: forget statistics, simplify, choose the arithmetic, optimise, lower to exec.
void BuildDeploymentPipeline(mlir::OpPassManager &manager, const DeploymentOptions &options);

} // namespace compressc
