#include "ONNXConfig.h"
#include "ConfigFields.h"
#include "ONNXRope.h"
#include "absl/strings/str_join.h"
#include "compressc/runtime/text.h"
#include <algorithm>
#include <cmath>

namespace compressc {

namespace {

/// What the two configurations compute differently.
std::vector<std::string> differences(const ModelConfig &a, const ModelConfig &b) {
  std::vector<std::string> result;
  auto check = [&](bool same, const char *what) {
    if (!same)
      result.push_back(what);
  };
  check(a.vocabularySize == b.vocabularySize, "vocab_size");
  check(a.hiddenSize == b.hiddenSize, "hidden_size");
  check(a.intermediateSize == b.intermediateSize, "intermediate_size");
  check(a.layers == b.layers, "num_hidden_layers");
  check(a.heads == b.heads, "num_attention_heads");
  check(a.kvHeads == b.kvHeads, "num_key_value_heads");
  check(a.headDim == b.headDim, "head_dim");
  check(a.activation == b.activation, "hidden_act");
  check(std::fabs(a.normEpsilon - b.normEpsilon) <= 1e-6 * b.normEpsilon, "rms_norm_eps");
  check(a.inputBias == b.inputBias && a.outputBias == b.outputBias, "attention_bias");
  check(a.mlpBias == b.mlpBias, "mlp_bias");
  check(a.headNorms == b.headNorms, "norms of q and k");
  check(a.tiedHead == b.tiedHead, "tie_word_embeddings");
  // No graph says yarn: its factor on cosines and sines is refused.
  check(a.rope.scaling != "yarn" &&
            SameFrequencies(RopeFrequencies(a.rope, b.headDim), RopeFrequencies(b.rope, b.headDim)),
        "rope_parameters");
  check(a.windows == b.windows, "sliding_window");
  return result;
}

ConfigJson ropeJson(const RopeConfig &rope) {
  ConfigJson json = {{"rope_type", rope.scaling}, {"rope_theta", rope.theta}};
  if (rope.scaling != "default")
    json["factor"] = rope.factor;
  if (rope.scaling == "llama3") {
    json["low_freq_factor"] = rope.lowFrequency;
    json["high_freq_factor"] = rope.highFrequency;
    json["original_max_position_embeddings"] = rope.originalContext;
  }
  return json;
}

void setWindows(ConfigJson &json, const std::vector<int64_t> &windows) {
  int64_t largest = *std::max_element(windows.begin(), windows.end());
  json["use_sliding_window"] = largest > 0;
  json["sliding_window"] = largest ? ConfigJson(largest) : ConfigJson();
  json["max_window_layers"] = windows.size();
  json["layer_types"] = ConfigJson::array();
  for (int64_t window : windows)
    json["layer_types"].push_back(window ? "sliding_attention" : "full_attention");
}

} // namespace

StatusOr<std::string> ONNXConfig(const ModelConfig &graph, const std::string &text,
                                 const std::string &where, std::string &warning) {
  COMPRESSC_ASSIGN_OR_RETURN(ConfigJson json, ParseConfigObject(text, where));
  ConfigFields fields(json, where);
  if (!fields.find("max_position_embeddings"))
    return fields.error("max_position_embeddings",
                        "missing: the longest context in tokens, which the graph cannot say");
  bool described = fields.find("model_type") || fields.find("architectures");
  StatusOr<ModelConfig> config = ParseModelConfig(text, where);
  if (config.ok()) {
    std::vector<std::string> different = differences(*config, graph);
    if (different.empty())
      return text;
    warning = absl::StrCat(
        where, " says otherwise than the graph, which counts: ", absl::StrJoin(different, ", "));
  } else if (described) {
    warning = absl::StrCat(std::string(config.status().message()), "; the graph counts");
  }

  bool llama = graph.architecture == "LlamaForCausalLM";
  json["architectures"] = ConfigJson::array({graph.architecture});
  json["model_type"] = llama ? "llama" : graph.headNorms ? "qwen3" : "qwen2";
  json["vocab_size"] = graph.vocabularySize;
  json["hidden_size"] = graph.hiddenSize;
  json["intermediate_size"] = graph.intermediateSize;
  json["num_hidden_layers"] = graph.layers;
  json["num_attention_heads"] = graph.heads;
  json["num_key_value_heads"] = graph.kvHeads;
  json["head_dim"] = graph.headDim;
  json["hidden_act"] = graph.activation == "gelu_tanh" ? "gelu_pytorch_tanh" : graph.activation;
  json["rms_norm_eps"] = graph.normEpsilon;
  json["attention_bias"] = graph.outputBias;
  json["mlp_bias"] = graph.mlpBias;
  json["tie_word_embeddings"] = graph.tiedHead;
  for (const char *older : {"rope_theta", "rope_scaling", "quantization_config",
                            "partial_rotary_factor", "original_max_position_embeddings"})
    json.erase(older);
  json["rope_parameters"] = ropeJson(graph.rope);
  if (!llama)
    setWindows(json, graph.windows);
  return json.dump(2) + "\n";
}

} // namespace compressc
