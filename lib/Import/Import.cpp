#include "compressc/Import/Import.h"
#include "BuildModule.h"
#include "CheckpointSource.h"
#include "compressc/runtime/text.h"
#include "mlir/IR/Verifier.h"

namespace compressc {

/// What "auto" means for a configuration without weights.
static DType typeOfConfig(const ModelConfig &config) {
  return config.dtype == "bfloat16" ? DType::BF16 : DType::F16;
}

static std::string configName(DType dtype) {
  return dtype == DType::F16 ? "float16" : dtype == DType::BF16 ? "bfloat16" : "float32";
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
  COMPRESSC_ASSIGN_OR_RETURN(model.config, ParseModelConfig(configText, source.configPath));
  if (auto generation = model.files.find("generation_config.json"); generation != model.files.end())
    COMPRESSC_RETURN_IF_ERROR(
        AddEndTokens(model.config, generation->second, path + "/generation_config.json"));
  if (!model.files.count("tokenizer.json") && !options.splat)
    model.warnings.push_back(path +
                             ": there is no tokenizer.json: the compiled model will not read text");

  std::vector<Parameter> parameters = ListParameters(model.config);
  DType dtype = chosen.value_or(typeOfConfig(model.config));
  if (source.weights) {
    COMPRESSC_RETURN_IF_ERROR(source.bind(parameters));
    if (!chosen)
      dtype = PrevalentType(parameters);
    if (source.onlyParameters)
      if (auto unused = UnusedTensors(parameters, *source.weights, model.config); !unused.empty())
        model.warnings.push_back(unusedWarning(path, unused));
  }
  COMPRESSC_ASSIGN_OR_RETURN(configText,
                             WithDType(configText, configName(dtype), source.configPath));
  model.config.dtype = configName(dtype);

  model.module = BuildModule(context, {model.config, parameters, dtype, model.name});
  if (mlir::failed(mlir::verify(*model.module)))
    return absl::InternalError(path + ": the imported module is not valid");
  return model;
}

} // namespace compressc
