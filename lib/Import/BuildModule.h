// From a configuration and its parameters to the module in the lm dialect.
#pragma once

#include "Parameters.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace compressc {

struct ModuleSource {
  const ModelConfig &config;
  const std::vector<Parameter> &parameters; // of ListParameters(config)
  DType checkpointType;                     // F16, BF16 or F32
  std::string name;
};

/// Loads the dialects it needs. Parameters without a stored tensor become splats of 0.
mlir::OwningOpRef<mlir::ModuleOp> BuildModule(mlir::MLIRContext &context,
                                              const ModuleSource &source);

} // namespace compressc
