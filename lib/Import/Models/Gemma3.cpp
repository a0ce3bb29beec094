// Gemma 3, the text model: norms around attention and MLP whose weights are stored as their distance
// from 1, norms of each head's q and k, a scaled embedding, and layers that look back only so far,
// with a rotary embedding of their own.
#include "Decoder.h"
#include "compressc/runtime/text.h"
#include <cmath>

namespace compressc {

namespace {

struct Gemma3Config : DecoderSizes {
  bool attentionBias = false;
  double queryScalar = 256;
  RopeConfig rope, localRope;   // of layers without and with a window
  std::vector<int64_t> windows; // 0: the whole context
};

class Gemma3 : public Model {
public:
  explicit Gemma3(Gemma3Config config) : config(std::move(config)) {}
  const CommonConfig &common() const override { return config; }

  GraphValue build(GraphBuilder &b) const override {
    double scale = std::sqrt(double(config.hiddenSize));
    GraphValue hidden = b.embedding(table(b, "embed_tokens"), scale, "hidden0");
    for (int64_t layer = 0; layer < config.layers; ++layer)
      hidden = b.block(layer, hidden, [&](GraphValue x) { return block(b, layer, x); });
    // Rows are selected before the norm, which is row-wise: fewer rows, the same values.
    GraphValue x = norm(b, b.selectRows(hidden, "selected"), {"model.norm", "output_norm"}, "normed");
    if (config.tiedHead)
      return b.linear(x, table(b, "lm_head", "lm_head.weight"), {}, "logits");
    return b.linear(x, {"lm_head", "output"}, config.vocabularySize, config.hiddenSize, "logits");
  }

  /// transformers derives a layer's kind from its number, which prune-layers changes.
  void completeConfig(ConfigJson &json) const override {
    if (json.contains("layer_types") && !json["layer_types"].is_null())
      return;
    json["layer_types"] = ConfigJson::array();
    for (int64_t window : config.windows)
      json["layer_types"].push_back(window ? "sliding_attention" : "full_attention");
  }

private:
  GraphValue table(GraphBuilder &b, std::string_view name, std::string_view alias = {}) const {
    return b.weight({"model.embed_tokens.weight", "token_embd.weight"},
                    {config.vocabularySize, config.hiddenSize}, name, {}, alias);
  }
  GraphValue norm(GraphBuilder &b, GraphValue x, const WeightName &module, std::string_view name,
                  int64_t width = 0) const {
    return b.norm(x, module, width ? width : config.hiddenSize, config.normEpsilon, name,
                  {.added = 1});
  }

  GraphValue attention(GraphBuilder &b, const WeightName &layer, int64_t window,
                       GraphValue x) const {
    int64_t dim = config.headDim;
    auto project = [&](const WeightName &module, int64_t heads, const char *name) {
      return b.linear(x, layer / module, heads * dim, config.hiddenSize, name,
                      {.bias = config.attentionBias});
    };
    GraphValue query = project({"self_attn.q_proj", "attn_q"}, config.heads, "q");
    GraphValue key = project({"self_attn.k_proj", "attn_k"}, config.kvHeads, "k");
    GraphValue value = project({"self_attn.v_proj", "attn_v"}, config.kvHeads, "v");
    query = norm(b, query, layer / WeightName{"self_attn.q_norm", "attn_q_norm"}, "q_normed", dim);
    key = norm(b, key, layer / WeightName{"self_attn.k_norm", "attn_k_norm"}, "k_normed", dim);
    const RopeConfig &rope = window ? config.localRope : config.rope;
    query = b.rotate(query, dim, rope, "q_rotated");
    key = b.rotate(key, dim, rope, "k_rotated");
    GraphValue attended = b.attention(query, key, value,
                                      {.heads = config.heads,
                                       .kvHeads = config.kvHeads,
                                       .headDim = dim,
                                       .scale = 1 / std::sqrt(config.queryScalar),
                                       .window = window},
                                      "attended");
    return b.linear(attended, layer / WeightName{"self_attn.o_proj", "attn_output"},
                    config.hiddenSize, config.heads * dim, "o", {.bias = config.attentionBias});
  }

  GraphValue block(GraphBuilder &b, int64_t index, GraphValue x) const {
    std::string number = std::to_string(index);
    WeightName layer{"model.layers." + number, "blk." + number};
    int64_t hidden = config.hiddenSize, inner = config.intermediateSize;
    auto normed = [&](GraphValue value, const WeightName &module, const char *name) {
      return norm(b, value, layer / module, name);
    };
    GraphValue input = normed(x, {"input_layernorm", "attn_norm"}, "attention_input");
    GraphValue o = attention(b, layer, config.windows[size_t(index)], input);
    o = normed(o, {"post_attention_layernorm", "post_attention_norm"}, "o_normed");
    GraphValue middle = b.add(x, o, "middle");
    input = normed(middle, {"pre_feedforward_layernorm", "ffn_norm"}, "mlp_input");
    GraphValue gate =
        b.linear(input, layer / WeightName{"mlp.gate_proj", "ffn_gate"}, inner, hidden, "gate");
    GraphValue up =
        b.linear(input, layer / WeightName{"mlp.up_proj", "ffn_up"}, inner, hidden, "up");
    GraphValue down = b.linear(b.gated(config.activation, gate, up, "gated"),
                               layer / WeightName{"mlp.down_proj", "ffn_down"}, hidden, inner, "down");
    down = normed(down, {"post_feedforward_layernorm", "post_ffw_norm"}, "down_normed");
    return b.add(middle, down, "result");
  }

