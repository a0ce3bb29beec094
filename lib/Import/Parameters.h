// The parameters that an architecture has, and the tensors of a checkpoint they are bound to.
#pragma once

#include "compressc/Import/ModelConfig.h"
#include "compressc/Import/WeightStore.h"
#include <functional>

namespace compressc {

struct Parameter {
  std::string name; // as Hugging Face calls it
  std::vector<int64_t> shape;
  // When it is bound to a tensor:
  std::string key;                // the store's name
  const Tensor *stored = nullptr; // null without weights
  bool transposed = false;        // stored as [K, N], see transpose
  int64_t pairedHeads = 0;        // heads whose rows are in GGUF's paired order, see unpermute_rows
};

/// In the order in which the model uses them.
std::vector<Parameter> ListParameters(const ModelConfig &config);

/// Finds each parameter in the store and checks its shape. `keyOf` turns its name into the store's.
Status BindParameters(std::vector<Parameter> &parameters, const WeightStore &store,
                      const std::function<std::string(const std::string &)> &keyOf);

/// Tensors that no parameter is bound to, but for those that are known to say nothing new.
std::vector<std::string> UnusedTensors(const std::vector<Parameter> &parameters,
                                       const WeightStore &store, const ModelConfig &config);

/// The 16-bit type that most weights have; blocks count for f16, F32 for nothing.
DType PrevalentType(const std::vector<Parameter> &parameters);

} // namespace compressc
