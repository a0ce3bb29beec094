// LoRA adapters as PEFT saves them: a directory with adapter_config.json and adapter_model.safetensors.
#pragma once

#include "compressc/runtime/status.h"
#include "dialects/LM/LM.h"
#include "mlir/IR/BuiltinOps.h"
#include <string>
#include <vector>

namespace compressc {

/// One update: the parameter's value += scale * B A.
struct AdapterUpdate {
  std::string module; // as the adapter names it, for messages
  lm::ParamOp parameter;
  lm::ParamOp a, b; // A [rank, columns], B [rows, rank]
  double scale;     // alpha / rank, with rslora alpha / sqrt(rank)
};

/// Reads an adapter's configuration and its tensors' types, no numbers, and declares its factors as parameters of the
/// module. What it adapts is found by the name that the checkpoint gives a weight, the parameter's key; of a GGUF or
/// ONNX file, which has names of its own, by the name under which the parameter is exported. An update of a parameter
/// that isn't there is an error, and so is what a merge of A and B would not be all of (DoRA, trained biases, whole
/// modules, embeddings, a base changed at initialisation); the module is then as it was.
StatusOr<std::vector<AdapterUpdate>> ImportAdapter(mlir::ModuleOp module, const std::string &directory);

} // namespace compressc
