// The only place that orders passes.
#pragma once

#include "mlir/Pass/PassManager.h"
#include <string>

namespace compressc {

/// Registers every pass and pipeline, and the dialects' names, for textual pipelines.
void RegisterPassesAndPipelines();

struct LoweringOptions {
  int64_t maxTokens = 8192, maxSelected = 512; // rows of a batch, and those of them with logits
  std::string compute = "f32", activations = "f32"; // see the pass set-compute
};

/// Everything after materialisation: forget statistics, simplify, choose the arithmetic, lower to exec.
void BuildLoweringPipeline(mlir::OpPassManager &manager, const LoweringOptions &options);

} // namespace compressc
