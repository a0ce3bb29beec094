// From a model and the tensors that hold its weights to the module in the lm dialect.
#pragma once

#include "Models/Family.h"
#include "compressc/Import/WeightStore.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include <set>

namespace compressc {

/// The tensor that a weight is bound to.
struct StoredWeight {
  std::string key; // the store's name
  const Tensor *tensor = nullptr;
  bool transposed = false; // stored as [K, N], see transpose
};
/// Finds the tensor of a weight and checks its shape.
using BindWeight =
    std::function<StatusOr<StoredWeight>(const WeightName &name, const std::vector<int64_t> &shape)>;

struct ModuleSource {
  const Model &model;
  DType checkpointType; // F16, BF16 or F32
  std::string name;
  BindWeight bind;   // null: parameters are splats of 0
  bool gguf = false; // weights have the form of GGUF files
};

struct BuiltModule {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::set<std::string> keys; // of the tensors that weights are bound to
};

/// Loads the dialects it needs.
StatusOr<BuiltModule> BuildModule(mlir::MLIRContext &context, const ModuleSource &source);

} // namespace compressc
