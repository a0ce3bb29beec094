#include "compressc/Import/Import.h"
#include "BuildModule.h"
#include "CheckpointSource.h"
#include "absl/strings/match.h"
#include "compressc/runtime/text.h"
#include "mlir/IR/Verifier.h"

namespace compressc {

/// What "auto" means: the 16-bit type that most weights have (blocks count for f16, F32 for
/// nothing), or the configuration's where there are no weights.
static DType automaticType(const CommonConfig &config, const WeightStore *weights) {
  if (!weights)
    return config.dtype == "bfloat16" ? DType::BF16 : DType::F16;
  int64_t half = 0, brain = 0;
  for (const std::string &key : weights->keys())
    if (const Tensor *tensor = weights->find(key); tensor && tensor->dtype != DType::F32)
      (tensor->dtype == DType::BF16 ? brain : half) += tensor->elements();
  return brain > half ? DType::BF16 : DType::F16;
}

static std::string configName(DType dtype) {
  return dtype == DType::F16 ? "float16" : dtype == DType::BF16 ? "bfloat16" : "float32";
}

/// Tensors that no weight is bound to, but for those that are known to say nothing new.
static std::vector<std::string> unusedTensors(const std::set<std::string> &used,
                                              const WeightStore &store,
                                              const CommonConfig &config) {
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

static std::string unusedWarning(const std::string &path, const std::vector<std::string> &names) {
  constexpr size_t shown = 6;
  std::string text = absl::StrCat(path, ": ", names.size(), " tensors are not used:");
  for (size_t i = 0; i < std::min(shown, names.size()); ++i)
    absl::StrAppend(&text, i ? ", " : " ", Quoted(names[i]));
  return names.size() > shown ? text + ", ..." : text;
}

StatusOr<ImportedModel> ImportModel(mlir::MLIRContext &context, const std::string &path,
                                    const ImportOptions &options) {
  std::optional<DType> chosen = DTypeFromName(options.dtype);
  if (options.dtype != "auto" && chosen != DType::F16 && chosen != DType::BF16 &&
      chosen != DType::F32)
    return Invalid("unknown weight type ", Quoted(options.dtype), ": auto, f16, bf16 or f32");

  COMPRESSC_ASSIGN_OR_RETURN(CheckpointSource source, OpenCheckpoint(path, options.splat));
  ImportedModel model;
  model.name = source.name;
  model.weights = source.weights;
  model.files = std::move(source.files);
  model.warnings = std::move(source.warnings);
  std::string &configText = model.files["config.json"];
  COMPRESSC_ASSIGN_OR_RETURN(std::unique_ptr<Model> parsed,
                             ParseModel(configText, source.configPath));
  model.config = parsed->common();
  if (auto generation = model.files.find("generation_config.json"); generation != model.files.end())
    COMPRESSC_RETURN_IF_ERROR(
        AddEndTokens(model.config, generation->second, path + "/generation_config.json"));
  if (!model.files.count("tokenizer.json") && !options.splat)
    model.warnings.push_back(path +
                             ": there is no tokenizer.json: the compiled model will not read text");

  DType dtype = chosen ? *chosen : automaticType(model.config, source.weights.get());
  COMPRESSC_ASSIGN_OR_RETURN(
      BuiltModule built,
      BuildModule(context, {*parsed, dtype, model.name, source.bind, source.gguf}));
  model.module = std::move(built.module);
  if (source.weights && source.onlyParameters)
    if (auto unused = unusedTensors(built.keys, *source.weights, model.config); !unused.empty())
      model.warnings.push_back(unusedWarning(path, unused));
  COMPRESSC_ASSIGN_OR_RETURN(ConfigJson json, ParseConfigObject(configText, source.configPath));
  parsed->completeConfig(json);
  configText = WithDType(std::move(json), configName(dtype));
  model.config.dtype = configName(dtype);
  if (mlir::failed(mlir::verify(*model.module)))
    return absl::InternalError(path + ": the imported module is not valid");
  return model;
}

} // namespace compressc
