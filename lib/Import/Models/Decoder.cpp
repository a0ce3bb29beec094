#include "Decoder.h"
#include "compressc/runtime/text.h"
#include "lib/Import/GGUF/GGUFRope.h"
#include <algorithm>
#include <cmath>

namespace compressc {

//===-- The graph ---------------------------------------------------------------------------------===//

namespace {

class DecoderBuilder {
public:
  DecoderBuilder(GraphBuilder &builder, const Decoder &config) : builder(builder), config(config) {}

  GraphValue build() {
    GraphValue table = embeddingTable("embed_tokens");
    GraphValue hidden = builder.embedding(table, 1, "hidden0");
    for (int64_t layer = 0; layer < config.layers; ++layer)
      hidden = builder.block(layer, hidden, [&](GraphValue x) { return block(layer, x); });
    return head(hidden);
  }

private:
  GraphValue embeddingTable(std::string_view name, std::string_view alias = {}) {
    WeightName table{"model.embed_tokens.weight", "token_embd.weight"};
    return builder.weight(table, {config.vocabularySize, config.hiddenSize}, name, {}, alias);
  }
  GraphValue norm(GraphValue x, const WeightName &module, int64_t width, std::string_view name) {
    return builder.norm(x, module, width, config.normEpsilon, name);
  }

  GraphValue attention(const WeightName &layer, int64_t index, GraphValue x) {
    int64_t hidden = config.hiddenSize, dim = config.headDim;
    auto project = [&](const WeightName &module, int64_t heads, const char *name, bool pairs) {
      return builder.linear(x, layer / module, heads * dim, hidden, name,
                            {.bias = config.inputBias, .ggufPairedHeads = pairs ? heads : 0});
    };
    bool pairs = config.ggufPairsQueryRows;
    GraphValue query = project({"self_attn.q_proj", "attn_q"}, config.heads, "q", pairs);
    GraphValue key = project({"self_attn.k_proj", "attn_k"}, config.kvHeads, "k", pairs);
    GraphValue value = project({"self_attn.v_proj", "attn_v"}, config.kvHeads, "v", false);
    if (config.headNorms) {
      query = norm(query, layer / WeightName{"self_attn.q_norm", "attn_q_norm"}, dim, "q_normed");
      key = norm(key, layer / WeightName{"self_attn.k_norm", "attn_k_norm"}, dim, "k_normed");
    }
    query = builder.rotate(query, dim, config.rope, "q_rotated");
    key = builder.rotate(key, dim, config.rope, "k_rotated");
    GraphValue attended = builder.attention(query, key, value,
                                            {.heads = config.heads,
                                             .kvHeads = config.kvHeads,
                                             .headDim = dim,
                                             .scale = 1 / std::sqrt(double(dim)),
                                             .window = config.windows[size_t(index)]},
                                            "attended");
    return builder.linear(attended, layer / WeightName{"self_attn.o_proj", "attn_output"}, hidden,
                          config.heads * dim, "o", {.bias = config.outputBias});
  }

  GraphValue mlp(const WeightName &layer, GraphValue x) {
    int64_t hidden = config.hiddenSize, inner = config.intermediateSize;
    LinearOptions bias{.bias = config.mlpBias};
    GraphValue gate = builder.linear(x, layer / WeightName{"mlp.gate_proj", "ffn_gate"}, inner,
                                     hidden, "gate", bias);
    GraphValue up =
        builder.linear(x, layer / WeightName{"mlp.up_proj", "ffn_up"}, inner, hidden, "up", bias);
    GraphValue gated = builder.gated(config.activation, gate, up, "gated");
    return builder.linear(gated, layer / WeightName{"mlp.down_proj", "ffn_down"}, hidden, inner,
                          "down", bias);
  }

  GraphValue block(int64_t index, GraphValue x) {
    std::string number = std::to_string(index);
    WeightName layer{"model.layers." + number, "blk." + number};
    int64_t hidden = config.hiddenSize;
    GraphValue normed =
        norm(x, layer / WeightName{"input_layernorm", "attn_norm"}, hidden, "attention_input");
    GraphValue middle = builder.add(x, attention(layer, index, normed), "middle");
    normed = norm(middle, layer / WeightName{"post_attention_layernorm", "ffn_norm"}, hidden,
                  "mlp_input");
    return builder.add(middle, mlp(layer, normed), "result");
  }

