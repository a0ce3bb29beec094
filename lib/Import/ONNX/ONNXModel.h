// From an ONNX graph to what the importer knows a model by: a configuration, and where each of its
// parameters is stored.
#pragma once

#include "lib/Import/ONNX/Patterns/ONNXPatterns.h"
#include "lib/Import/Models/Decoder.h"
#include <map>

namespace compressc {

struct ONNXModel {
  /// Everything that the graph says: all but architecture, contextLength, endTokens and dtype.
  Decoder config;
  /// By the names that Hugging Face gives a parameter of this role. No name of the file counts.
  std::map<std::string, ONNXWeight> matrices;
  std::map<std::string, int> vectors; // values of the graph
};

/// Raises a graph from token ids [batch, sequence] to logits [batch, sequence, vocabulary] of a
/// Llama, Qwen2 or Qwen3. Further inputs may be an attention mask (packed tokens have no padding:
/// it is all ones) and position ids (0, 1, ...). What is not such a model is an error that names
/// the node and says what was expected there.
StatusOr<ONNXModel> RaiseONNX(const ONNXGraph &graph);

} // namespace compressc
