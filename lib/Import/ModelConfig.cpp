#include "compressc/Import/ModelConfig.h"
#include "ConfigFields.h"
#include "compressc/runtime/text.h"
#include <algorithm>
#include <cmath>

namespace compressc {

namespace {

constexpr int64_t largestSize = int64_t(1) << 24;
constexpr int64_t mostLayers = 4096;
constexpr size_t mostEndTokens = 1024;

struct Architecture {
  const char *name, *modelType;
  int64_t contextLength, kvHeads,
      headDim; // when config.json is silent; 0: derived from other fields
};

// The defaults are those of transformers' configuration classes.
constexpr Architecture architectures[] = {
    {"LlamaForCausalLM", "llama", 2048, 0, 0},
    {"Qwen2ForCausalLM", "qwen2", 32768, 32, 0},
    {"Qwen3ForCausalLM", "qwen3", 32768, 32, 128},
};

std::string supportedArchitectures() {
  std::string list;
  for (const Architecture &architecture : architectures)
    absl::StrAppend(&list, list.empty() ? "" : ", ", architecture.name);
  return list;
}

StatusOr<const Architecture *> findArchitecture(const ConfigFields &fields) {
  std::string name;
  if (const ConfigJson *list = fields.find("architectures")) {
    if (!list->is_array() || list->empty() || !list->front().is_string())
      return fields.error("architectures", "must be a list of names");
    name = list->front().get<std::string>();
  }
  COMPRESSC_ASSIGN_OR_RETURN(std::string modelType, fields.string("model_type", ""));
  for (const Architecture &architecture : architectures) {
    if (name.empty() ? architecture.modelType != modelType : architecture.name != name)
      continue;
    if (!modelType.empty() && architecture.modelType != modelType)
      return fields.error("model_type", Quoted(modelType), " does not go with the architecture ",
                          name);
    return &architecture;
  }
  if (name.empty() && modelType.empty())
    return fields.error("architectures", "missing; supported: ", supportedArchitectures());
  return fields.error(name.empty() ? "model_type" : "architectures",
                      Quoted(name.empty() ? modelType : name),
                      " is not supported; supported: ", supportedArchitectures());
}

StatusOr<std::string> parseActivation(const ConfigFields &fields) {
  COMPRESSC_ASSIGN_OR_RETURN(std::string name, fields.string("hidden_act", "silu"));
  if (name == "gelu_pytorch_tanh")
    return std::string("gelu_tanh");
  if (name == "silu" || name == "gelu" || name == "relu")
    return name;
  return fields.error("hidden_act", Quoted(name),
                      " is not supported; supported: silu, gelu, gelu_pytorch_tanh, relu");
}

/// As transformers: what is missing or 0 takes the default of the paper, and the attention factor
/// follows from the other fields when the file doesn't give it.
Status parseYarn(const ConfigFields &rope, RopeConfig &result) {
  constexpr double largest = 1e6;
  auto numberOr = [&](const char *key, double fallback) -> StatusOr<double> {
    COMPRESSC_ASSIGN_OR_RETURN(double value, rope.number(key, 0, largest, fallback));
    return value == 0 ? fallback : value;
  };
  COMPRESSC_ASSIGN_OR_RETURN(result.betaFast, numberOr("beta_fast", 32));
  COMPRESSC_ASSIGN_OR_RETURN(result.betaSlow, numberOr("beta_slow", 1));
  if (result.betaFast < result.betaSlow)
    return rope.error("beta_fast", result.betaFast, " must not be less than beta_slow ",
                      result.betaSlow);
  COMPRESSC_ASSIGN_OR_RETURN(bool truncate, rope.boolean("truncate", true));
  result.fractional = !truncate;
  if (result.theta == 1)
    return rope.error("rope_theta", "yarn needs another theta than 1");

  auto magnitude = [&](double scale) {
    return result.factor <= 1 ? 1 : 0.1 * scale * std::log(result.factor) + 1;
  };
  COMPRESSC_ASSIGN_OR_RETURN(double scale, numberOr("mscale", 0));
  COMPRESSC_ASSIGN_OR_RETURN(double scaleOfAll, numberOr("mscale_all_dim", 0));
  double derived =
      scale && scaleOfAll ? magnitude(scale) / magnitude(scaleOfAll) : magnitude(1);
  COMPRESSC_ASSIGN_OR_RETURN(result.attentionFactor,
                             rope.number("attention_factor", 1e-6, largest, derived));
  return absl::OkStatus();
}

/// rope_parameters of transformers 5, or rope_scaling and rope_theta of transformers 4; where a
/// file has both, transformers takes rope_scaling.
StatusOr<RopeConfig> parseRope(const ConfigFields &fields, int64_t contextLength) {
  constexpr double smallest = 1e-9, largest = 1e15;
  std::string key = "rope_scaling";
  COMPRESSC_ASSIGN_OR_RETURN(const ConfigJson *object, fields.filledObject(key));
  if (!object) {
    key = "rope_parameters";
    COMPRESSC_ASSIGN_OR_RETURN(object, fields.filledObject(key));
  }
  static const ConfigJson nothing = ConfigJson::object();
  const ConfigFields rope = fields.nested(key, object ? *object : nothing);
  for (auto &[layerType, value] : (object ? *object : nothing).items())
    if (value.is_object())
      return fields.error(key, "one for each layer type (", Quoted(layerType),
                          ") is not supported yet");

  RopeConfig result;
  COMPRESSC_ASSIGN_OR_RETURN(double outerTheta,
                             fields.number("rope_theta", smallest, largest, result.theta));
  COMPRESSC_ASSIGN_OR_RETURN(result.theta,
                             rope.number("rope_theta", smallest, largest, outerTheta));
  for (const ConfigFields *place : {&fields, &rope}) {
    COMPRESSC_ASSIGN_OR_RETURN(double part, place->number("partial_rotary_factor", 0, 1, 1.0));
    if (part != 1)
      return place->error("partial_rotary_factor", part,
                          " is not supported yet: heads must rotate whole");
  }

  COMPRESSC_ASSIGN_OR_RETURN(std::string oldType, rope.string("type", "default"));
  COMPRESSC_ASSIGN_OR_RETURN(result.scaling, rope.string("rope_type", oldType));
  if (result.scaling != "default" && result.scaling != "linear" && result.scaling != "llama3" &&
      result.scaling != "yarn")
    return rope.error(rope.find("rope_type") ? "rope_type" : "type", "rope scaling ",
                      Quoted(result.scaling),
                      " is not supported yet; supported: default, linear, llama3, yarn");
  if (result.scaling == "default")
    return result;
  const char *original = "original_max_position_embeddings";
  COMPRESSC_ASSIGN_OR_RETURN(int64_t inner, rope.integer(original, 1, largestSize, contextLength));
  COMPRESSC_ASSIGN_OR_RETURN(int64_t originalContext,
                             fields.integer(original, 1, largestSize, inner));
  std::optional<double> ratio;
  if (result.scaling == "yarn" && rope.isNull("factor"))
    ratio = double(contextLength) / double(originalContext);
  COMPRESSC_ASSIGN_OR_RETURN(result.factor, rope.number("factor", smallest, largest, ratio));
  if (result.scaling == "linear")
    return result;
  result.originalContext = originalContext;
  if (result.scaling == "yarn") {
    COMPRESSC_RETURN_IF_ERROR(parseYarn(rope, result));
    return result;
  }

  COMPRESSC_ASSIGN_OR_RETURN(result.lowFrequency,
                             rope.number("low_freq_factor", smallest, largest));
  COMPRESSC_ASSIGN_OR_RETURN(result.highFrequency,
                             rope.number("high_freq_factor", smallest, largest));
  if (result.highFrequency <= result.lowFrequency)
    return rope.error("high_freq_factor", result.highFrequency,
                      " must be greater than low_freq_factor ", result.lowFrequency);
  return result;
}

/// Llama has no windows, whatever fields its file carries.
StatusOr<std::vector<int64_t>> parseWindows(const ConfigFields &fields, const ModelConfig &config) {
  std::vector<int64_t> windows(config.layers, 0);
  if (config.architecture == "LlamaForCausalLM")
    return windows;
  COMPRESSC_ASSIGN_OR_RETURN(bool used, fields.boolean("use_sliding_window", false));
  COMPRESSC_ASSIGN_OR_RETURN(int64_t first,
                             fields.integer("max_window_layers", 0, largestSize, 28));
  int64_t window = 0;
  if (used && !fields.isNull("sliding_window")) {
    COMPRESSC_ASSIGN_OR_RETURN(window, fields.integer("sliding_window", 1, largestSize, 4096));
  }

  const ConfigJson *types = fields.find("layer_types");
  if (!types) {
    for (int64_t layer = first; layer < config.layers; ++layer)
      windows[layer] = window;
    return windows;
  }
  if (!types->is_array() || types->size() != size_t(config.layers))
    return fields.error("layer_types", "must be a list of ", config.layers,
                        " types, one for each of num_hidden_layers");
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    const ConfigJson &type = (*types)[layer];
    if (type == "full_attention")
      continue;
    if (type != "sliding_attention")
      return fields.error("layer_types", ShownValue(type), " of layer ", layer,
                          " is not supported; supported: full_attention, sliding_attention");
    if (!window)
      return fields.error("layer_types", "layer ", layer, " is sliding_attention, but ",
                          used ? "sliding_window is null" : "use_sliding_window is false");
    windows[layer] = window;
  }
  return windows;
}

Status addEndTokens(const ConfigFields &fields, std::vector<int32_t> &tokens) {
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<int64_t> added,
                             fields.integers("eos_token_id", 0, INT32_MAX, mostEndTokens));
  for (int64_t token : added)
    if (std::find(tokens.begin(), tokens.end(), token) == tokens.end())
      tokens.push_back(int32_t(token));
  return absl::OkStatus();
}

