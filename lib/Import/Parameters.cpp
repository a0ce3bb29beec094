#include "Parameters.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "compressc/runtime/text.h"
#include <set>

namespace compressc {

std::vector<Parameter> ListParameters(const ModelConfig &config) {
  std::vector<Parameter> result;
  auto add = [&](std::string name, std::vector<int64_t> shape) {
    Parameter &parameter = result.emplace_back();
    parameter.name = std::move(name);
    parameter.shape = std::move(shape);
  };
  auto addLinear = [&](const std::string &module, int64_t rows, int64_t columns, bool bias) {
    add(module + ".weight", {rows, columns});
    if (bias)
      add(module + ".bias", {rows});
  };

  int64_t hidden = config.hiddenSize, inner = config.intermediateSize;
  int64_t queryColumns = config.heads * config.headDim,
          keyColumns = config.kvHeads * config.headDim;
  add("model.embed_tokens.weight", {config.vocabularySize, hidden});
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    std::string prefix = absl::StrCat("model.layers.", layer, ".");
    std::string attention = prefix + "self_attn.", mlp = prefix + "mlp.";
    add(prefix + "input_layernorm.weight", {hidden});
    addLinear(attention + "q_proj", queryColumns, hidden, config.inputBias);
    addLinear(attention + "k_proj", keyColumns, hidden, config.inputBias);
    addLinear(attention + "v_proj", keyColumns, hidden, config.inputBias);
    if (config.headNorms) {
      add(attention + "q_norm.weight", {config.headDim});
      add(attention + "k_norm.weight", {config.headDim});
    }
    addLinear(attention + "o_proj", hidden, queryColumns, config.outputBias);
    add(prefix + "post_attention_layernorm.weight", {hidden});
    addLinear(mlp + "gate_proj", inner, hidden, config.mlpBias);
    addLinear(mlp + "up_proj", inner, hidden, config.mlpBias);
    addLinear(mlp + "down_proj", hidden, inner, config.mlpBias);
  }
  add("model.norm.weight", {hidden});
  if (config.headRank) {
    add("lm_head.0.weight", {config.headRank, hidden});
    add("lm_head.1.weight", {config.vocabularySize, config.headRank});
  } else if (!config.tiedHead)
    add("lm_head.weight", {config.vocabularySize, hidden});
  return result;
}

static std::string shapeText(const std::vector<int64_t> &shape) {
  return "[" + absl::StrJoin(shape, ", ") + "]";
}

Status BindParameters(std::vector<Parameter> &parameters, const WeightStore &store,
                      const std::function<std::string(const std::string &)> &keyOf) {
  for (Parameter &parameter : parameters) {
    parameter.key = keyOf(parameter.name);
    if (!store.contains(parameter.key))
      return Invalid(store.path(), ": the tensor ", Quoted(parameter.key),
                     " is missing, which the configuration asks for");
    COMPRESSC_ASSIGN_OR_RETURN(parameter.stored, store.get(parameter.key));
    if (parameter.stored->shape != parameter.shape)
      return Invalid(store.path(), ": tensor ", Quoted(parameter.key), " has shape ",
                     shapeText(parameter.stored->shape), ", but the configuration asks for ",
                     shapeText(parameter.shape));
    bool blocks = DTypeSize(parameter.stored->dtype) == 0;
    if (blocks && parameter.shape.size() != 2)
      return Invalid(store.path(), ": tensor ", Quoted(parameter.key), " is a vector in ",
                     std::string(DTypeName(parameter.stored->dtype)),
                     " blocks; vectors must be F32, F16 or BF16");
  }
  return absl::OkStatus();
}

std::vector<std::string> UnusedTensors(const std::vector<Parameter> &parameters,
                                       const WeightStore &store, const ModelConfig &config) {
  std::set<std::string> used;
  for (const Parameter &parameter : parameters)
    used.insert(parameter.key);
  std::vector<std::string> result;
  for (std::string &key : store.keys()) {
    // Tables that older files and GGUF carry of what the configuration says as well.
    bool frequencies = absl::EndsWith(key, ".rotary_emb.inv_freq") || key == "rope_freqs.weight";
    bool tiedCopy = config.tiedHead && key == "lm_head.weight";
    if (!used.count(key) && !frequencies && !tiedCopy)
      result.push_back(std::move(key));
  }
  return result;
}

DType PrevalentType(const std::vector<Parameter> &parameters) {
  int64_t half = 0, brain = 0;
  for (const Parameter &parameter : parameters) {
    DType stored = parameter.stored->dtype;
    if (stored == DType::BF16)
      brain += parameter.stored->elements();
    else if (stored != DType::F32)
      half += parameter.stored->elements();
  }
  return brain > half ? DType::BF16 : DType::F16;
}

} // namespace compressc