  /// Rows are selected before the norm, which is row-wise: fewer rows, the same values.
  GraphValue head(GraphValue hidden) {
    int64_t vocabulary = config.vocabularySize, width = config.hiddenSize;
    GraphValue selected = builder.selectRows(hidden, "selected");
    GraphValue x = norm(selected, {"model.norm", "output_norm"}, width, "normed");
    if (config.headRank) {
      x = builder.linear(x, {"lm_head.0", "output.0"}, config.headRank, width, "projected",
                         {.label = "lm_head_0"});
      return builder.linear(x, {"lm_head.1", "output.1"}, vocabulary, config.headRank, "logits",
                            {.label = "lm_head_1"});
    }
    if (config.tiedHead)
      return builder.linear(x, embeddingTable("lm_head", "lm_head.weight"), {}, "logits");
    return builder.linear(x, {"lm_head", "output"}, vocabulary, width, "logits");
  }

  GraphBuilder &builder;
  const Decoder &config;
};

} // namespace

GraphValue DecoderModel::build(GraphBuilder &builder) const {
  return DecoderBuilder(builder, config).build();
}

//===-- config.json -------------------------------------------------------------------------------===//

StatusOr<std::string> ParseActivation(const ConfigFields &fields, const std::string &key,
                                      const std::string &fallback) {
  COMPRESSC_ASSIGN_OR_RETURN(std::string name, fields.string(key, fallback));
  if (name == "gelu_pytorch_tanh")
    return std::string("gelu_tanh");
  if (name == "silu" || name == "gelu" || name == "relu")
    return name;
  return fields.error(key, Quoted(name),
                      " is not supported; supported: silu, gelu, gelu_pytorch_tanh, relu");
}

Status ParseSizes(const ConfigFields &fields, const SizeDefaults &defaults, DecoderSizes &config) {
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
      size("max_position_embeddings", config.contextLength, defaults.contextLength));
  COMPRESSC_ASSIGN_OR_RETURN(config.layers, fields.integer("num_hidden_layers", 1, 4096));

  bool defaultKVHeads = defaults.kvHeads && !fields.isNull("num_key_value_heads");
  COMPRESSC_RETURN_IF_ERROR(size("num_key_value_heads", config.kvHeads,
                                 defaultKVHeads ? defaults.kvHeads : config.heads));
  if (config.heads % config.kvHeads)
    return fields.error("num_key_value_heads", config.kvHeads,
                        " does not divide num_attention_heads ", config.heads);

  if (!defaults.headDim && !fields.find("head_dim") && config.hiddenSize % config.heads)
    return fields.error("num_attention_heads", config.heads, " does not divide hidden_size ",
                        config.hiddenSize, ", and there is no head_dim");
  COMPRESSC_RETURN_IF_ERROR(size("head_dim", config.headDim,
                                 defaults.headDim
                                     ? defaults.headDim
                                     : std::max<int64_t>(1, config.hiddenSize / config.heads)));
  if (config.headDim % 2)
    return fields.error("head_dim", config.headDim, " is odd: rotary embedding needs an even size");
  if (config.heads * config.headDim > largestSize)
    return fields.error("head_dim", config.heads, " heads of ", config.headDim, " are more than ",
                        largestSize, " columns");
  return absl::OkStatus();
}

StatusOr<Decoder> ParseDecoder(const ConfigFields &fields, const SizeDefaults &defaults) {
  Decoder config;
  COMPRESSC_RETURN_IF_ERROR(ParseSizes(fields, defaults, config));
  COMPRESSC_ASSIGN_OR_RETURN(config.activation, ParseActivation(fields, "hidden_act", "silu"));
  COMPRESSC_ASSIGN_OR_RETURN(config.normEpsilon, fields.number("rms_norm_eps", 0, 1, 1e-6));
  COMPRESSC_ASSIGN_OR_RETURN(config.tiedHead, fields.boolean("tie_word_embeddings", false));
  // Ours: other readers know one linear only.
  if (fields.find("lm_head_rank")) {
    COMPRESSC_ASSIGN_OR_RETURN(
        config.headRank,
        fields.integer("lm_head_rank", 1, std::min(config.vocabularySize, config.hiddenSize)));
    if (config.tiedHead)
      return fields.error("lm_head_rank", "a head of two linears is not tied to the embedding; set "
                                          "tie_word_embeddings to false");
  }
  COMPRESSC_ASSIGN_OR_RETURN(config.rope, ParseRope(fields, config.contextLength));
  config.windows.assign(size_t(config.layers), 0);
  return config;
}

