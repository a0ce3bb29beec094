// The only place that orders passes.
#pragma once

#include "mlir/Pass/PassManager.h"

namespace compressc {

/// Registers every pass and pipeline, and the dialects' names, for textual pipelines.
void RegisterPassesAndPipelines();

struct DeploymentOptions {
  int64_t maxTokens = 0;   // rows of a batch that the schedule is planned for
  int64_t maxSelected = 0; // selected rows
  /// Optimisations to leave out, of OptimizationNames().
  std::vector<std::string> without;
};

/// What can be left out of the deployment pipeline, to see what it buys.
llvm::ArrayRef<llvm::StringLiteral> OptimizationNames();

/// Everything after materialisation: forget statistics, simplify, optimise, lower to exec.
void BuildDeploymentPipeline(mlir::OpPassManager &manager, const DeploymentOptions &options);

} // namespace compressc