Status parseSizes(const ConfigFields &fields, const Architecture &architecture,
                  ModelConfig &config) {
  auto size = [&](const std::string &key, int64_t &result, std::optional<int64_t> fallback = {}) {
    StatusOr<int64_t> value = fields.integer(key, 1, largestSize, fallback);
    result = value.value_or(0);
    return value.status();
  };
  COMPRESSC_RETURN_IF_ERROR(size("vocab_size", config.vocabularySize));
  COMPRESSC_RETURN_IF_ERROR(size("hidden_size", config.hiddenSize));
  COMPRESSC_RETURN_IF_ERROR(size("intermediate_size", config.intermediateSize));
  COMPRESSC_RETURN_IF_ERROR(size("num_attention_heads", config.heads));
  COMPRESSC_RETURN_IF_ERROR(
      size("max_position_embeddings", config.contextLength, architecture.contextLength));
  COMPRESSC_ASSIGN_OR_RETURN(config.layers, fields.integer("num_hidden_layers", 1, mostLayers));

  bool defaultKVHeads = architecture.kvHeads && !fields.isNull("num_key_value_heads");
  COMPRESSC_RETURN_IF_ERROR(size("num_key_value_heads", config.kvHeads,
                                 defaultKVHeads ? architecture.kvHeads : config.heads));
  if (config.heads % config.kvHeads)
    return fields.error("num_key_value_heads", config.kvHeads,
                        " does not divide num_attention_heads ", config.heads);

  if (!architecture.headDim && !fields.find("head_dim") && config.hiddenSize % config.heads)
    return fields.error("num_attention_heads", config.heads, " does not divide hidden_size ",
                        config.hiddenSize, ", and there is no head_dim");
  COMPRESSC_RETURN_IF_ERROR(size("head_dim", config.headDim,
                                 architecture.headDim
                                     ? architecture.headDim
                                     : std::max<int64_t>(1, config.hiddenSize / config.heads)));
  if (config.headDim % 2)
    return fields.error("head_dim", config.headDim, " is odd: rotary embedding needs an even size");
  if (config.heads * config.headDim > largestSize)
    return fields.error("head_dim", config.heads, " heads of ", config.headDim, " are more than ",
                        largestSize, " columns");
  return absl::OkStatus();
}

} // namespace

