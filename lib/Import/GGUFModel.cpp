#include "compressc/Import/GGUFModel.h"
#include "compressc/runtime/text.h"

#include "GGUFRope.h"
#include "nlohmann/json.hpp"
#include <algorithm>

namespace compressc {

namespace {

using Json = nlohmann::ordered_json;

struct Architecture {
  std::string_view name; // general.architecture and model_type
  std::string_view className;
  bool hasHeadDim; // the configuration has a field for it
  bool permuted;   // rows of q and k are interleaved
};

constexpr Architecture architectures[] = {
    {"llama", "LlamaForCausalLM", true, true},
    {"qwen2", "Qwen2ForCausalLM", false, false},
    {"qwen3", "Qwen3ForCausalLM", true, false},
};

StatusOr<const Architecture *> architectureOf(const GGUFFile &file) {
  COMPRESSC_ASSIGN_OR_RETURN(std::string name, file.getString("general.architecture"));
  for (const Architecture &architecture : architectures)
    if (architecture.name == name)
      return &architecture;
  return Invalid(file.path(), ": architecture ", Quoted(name),
                 " is not supported; llama, qwen2 and qwen3 are");
}

struct NamePair {
  std::string_view gguf, huggingFace;
};

constexpr NamePair globalNames[] = {
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm"},
    {"output", "lm_head"},
};

constexpr NamePair layerNames[] = {
    {"attn_norm", "input_layernorm"},    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},      {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"}, {"attn_q_norm", "self_attn.q_norm"},
    {"attn_k_norm", "self_attn.k_norm"}, {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},       {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
};

constexpr std::string_view ggufLayer = "blk.", huggingFaceLayer = "model.layers.";

/// Takes "12." off the front; canonical digits only, so that every name has one spelling.
std::optional<std::string_view> takeIndex(std::string_view &text) {
  size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  if (digits == 0 || digits > 6 || (text[0] == '0' && digits > 1) || digits == text.size() ||
      text[digits] != '.')
    return std::nullopt;
  std::string_view index = text.substr(0, digits);
  text.remove_prefix(digits + 1);
  return index;
}

std::optional<std::string> translate(std::string_view name, std::string_view NamePair::*from,
                                     std::string_view NamePair::*to, std::string_view fromLayer,
                                     std::string_view toLayer) {
  size_t dot = name.rfind('.');
  if (dot == std::string_view::npos)
    return std::nullopt;
  std::string_view suffix = name.substr(dot);
  if (suffix != ".weight" && suffix != ".bias")
    return std::nullopt;
  std::string_view module = name.substr(0, dot);
  for (const NamePair &pair : globalNames)
    if (pair.*from == module)
      return std::string(pair.*to) + std::string(suffix);
  if (!module.starts_with(fromLayer))
    return std::nullopt;
  module.remove_prefix(fromLayer.size());
  std::optional<std::string_view> index = takeIndex(module);
  if (!index)
    return std::nullopt;
  for (const NamePair &pair : layerNames)
    if (pair.*from == module)
      return std::string(toLayer) + std::string(*index) + "." + std::string(pair.*to) +
             std::string(suffix);
  return std::nullopt;
}

/// Reads `{architecture}.{key}` and checks its range.
class Hyperparameters {
public:
  Hyperparameters(const GGUFFile &file, const Architecture &architecture)
      : file(file), prefix(std::string(architecture.name) + ".") {}

  std::string key(const char *name) const { return prefix + name; }
  bool has(const char *name) const { return file.has(key(name)); }

  StatusOr<int64_t> positive(const char *name) const {
    constexpr int64_t largest = int64_t(1) << 31;
    COMPRESSC_ASSIGN_OR_RETURN(int64_t value, integer(name));
    if (value < 1 || value > largest)
      return Invalid(file.path(), ": metadata ", Quoted(key(name)), " is ", value, "; 1 to ",
                     largest, " are possible");
    return value;
  }

  StatusOr<double> positiveFloat(const char *name) const {
    COMPRESSC_ASSIGN_OR_RETURN(double value, file.getFloat(key(name)));
    if (!(value > 0))
      return Invalid(file.path(), ": metadata ", Quoted(key(name)), " must be positive");
    return value;
  }

private:
  /// Some writers give one number for each layer; all must agree then.
  StatusOr<int64_t> integer(const char *name) const {
    auto it = file.metadata().find(key(name));
    if (it != file.metadata().end())
      if (auto *list = std::get_if<std::vector<int64_t>>(&it->second)) {
        bool equal = !list->empty() && std::all_of(list->begin(), list->end(), [&](int64_t value) {
          return value == list->front();
        });
        if (!equal)
          return Invalid(file.path(), ": metadata ", Quoted(key(name)),
                         " differs from layer to layer, which is not supported");
        return list->front();
      }
    return file.getInt(key(name));
  }

  const GGUFFile &file;
  std::string prefix;
};

/// Settings that change what the model computes and that none of the three classes has: to ignore
/// one would give a model that runs and is wrong.
Status checkNothingElse(const GGUFFile &file, const Hyperparameters &parameters) {
  for (const char *name :
       {"expert_count", "attention.sliding_window", "attention.scale", "attention.clamp_kqv",
        "attention.max_alibi_bias", "embedding_scale", "residual_scale", "logit_scale",
        "use_parallel_residual", "attn_logit_softcapping", "final_logit_softcapping"}) {
    auto it = file.metadata().find(parameters.key(name));
    if (it == file.metadata().end())
      continue;
    const GGUFValue &value = it->second;
    bool off =
        value == GGUFValue(false) || value == GGUFValue(int64_t(0)) || value == GGUFValue(0.0);
    if (!off)
      return Invalid(file.path(), ": metadata ", Quoted(parameters.key(name)), " is not supported");
  }
  auto causal = file.metadata().find(parameters.key("attention.causal"));
  if (causal != file.metadata().end() && causal->second == GGUFValue(false))
    return Invalid(file.path(), ": the model's attention is not causal, which is not supported");
  auto parts = file.metadata().find("split.count");
  if (parts != file.metadata().end() && !(parts->second == GGUFValue(int64_t(0))) &&
      !(parts->second == GGUFValue(int64_t(1))))
    return Invalid(file.path(), ": one part of a split model; merge the parts into one file first");
  return absl::OkStatus();
}

/// Whether the linears `modules` of the layers have biases: all of them or none.
StatusOr<bool> hasBias(const GGUFFile &file, std::initializer_list<const char *> modules,
                       int64_t layers) {
  int64_t found = 0;
  std::string missing;
  for (int64_t layer = 0; layer < layers; ++layer)
    for (const char *module : modules) {
      std::string name = absl::StrCat("blk.", layer, ".", module, ".bias");
      if (file.find(name))
        ++found;
      else
        missing = name;
    }
  if (found == 0 || missing.empty())
    return found != 0;
  return Invalid(file.path(), ": tensor ", Quoted(missing),
                 " is missing although others of its kind are there");
}

Status addBiases(const GGUFFile &file, const Architecture &architecture, int64_t layers,
                 Json &config) {
  COMPRESSC_ASSIGN_OR_RETURN(bool qkv, hasBias(file, {"attn_q", "attn_k", "attn_v"}, layers));
  COMPRESSC_ASSIGN_OR_RETURN(bool output, hasBias(file, {"attn_output"}, layers));
  COMPRESSC_ASSIGN_OR_RETURN(bool mlp, hasBias(file, {"ffn_gate", "ffn_up", "ffn_down"}, layers));
  if (architecture.name == "qwen2") {
    if ((!qkv && !file.tensors().empty()) || output || mlp)
      return Invalid(file.path(), ": qwen2 has biases on q, k and v and on nothing else");
    return absl::OkStatus();
  }
  if (qkv != output)
    return Invalid(file.path(), ": q, k, v and output must all have a bias or none of them");
  if (mlp && architecture.name != "llama")
    return Invalid(file.path(), ": biases on the feed-forward layers are not supported for ",
                   std::string(architecture.name));
  config["attention_bias"] = qkv;
  if (architecture.name == "llama")
    config["mlp_bias"] = mlp;
  return absl::OkStatus();
}

StatusOr<int64_t> headDimOf(const GGUFFile &file, const Hyperparameters &parameters, int64_t hidden,
                            int64_t heads) {
  int64_t headDim = hidden / heads;
  if (parameters.has("attention.key_length")) {
    COMPRESSC_ASSIGN_OR_RETURN(headDim, parameters.positive("attention.key_length"));
  } else if (hidden % heads != 0) {
    return Invalid(file.path(), ": the embedding length ", hidden, " is not a multiple of the ",
                   heads, " heads");
  }
  for (const char *name : {"attention.value_length", "rope.dimension_count"})
    if (parameters.has(name)) {
      COMPRESSC_ASSIGN_OR_RETURN(int64_t length, parameters.positive(name));
      if (length != headDim)
        return Invalid(file.path(), ": metadata ", Quoted(parameters.key(name)), " is ", length,
                       "; only the head dimension, ", headDim, ", is supported");
    }
  if (headDim % 2 != 0)
    return Invalid(file.path(), ": the head dimension ", headDim, " is odd");
  return headDim;
}

/// The rows of the embedding; the metadata only counts for a file without tensors.
StatusOr<int64_t> vocabularySize(const GGUFFile &file, const Hyperparameters &parameters,
                                 int64_t hidden) {
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<std::string> tokens,
                             file.getStrings("tokenizer.ggml.tokens"));
  const GGUFTensor *embedding = file.find("token_embd.weight");
  if (!embedding && !file.tensors().empty())
    return Invalid(file.path(), ": tensor 'token_embd.weight' is missing");
  int64_t size = int64_t(tokens.size());
  if (embedding) {
    if (embedding->shape.size() != 2 || embedding->shape[1] != hidden)
      return Invalid(file.path(), ": tensor 'token_embd.weight' must be a matrix with rows of ",
                     hidden);
    size = embedding->shape[0];
  } else if (parameters.has("vocab_size")) {
    COMPRESSC_ASSIGN_OR_RETURN(size, parameters.positive("vocab_size"));
  }
  if (size < int64_t(tokens.size()))
    return Invalid(file.path(), ": ", tokens.size(), " tokens but an embedding of only ", size,
                   " rows");
  return size;
}

/// The token id under `key`; nullopt when the file has none.
StatusOr<std::optional<int64_t>> tokenId(const GGUFFile &file, const char *key) {
  if (!file.has(key))
    return std::optional<int64_t>();
  COMPRESSC_ASSIGN_OR_RETURN(int64_t id, file.getInt(key));
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<std::string> tokens,
                             file.getStrings("tokenizer.ggml.tokens"));
  if (id < 0 || id >= int64_t(tokens.size()))
    return Invalid(file.path(), ": metadata ", Quoted(key), " is ", id, " but there are ",
                   tokens.size(), " tokens");
  return std::optional<int64_t>(id);
}

/// Adds bos_token_id, eos_token_id and pad_token_id as far as the file has them.
Status addTokenIds(const GGUFFile &file, Json &json) {
  constexpr std::pair<const char *, const char *> ids[] = {
      {"bos_token_id", "tokenizer.ggml.bos_token_id"},
      {"eos_token_id", "tokenizer.ggml.eos_token_id"},
      {"pad_token_id", "tokenizer.ggml.padding_token_id"},
  };
  for (const auto &[name, key] : ids) {
    COMPRESSC_ASSIGN_OR_RETURN(std::optional<int64_t> id, tokenId(file, key));
    if (id)
      json[name] = *id;
  }
  return absl::OkStatus();
}

} // namespace