Status ParseLayerTypes(const ConfigFields &fields, int64_t window, const std::string &why,
                       std::vector<int64_t> &windows) {
  const ConfigJson *types = fields.find("layer_types");
  if (!types)
    return absl::OkStatus();
  if (!types->is_array() || types->size() != windows.size())
    return fields.error("layer_types", "must be a list of ", windows.size(),
                        " types, one for each of num_hidden_layers");
  for (size_t layer = 0; layer < windows.size(); ++layer) {
    const ConfigJson &type = (*types)[layer];
    bool slides = type == "sliding_attention";
    if (!slides && type != "full_attention")
      return fields.error("layer_types", ShownValue(type), " of layer ", layer,
                          " is not supported; supported: full_attention, sliding_attention");
    if (slides && !window)
      return fields.error("layer_types", "layer ", layer, " is sliding_attention, but ", why);
    windows[layer] = slides ? window : 0;
  }
  return absl::OkStatus();
}

Status ParseQwenWindows(const ConfigFields &fields, Decoder &config) {
  COMPRESSC_ASSIGN_OR_RETURN(bool used, fields.boolean("use_sliding_window", false));
  COMPRESSC_ASSIGN_OR_RETURN(int64_t first,
                             fields.integer("max_window_layers", 0, largestSize, 28));
  int64_t window = 0;
  if (used && !fields.isNull("sliding_window")) {
    COMPRESSC_ASSIGN_OR_RETURN(window, fields.integer("sliding_window", 1, largestSize, 4096));
  }
  for (int64_t layer = first; layer < config.layers; ++layer)
    config.windows[size_t(layer)] = window;
  return ParseLayerTypes(fields, window,
                         used ? "sliding_window is null" : "use_sliding_window is false",
                         config.windows);
}

//===-- GGUF --------------------------------------------------------------------------------------===//

StatusOr<ConfigJson> DecoderConfigOfGGUF(const GGUFMetadata &metadata, const Family &family,
                                         const char *activation, bool hasHeadDim,
                                         std::initializer_list<const char *> read) {
  const GGUFFile &file = metadata.file;
  COMPRESSC_RETURN_IF_ERROR(metadata.checkNothingElse(read));
  COMPRESSC_ASSIGN_OR_RETURN(int64_t hidden, metadata.positive("embedding_length"));
  COMPRESSC_ASSIGN_OR_RETURN(int64_t layers, metadata.positive("block_count"));
  COMPRESSC_ASSIGN_OR_RETURN(int64_t intermediate, metadata.positive("feed_forward_length"));
  COMPRESSC_ASSIGN_OR_RETURN(int64_t positions, metadata.positive("context_length"));
  COMPRESSC_ASSIGN_OR_RETURN(int64_t heads, metadata.positive("attention.head_count"));
  int64_t kvHeads = heads;
  if (metadata.has("attention.head_count_kv")) {
    COMPRESSC_ASSIGN_OR_RETURN(kvHeads, metadata.positive("attention.head_count_kv"));
  }
  if (heads % kvHeads != 0)
    return Invalid(file.path(), ": ", heads, " heads do not share ", kvHeads, " key heads evenly");
  constexpr int64_t mostLayers = 10000;
  if (layers > mostLayers)
    return Invalid(file.path(), ": ", layers, " layers, more than ", mostLayers);
  COMPRESSC_ASSIGN_OR_RETURN(double epsilon,
                             metadata.positiveFloat("attention.layer_norm_rms_epsilon"));
  COMPRESSC_ASSIGN_OR_RETURN(int64_t headDim, metadata.headDim(hidden, heads));
  if (!hasHeadDim && headDim * heads != hidden)
    return Invalid(file.path(), ": ", family.gguf, " needs heads of ", hidden / heads,
                   " dimensions, not ", headDim);
  COMPRESSC_ASSIGN_OR_RETURN(int64_t vocabulary, metadata.vocabularySize(hidden));

  ConfigJson config;
  config["architectures"] = ConfigJson::array({std::string(family.architecture)});
  config["model_type"] = std::string(family.modelType);
  config["vocab_size"] = vocabulary;
  config["hidden_size"] = hidden;
  config["intermediate_size"] = intermediate;
  config["num_hidden_layers"] = layers;
  config["num_attention_heads"] = heads;
  config["num_key_value_heads"] = kvHeads;
  if (hasHeadDim)
    config["head_dim"] = headDim;
  config["hidden_act"] = activation;
  config["max_position_embeddings"] = positions;
  config["rms_norm_eps"] = epsilon;
  COMPRESSC_ASSIGN_OR_RETURN(ConfigJson rope,
                             RopeOfGGUF(file, metadata.key("rope."), headDim));
  // transformers 4 reads theta at the top and the rest from rope_scaling, 5 reads rope_parameters.
  config["rope_theta"] = rope["rope_theta"];
  config["rope_scaling"] = rope["rope_type"] == "default" ? ConfigJson() : rope;
  config["rope_parameters"] = rope;
  return config;
}

