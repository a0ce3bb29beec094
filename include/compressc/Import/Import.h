// From a checkpoint on disk to a module in the lm dialect, bound to the checkpoint's weights.
#pragma once

#include "compressc/Import/CommonConfig.h"
#include "compressc/Import/WeightStore.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace compressc {

struct ImportOptions {
  /// Weight type of the model and of what is exported from it: auto, f16, bf16 or f32. auto: 16-bit
  /// weights keep their type; F32 and GGUF blocks become f16.
  std::string dtype = "auto";
  /// Only the configuration is read; every parameter is a splat of 0.
  bool splat = false;
};

struct ImportedModel {
  mlir::OwningOpRef<mlir::ModuleOp> module; // lm.checkpoint_type, lm.name, params and @forward
  std::shared_ptr<WeightStore> weights;     // null for a splat
  CommonConfig config;
  std::string name;
  /// The small files that go with the weights in a checkpoint (config.json, tokenizer.json, ...) by
  /// name; config.json already says the weight type of the module.
  std::map<std::string, std::string> files;
  std::vector<std::string> warnings;
};

/// `path`: a Hugging Face directory or a .gguf file; for a splat a config.json too.
StatusOr<ImportedModel> ImportModel(mlir::MLIRContext &context, const std::string &path,
                                    const ImportOptions &options = {});

} // namespace compressc