  Gemma3Config config;
};

/// The rope of one kind of layers: rope_parameters of transformers 5, which are nested, or `older`.
StatusOr<RopeConfig> parseRope(const ConfigFields &fields, const char *kind, double theta,
                               const ConfigJson *older, int64_t contextLength) {
  COMPRESSC_ASSIGN_OR_RETURN(const ConfigJson *all, fields.filledObject("rope_parameters"));
  ConfigJson rope = ConfigJson::object();
  if (all && all->contains(kind))
    rope["rope_parameters"] = (*all)[kind];
  if (older)
    rope["rope_scaling"] = *older;
  rope["rope_theta"] = theta;
  return ParseRope(fields.nested(kind, rope), contextLength);
}

StatusOr<std::unique_ptr<Model>> parse(const ConfigFields &fields) {
  Gemma3Config config;
  COMPRESSC_RETURN_IF_ERROR(
      ParseSizes(fields, {.contextLength = 131072, .kvHeads = 4, .headDim = 256}, config));
  COMPRESSC_ASSIGN_OR_RETURN(config.activation,
                             ParseActivation(fields, "hidden_activation", "gelu_pytorch_tanh"));
  COMPRESSC_ASSIGN_OR_RETURN(config.normEpsilon, fields.number("rms_norm_eps", 0, 1, 1e-6));
  COMPRESSC_ASSIGN_OR_RETURN(config.tiedHead, fields.boolean("tie_word_embeddings", true));
  COMPRESSC_ASSIGN_OR_RETURN(config.attentionBias, fields.boolean("attention_bias", false));
  COMPRESSC_ASSIGN_OR_RETURN(config.queryScalar,
                             fields.number("query_pre_attn_scalar", 1e-3, 1e6, 256.0));
  for (const char *key : {"final_logit_softcapping", "attn_logit_softcapping", "lm_head_rank"})
    if (fields.find(key))
      return fields.error(key, "is not supported for Gemma 3");
  COMPRESSC_ASSIGN_OR_RETURN(bool bidirectional,
                             fields.boolean("use_bidirectional_attention", false));
  if (bidirectional)
    return fields.error("use_bidirectional_attention", "only causal attention is supported");

  COMPRESSC_ASSIGN_OR_RETURN(int64_t window, fields.integer("sliding_window", 1, largestSize, 4096));
  COMPRESSC_ASSIGN_OR_RETURN(int64_t pattern,
                             fields.integer("sliding_window_pattern", 1, largestSize, 6));
  for (int64_t layer = 0; layer < config.layers; ++layer)
    config.windows.push_back((layer + 1) % pattern ? window : 0);
  COMPRESSC_RETURN_IF_ERROR(ParseLayerTypes(fields, window, "", config.windows));

  COMPRESSC_ASSIGN_OR_RETURN(double theta, fields.number("rope_theta", 1e-9, 1e15, 1e6));
  COMPRESSC_ASSIGN_OR_RETURN(double local, fields.number("rope_local_base_freq", 1e-9, 1e15, 1e4));
  COMPRESSC_ASSIGN_OR_RETURN(const ConfigJson *scaling, fields.filledObject("rope_scaling"));
  COMPRESSC_ASSIGN_OR_RETURN(
      config.rope, parseRope(fields, "full_attention", theta, scaling, config.contextLength));
  COMPRESSC_ASSIGN_OR_RETURN(
      config.localRope, parseRope(fields, "sliding_attention", local, nullptr, config.contextLength));
  if (!fields.find("eos_token_id") && !fields.isNull("eos_token_id"))
    config.endTokens.push_back(1); // transformers' default
  return std::make_unique<Gemma3>(std::move(config));
}

StatusOr<ConfigJson> configOfGGUF(const Family &family, const GGUFMetadata &metadata) {
  COMPRESSC_ASSIGN_OR_RETURN(ConfigJson config,
                             DecoderConfigOfGGUF(metadata, family, "", true,
                                                 {"attention.sliding_window"}));
  config.erase("hidden_act");
  config["hidden_activation"] = "gelu_pytorch_tanh";
  COMPRESSC_RETURN_IF_ERROR(AddAttentionBias(metadata, config));
  COMPRESSC_ASSIGN_OR_RETURN(bool mlp, metadata.hasBias({"ffn_gate", "ffn_up", "ffn_down"}));
  if (mlp)
    return Invalid(metadata.file.path(),
                   ": biases on the feed-forward layers are not supported for gemma3");

  // What the format leaves to its readers.
  constexpr int64_t pattern = 6, layersOf27B = 62;
  auto layers = config["num_hidden_layers"].get<int64_t>();
  config["query_pre_attn_scalar"] = config["head_dim"];
  if (layers == layersOf27B)
    config["query_pre_attn_scalar"] =
        config["hidden_size"].get<int64_t>() / config["num_attention_heads"].get<int64_t>();
  COMPRESSC_ASSIGN_OR_RETURN(config["sliding_window"], metadata.positive("attention.sliding_window"));
  config["sliding_window_pattern"] = pattern;
  config["layer_types"] = ConfigJson::array();
  for (int64_t layer = 0; layer < layers; ++layer)
    config["layer_types"].push_back((layer + 1) % pattern ? "sliding_attention" : "full_attention");
  double local = 10000;
  if (metadata.has("rope.freq_base_swa")) {
    COMPRESSC_ASSIGN_OR_RETURN(local, metadata.positiveFloat("rope.freq_base_swa"));
  }
  config["rope_local_base_freq"] = local;
  ConfigJson global = config["rope_parameters"];
  config["rope_parameters"] = {
      {"full_attention", global},
      {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", local}}}};
  COMPRESSC_RETURN_IF_ERROR(FinishGGUFConfig(metadata, config));
  return config;
}

} // namespace

extern const Family gemma3Family{"Gemma3ForCausalLM", "gemma3_text", "gemma3",
                                 parse,               configOfGGUF,  nullptr};

} // namespace compressc