StatusOr<std::string> GGUFConfig(const GGUFFile &file) {
  COMPRESSC_ASSIGN_OR_RETURN(const Architecture *architecture, architectureOf(file));
  Hyperparameters parameters(file, *architecture);
  COMPRESSC_RETURN_IF_ERROR(checkNothingElse(file, parameters));

  COMPRESSC_ASSIGN_OR_RETURN(int64_t hidden, parameters.positive("embedding_length"));
  COMPRESSC_ASSIGN_OR_RETURN(int64_t layers, parameters.positive("block_count"));
  COMPRESSC_ASSIGN_OR_RETURN(int64_t intermediate, parameters.positive("feed_forward_length"));
  COMPRESSC_ASSIGN_OR_RETURN(int64_t positions, parameters.positive("context_length"));
  COMPRESSC_ASSIGN_OR_RETURN(int64_t heads, parameters.positive("attention.head_count"));
  int64_t kvHeads = heads;
  if (parameters.has("attention.head_count_kv")) {
    COMPRESSC_ASSIGN_OR_RETURN(kvHeads, parameters.positive("attention.head_count_kv"));
  }
  if (heads % kvHeads != 0)
    return Invalid(file.path(), ": ", heads, " heads do not share ", kvHeads, " key heads evenly");
  constexpr int64_t mostLayers = 10000;
  if (layers > mostLayers)
    return Invalid(file.path(), ": ", layers, " layers, more than ", mostLayers);
  COMPRESSC_ASSIGN_OR_RETURN(double epsilon,
                             parameters.positiveFloat("attention.layer_norm_rms_epsilon"));
  COMPRESSC_ASSIGN_OR_RETURN(int64_t headDim, headDimOf(file, parameters, hidden, heads));
  if (!architecture->hasHeadDim && headDim * heads != hidden)
    return Invalid(file.path(), ": ", std::string(architecture->name), " needs heads of ",
                   hidden / heads, " dimensions, not ", headDim);
  COMPRESSC_ASSIGN_OR_RETURN(int64_t vocabulary, vocabularySize(file, parameters, hidden));
  COMPRESSC_ASSIGN_OR_RETURN(Json rope, ropeParameters(file, parameters.key("rope."), headDim));

  Json config;
  config["architectures"] = Json::array({std::string(architecture->className)});
  config["model_type"] = std::string(architecture->name);
  config["vocab_size"] = vocabulary;
  config["hidden_size"] = hidden;
  config["intermediate_size"] = intermediate;
  config["num_hidden_layers"] = layers;
  config["num_attention_heads"] = heads;
  config["num_key_value_heads"] = kvHeads;
  if (architecture->hasHeadDim)
    config["head_dim"] = headDim;
  config["hidden_act"] = "silu";
  config["max_position_embeddings"] = positions;
  config["rms_norm_eps"] = epsilon;
  // transformers 4 reads theta at the top and the rest from rope_scaling, 5 reads rope_parameters.
  config["rope_theta"] = rope["rope_theta"];
  config["rope_scaling"] = rope["rope_type"] == "default" ? Json() : rope;
  config["rope_parameters"] = rope;
  COMPRESSC_RETURN_IF_ERROR(addBiases(file, *architecture, layers, config));
  if (architecture->name != "llama") {
    config["use_sliding_window"] = false;
    config["sliding_window"] = nullptr;
    config["max_window_layers"] = layers;
  }
  config["tie_word_embeddings"] = !file.find("output.weight");
  COMPRESSC_RETURN_IF_ERROR(addTokenIds(file, config));
  config["dtype"] = "float16";
  return config.dump(2) + "\n";
}