Status AddAttentionBias(const GGUFMetadata &metadata, ConfigJson &config) {
  COMPRESSC_ASSIGN_OR_RETURN(bool input, metadata.hasBias({"attn_q", "attn_k", "attn_v"}));
  COMPRESSC_ASSIGN_OR_RETURN(bool output, metadata.hasBias({"attn_output"}));
  if (input != output)
    return Invalid(metadata.file.path(),
                   ": q, k, v and output must all have a bias or none of them");
  config["attention_bias"] = input;
  return absl::OkStatus();
}

void AddNoWindows(ConfigJson &config) {
  config["use_sliding_window"] = false;
  config["sliding_window"] = nullptr;
  config["max_window_layers"] = config["num_hidden_layers"];
}

Status FinishGGUFConfig(const GGUFMetadata &metadata, ConfigJson &config) {
  config["tie_word_embeddings"] = !metadata.file.find("output.weight");
  COMPRESSC_RETURN_IF_ERROR(metadata.addTokenIds(config));
  config["dtype"] = "float16";
  return absl::OkStatus();
}

//===-- ONNX --------------------------------------------------------------------------------------===//

void WriteDecoder(const Decoder &graph, const Family &family, ConfigJson &config) {
  config["architectures"] = ConfigJson::array({std::string(family.architecture)});
  config["model_type"] = std::string(family.modelType);
  config["vocab_size"] = graph.vocabularySize;
  config["hidden_size"] = graph.hiddenSize;
  config["intermediate_size"] = graph.intermediateSize;
  config["num_hidden_layers"] = graph.layers;
  config["num_attention_heads"] = graph.heads;
  config["num_key_value_heads"] = graph.kvHeads;
  config["head_dim"] = graph.headDim;
  config["hidden_act"] = graph.activation == "gelu_tanh" ? "gelu_pytorch_tanh" : graph.activation;
  config["rms_norm_eps"] = graph.normEpsilon;
  config["attention_bias"] = graph.outputBias;
  config["mlp_bias"] = graph.mlpBias;
  config["tie_word_embeddings"] = graph.tiedHead;
  for (const char *older : {"rope_theta", "rope_scaling", "quantization_config",
                            "partial_rotary_factor", "original_max_position_embeddings"})
    config.erase(older);
  ConfigJson &rope = config["rope_parameters"];
  rope = {{"rope_type", graph.rope.scaling}, {"rope_theta", graph.rope.theta}};
  if (graph.rope.scaling != "default")
    rope["factor"] = graph.rope.factor;
  if (graph.rope.scaling == "llama3") {
    rope["low_freq_factor"] = graph.rope.lowFrequency;
    rope["high_freq_factor"] = graph.rope.highFrequency;
    rope["original_max_position_embeddings"] = graph.rope.originalContext;
  }
}

void WriteQwenWindows(const std::vector<int64_t> &windows, ConfigJson &config) {
  int64_t largest = *std::max_element(windows.begin(), windows.end());
  config["use_sliding_window"] = largest > 0;
  config["sliding_window"] = largest ? ConfigJson(largest) : ConfigJson();
  config["max_window_layers"] = windows.size();
  config["layer_types"] = ConfigJson::array();
  for (int64_t window : windows)
    config["layer_types"].push_back(window ? "sliding_attention" : "full_attention");
}

} // namespace compressc
