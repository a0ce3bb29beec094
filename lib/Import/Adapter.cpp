#include "compressc/Import/Adapter.h"
#include "HuggingFace/ConfigFields.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "compressc/runtime/safetensors.h"
#include "compressc/runtime/text.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringMap.h"
#include <cmath>
#include <set>

using namespace mlir;

namespace compressc {
namespace {

/// null, false, 0, "", "none", [] and {}.
bool saysNothing(const ConfigJson &value) {
  return value.is_null() || value == false || value == 0 || value == "" || value == "none" ||
         (value.is_structured() && value.empty());
}

class Config {
public:
  static StatusOr<Config> Read(const std::string &path) {
    COMPRESSC_ASSIGN_OR_RETURN(std::string text, ReadFile(path));
    Config config;
    config.path = path;
    COMPRESSC_ASSIGN_OR_RETURN(config.object, ParseConfigObject(text, path));
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
  const ConfigJson &field(const char *key) const {
    static const ConfigJson null;
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
    const ConfigJson &start = field("init_lora_weights");
    if (start.is_string() && start != "gaussian" && start != "orthogonal" && start != "eva")
      return Invalid(path, ": init_lora_weights ", Quoted(start.get<std::string>()),
                     " is not supported (it changes the base weights); convert the adapter with peft first");
    return absl::OkStatus();
  }

  /// The default, or what the pattern says of the module: the name's last parts.
  StatusOr<double> number(const std::string &module, const char *key, const char *pattern) const {
    const ConfigJson *value = &field(key);
    if (const ConfigJson &patterns = field(pattern); patterns.is_object())
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
  ConfigJson object;
};

/// "base_model.model.X.lora_A.weight" -> X.
std::optional<std::string> moduleOf(absl::string_view name, absl::string_view part) {
  if (!absl::ConsumePrefix(&name, "base_model.model.") || !absl::ConsumeSuffix(&name, part) || name.empty())
    return std::nullopt;
  return std::string(name);
}

/// The two tensors of an update.
struct Factors {
  std::string module; // as the model's checkpoint names it, without ".weight"
  std::string a, b;   // keys in the file: A [rank, columns], B [rows, rank]
  DType type;         // of both
  int64_t rank, rows, columns;
  double scale;
};

StatusOr<std::vector<Factors>> readFactors(const Config &config, const std::string &file) {
  COMPRESSC_ASSIGN_OR_RETURN(SafetensorsReader reader, SafetensorsReader::OpenFile(file));
  std::vector<Factors> updates;
  for (const auto &[name, a] : reader.tensors()) {
    auto error = [&](absl::string_view what) { return Invalid(file, ": tensor ", Quoted(name), " ", what); };
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
    Factors update;
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
    updates.push_back(std::move(update));
  }
  if (updates.empty())
    return Invalid(file, ": has no LoRA factors");
  return updates;
}

/// The model's parameters, by the names that an adapter may know them by.
class Names {
public:
  explicit Names(ModuleOp module) {
    for (auto param : module.getOps<lm::ParamOp>())
      if (!param.getFile()) {
        stored[param.storeKey()].push_back(param);
        exported[param.getSymName()].push_back(param);
      }
    // A tied head has no parameter of its own.
    module.walk([&](lm::LoadParamOp load) {
      if (auto tied = exported.find(load.getParam()); load.getAlias() && tied != exported.end())
        exported.try_emplace(*load.getAlias(), tied->second);
    });
  }

  ArrayRef<lm::ParamOp> find(StringRef name) const {
    for (const auto *names : {&stored, &exported})
      if (auto found = names->find(name); found != names->end())
        return found->second;
    return {};
  }

private:
  llvm::StringMap<SmallVector<lm::ParamOp>> stored, exported;
};

lm::ParamOp declare(OpBuilder &builder, SymbolTable &symbols, const std::string &file, const std::string &key,
                    const std::string &name, DType dtype, ArrayRef<int64_t> shape) {
  Type element = dtype == DType::F32    ? Type(builder.getF32Type())
                 : dtype == DType::BF16 ? Type(builder.getBF16Type())
                                        : Type(builder.getF16Type());
  auto param = lm::ParamOp::create(builder, builder.getUnknownLoc(), name, builder.getStringAttr(file),
                                   builder.getStringAttr(key), FloatAttr(), RankedTensorType::get(shape, element));
  symbols.insert(param); // under another name if an earlier adapter has this one
  return param;
}

} // namespace

StatusOr<std::vector<AdapterUpdate>> ImportAdapter(ModuleOp module, const std::string &directory) {
  COMPRESSC_ASSIGN_OR_RETURN(Config config, Config::Read(directory + "/adapter_config.json"));
  std::string file = directory + "/adapter_model.safetensors";
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<Factors> factors, readFactors(config, file));

  Names names(module);
  std::set<Operation *> adapted;
  for (const Factors &update : factors) {
    ArrayRef<lm::ParamOp> parameters = names.find(update.module + ".weight");
    if (parameters.empty())
      return Invalid(directory, " adapts ", update.module, ", but the model has no parameter ", update.module,
                     ".weight; it was trained for another model");
    for (lm::ParamOp parameter : parameters)
      if (!adapted.insert(parameter).second)
        return Invalid(directory, " adapts ", update.module, ", but its parameter @", parameter.getSymName().str(),
                       " is adapted under another name too");
  }

  SymbolTable symbols(module);
  OpBuilder builder = OpBuilder::atBlockBegin(module.getBody());
  std::vector<AdapterUpdate> updates;
  for (const Factors &update : factors) {
    lm::ParamOp a = declare(builder, symbols, file, update.a, update.module + ".lora_A.weight", update.type,
                            {update.rank, update.columns});
    lm::ParamOp b = declare(builder, symbols, file, update.b, update.module + ".lora_B.weight", update.type,
                            {update.rows, update.rank});
    for (lm::ParamOp parameter : names.find(update.module + ".weight"))
      updates.push_back({update.module, parameter, a, b, update.scale});
  }
  return updates;
}

} // namespace compressc