StatusOr<std::string> GGUFGenerationConfig(const GGUFFile &file) {
  Json config = Json::object();
  COMPRESSC_RETURN_IF_ERROR(addTokenIds(file, config));
  // A chat model may end its turn with a token of its own.
  COMPRESSC_ASSIGN_OR_RETURN(std::optional<int64_t> endOfTurn,
                             tokenId(file, "tokenizer.ggml.eot_token_id"));
  if (endOfTurn && config.contains("eos_token_id") && config["eos_token_id"] != *endOfTurn)
    config["eos_token_id"] = Json::array({config["eos_token_id"], *endOfTurn});
  return config.dump(2) + "\n";
}

StatusOr<std::map<std::string, std::string>> GGUFCheckpointFiles(const GGUFFile &file) {
  std::map<std::string, std::string> files;
  COMPRESSC_ASSIGN_OR_RETURN(files["config.json"], GGUFConfig(file));
  COMPRESSC_ASSIGN_OR_RETURN(files["generation_config.json"], GGUFGenerationConfig(file));
  COMPRESSC_ASSIGN_OR_RETURN(files["tokenizer.json"], GGUFTokenizer(file));
  COMPRESSC_ASSIGN_OR_RETURN(files["tokenizer_config.json"], GGUFTokenizerConfig(file));
  return files;
}

std::optional<std::string> HuggingFaceFromGGUF(std::string_view name) {
  return translate(name, &NamePair::gguf, &NamePair::huggingFace, ggufLayer, huggingFaceLayer);
}

std::optional<std::string> GGUFFromHuggingFace(std::string_view name) {
  return translate(name, &NamePair::huggingFace, &NamePair::gguf, huggingFaceLayer, ggufLayer);
}

StatusOr<int64_t> GGUFPermutedHeads(const GGUFFile &file, std::string_view name) {
  COMPRESSC_ASSIGN_OR_RETURN(const Architecture *architecture, architectureOf(file));
  if (!architecture->permuted || !name.starts_with(ggufLayer))
    return 0;
  name.remove_prefix(ggufLayer.size());
  if (!takeIndex(name))
    return 0;
  Hyperparameters parameters(file, *architecture);
  if (name == "attn_q.weight" || name == "attn_q.bias")
    return parameters.positive("attention.head_count");
  if (name == "attn_k.weight" || name == "attn_k.bias")
    return parameters.positive(parameters.has("attention.head_count_kv") ? "attention.head_count_kv"
                                                                         : "attention.head_count");
  return 0;
}

} // namespace compressc