StatusOr<ModelConfig> ParseModelConfig(const std::string &text, const std::string &where) {
  COMPRESSC_ASSIGN_OR_RETURN(ConfigJson object, ParseConfigObject(text, where));
  ConfigFields fields(object, where);
  if (fields.find("quantization_config"))
    return fields.error("quantization_config",
                        "this checkpoint is compressed already, and packed "
                        "checkpoints cannot be imported yet: give the original");
  COMPRESSC_ASSIGN_OR_RETURN(const Architecture *architecture, findArchitecture(fields));

  ModelConfig config;
  config.architecture = architecture->name;
  std::string modelType = architecture->modelType;
  bool llama = modelType == "llama", qwen2 = modelType == "qwen2";
  COMPRESSC_RETURN_IF_ERROR(parseSizes(fields, *architecture, config));
  COMPRESSC_ASSIGN_OR_RETURN(config.activation, parseActivation(fields));
  COMPRESSC_ASSIGN_OR_RETURN(config.normEpsilon, fields.number("rms_norm_eps", 0, 1, 1e-6));
  COMPRESSC_ASSIGN_OR_RETURN(bool attentionBias, fields.boolean("attention_bias", false));
  COMPRESSC_ASSIGN_OR_RETURN(bool mlpBias, fields.boolean("mlp_bias", false));
  COMPRESSC_ASSIGN_OR_RETURN(config.tiedHead, fields.boolean("tie_word_embeddings", false));
  // Ours: other readers know one linear only.
  if (fields.find("lm_head_rank")) {
    COMPRESSC_ASSIGN_OR_RETURN(config.headRank,
                               fields.integer("lm_head_rank", 1, std::min(config.vocabularySize, config.hiddenSize)));
    if (config.tiedHead)
      return fields.error("lm_head_rank", "a head of two linears is not tied to the embedding; set tie_word_embeddings "
                                          "to false");
  }
  config.inputBias = qwen2 || attentionBias;
  config.outputBias = !qwen2 && attentionBias;
  config.mlpBias = llama && mlpBias;
  config.headNorms = modelType == "qwen3";
  COMPRESSC_ASSIGN_OR_RETURN(config.rope, parseRope(fields, config.contextLength));
  COMPRESSC_ASSIGN_OR_RETURN(config.windows, parseWindows(fields, config));

  if (llama && !object.contains("eos_token_id"))
    config.endTokens.push_back(2); // transformers' default, which it does not write
  COMPRESSC_RETURN_IF_ERROR(addEndTokens(fields, config.endTokens));

  COMPRESSC_ASSIGN_OR_RETURN(std::string oldDType, fields.string("torch_dtype", ""));
  COMPRESSC_ASSIGN_OR_RETURN(config.dtype, fields.string("dtype", oldDType));
  if (config.dtype != "float16" && config.dtype != "bfloat16" && config.dtype != "float32")
    config.dtype.clear();
  return config;
}

Status AddEndTokens(ModelConfig &config, const std::string &text, const std::string &where) {
  COMPRESSC_ASSIGN_OR_RETURN(ConfigJson object, ParseConfigObject(text, where));
  return addEndTokens(ConfigFields(object, where), config.endTokens);
}

StatusOr<std::string> WithDType(const std::string &text, const std::string &dtype,
                                const std::string &where) {
  COMPRESSC_ASSIGN_OR_RETURN(ConfigJson object, ParseConfigObject(text, where));
  bool any = false;
  for (const char *key : {"dtype", "torch_dtype"})
    if (object.contains(key)) {
      object[key] = dtype;
      any = true;
    }
  if (!any)
    object["torch_dtype"] = dtype; // both transformers 4 and 5 read this one
  return object.dump(2) + "\n";
}

} // namespace compressc
