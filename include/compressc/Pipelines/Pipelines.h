// The only place that orders passes.
#pragma once

#include "mlir/Pass/PassManager.h"

namespace compressc {

/// Registers every pass and pipeline, and the dialects' names, for textual pipelines.
void RegisterPassesAndPipelines();

/// Everything after materialisation: forget statistics, simplify, lower to exec.
void BuildLoweringPipeline(mlir::OpPassManager &manager, int64_t maxTokens, int64_t maxSelected);

} // namespace compressc
