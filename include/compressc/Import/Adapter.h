// LoRA adapters as PEFT saves them: a directory with adapter_config.json and adapter_model.safetensors.
#pragma once

#include "compressc/runtime/safetensors.h"
#include <string>
#include <vector>

namespace compressc {

/// One update: weight += scale * B A.
struct AdapterUpdate {
  std::string module; // as the model's checkpoint names it, without ".weight"
  std::string a, b;   // keys in the file: A [rank, columns], B [rows, rank]
  DType type;         // of both
  int64_t rank, rows, columns;
  double scale; // alpha / rank, with rslora alpha / sqrt(rank)
};

struct Adapter {
  std::string file; // adapter_model.safetensors
  std::vector<AdapterUpdate> updates; // by module
};

/// Reads the configuration and the tensors' types, no numbers. What a merge of A and B would not be all of
/// (DoRA, trained biases, whole modules, embeddings, a base changed at initialisation) is an error.
StatusOr<Adapter> OpenAdapter(const std::string &directory);

} // namespace compressc
