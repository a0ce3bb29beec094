#include "compressc/Import/Adapter.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "compressc/runtime/text.h"
#include "runtime/core/json_reader.h"
#include <cmath>

using nlohmann::json;

namespace compressc {
namespace {

/// null, false, 0, "", "none", [] and {}.
bool saysNothing(const json &value) {
  return value.is_null() || value == false || value == 0 || value == "" || value == "none" ||
         (value.is_structured() && value.empty());
}

class Config {
public:
  static StatusOr<Config> Read(const std::string &path) {
    COMPRESSC_ASSIGN_OR_RETURN(std::string text, ReadFile(path));
    Config config;
    config.path = path;
    COMPRESSC_ASSIGN_OR_RETURN(config.object, ParseJson(text, path));
    if (!config.object.is_object())
      return Invalid(path, ": must be a JSON object");
    COMPRESSC_RETURN_IF_ERROR(config.refuse());
    return config;
  }

  /// alpha over the rank that the adapter's tensors have.
  StatusOr<double> scale(const std::string &module, int64_t rank) const {
    COMPRESSC_ASSIGN_OR_RETURN(double expected, number(module, "r", "rank_pattern"));
    if (expected != double(rank))
      return Invalid(path, ": rank ", expected, " for ", Quoted(module), ", but its tensors have rank ", rank);
    COMPRESSC_ASSIGN_OR_RETURN(double alpha, number(module, "lora_alpha", "alpha_pattern"));
    return alpha / (field("use_rslora") == true ? std::sqrt(double(rank)) : double(rank));
  }

private:
  const json &field(const char *key) const {
    static const json null;
    auto found = object.find(key);
    return found == object.end() ? null : *found;
  }

  Status refuse() const {
    if (field("peft_type") != "LORA")
      return Invalid(path, ": peft_type must be LORA; other adapters can't be merged here");
    for (auto [key, why] : {std::pair("use_dora", "DoRA rescales the merged weight"),
                            std::pair("lora_bias", "the adapter has biases of its own"),
                            std::pair("bias", "the adapter trained the model's biases"),
                            std::pair("modules_to_save", "the adapter replaces whole modules"),
                            std::pair("fan_in_fan_out", "its weights are stored transposed"),
                            std::pair("layer_replication", "the adapter's model repeats layers"),
                            std::pair("target_parameters", "the adapter changes bare parameters"),
                            std::pair("trainable_token_indices", "the adapter trained embeddings of tokens"),
                            std::pair("alora_invocation_tokens", "the adapter acts on some tokens only"),
                            std::pair("use_qalora", "the adapter's A reads pooled inputs"),
                            std::pair("use_bdlora", "the adapter's factors are block-diagonal")})
      if (!saysNothing(field(key)))
        return Invalid(path, ": ", key, " is not supported (", why,
                       "); merge it with peft's merge_and_unload and compress the result");
    const json &start = field("init_lora_weights");
    if (start.is_string() && start != "gaussian" && start != "orthogonal" && start != "eva")
      return Invalid(path, ": init_lora_weights ", Quoted(start.get<std::string>()),
                     " is not supported (it changes the base weights); convert the adapter with peft first");
    return absl::OkStatus();
  }

  /// The default, or what the pattern says of the module: the name's last parts.
  StatusOr<double> number(const std::string &module, const char *key, const char *pattern) const {
    const json *value = &field(key);
    if (const json &patterns = field(pattern); patterns.is_object())
      for (const auto &[suffix, special] : patterns.items()) {
        if (suffix.find_first_of("^$*+?()[]{}|\\") != std::string::npos)
          return Invalid(path, ": ", pattern, ": ", Quoted(suffix),
                         " is a regular expression; only the ends of names are read");
        if (module == suffix || absl::EndsWith(module, "." + suffix)) {
          value = &special;
          break; // as peft does: the first that fits
        }
      }
    if (!value->is_number() || !(value->get<double>() > 0))
      return Invalid(path, ": ", key, " of ", Quoted(module), " must be a positive number");
    return value->get<double>();
  }

  std::string path;
  json object;
};

/// "base_model.model.X.lora_A.weight" -> X.
std::optional<std::string> moduleOf(absl::string_view name, absl::string_view part) {
  if (!absl::ConsumePrefix(&name, "base_model.model.") || !absl::ConsumeSuffix(&name, part) || name.empty())
    return std::nullopt;
  return std::string(name);
}

} // namespace

StatusOr<Adapter> OpenAdapter(const std::string &directory) {
  COMPRESSC_ASSIGN_OR_RETURN(Config config, Config::Read(directory + "/adapter_config.json"));
  Adapter adapter;
  adapter.file = directory + "/adapter_model.safetensors";
  COMPRESSC_ASSIGN_OR_RETURN(SafetensorsReader reader, SafetensorsReader::OpenFile(adapter.file));
  for (const auto &[name, a] : reader.tensors()) {
    auto error = [&](absl::string_view what) { return Invalid(adapter.file, ": tensor ", Quoted(name), " ", what); };
    if (auto module = moduleOf(name, ".lora_B.weight")) {
      if (!reader.find("base_model.model." + *module + ".lora_A.weight"))
        return error("has no lora_A beside it");
      continue;
    }
    auto module = moduleOf(name, ".lora_A.weight");
    if (!module)
      return error(absl::StrContains(name, "lora_embedding_")
                       ? "adapts an embedding, which is not supported; merge it with peft's merge_and_unload"
                       : "is not a LoRA factor (base_model.model.MODULE.lora_A.weight or lora_B.weight)");
    AdapterUpdate update;
    update.module = *module;
    update.a = name;
    update.b = "base_model.model." + *module + ".lora_B.weight";
    const StoredTensor *b = reader.find(update.b);
    if (!b)
      return error("has no lora_B beside it");
    auto type = DTypeFromSafetensors(a.dtype);
    if (a.dtype != b->dtype || (type != DType::F32 && type != DType::F16 && type != DType::BF16))
      return error("and its lora_B must both be F32, F16 or BF16");
    if (a.shape.size() != 2 || b->shape.size() != 2 || a.shape[0] != b->shape[1] || a.shape[0] < 1)
      return error("and its lora_B must be matrices [rank, columns] and [rows, rank]");
    update.type = *type;
    update.rank = a.shape[0], update.columns = a.shape[1], update.rows = b->shape[0];
    COMPRESSC_ASSIGN_OR_RETURN(update.scale, config.scale(*module, update.rank));
    adapter.updates.push_back(std::move(update));
  }
  if (adapter.updates.empty())
    return Invalid(adapter.file, ": has no LoRA factors");
  return adapter;
}

} // namespace compressc
