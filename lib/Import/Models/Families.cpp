#include "Family.h"
#include "compressc/runtime/text.h"
#include <algorithm>

namespace compressc {

extern const Family llamaFamily, qwen2Family, qwen3Family, gemma3Family;

const std::vector<const Family *> &Families() {
  static const std::vector<const Family *> families = {&llamaFamily, &qwen2Family, &qwen3Family,
                                                      &gemma3Family};
  return families;
}

static Status addEndTokens(CommonConfig &config, const ConfigFields &fields) {
  constexpr size_t mostEndTokens = 1024;
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<int64_t> added,
                             fields.integers("eos_token_id", 0, INT32_MAX, mostEndTokens));
  std::vector<int32_t> &tokens = config.endTokens;
  for (int64_t token : added)
    if (std::find(tokens.begin(), tokens.end(), token) == tokens.end())
      tokens.push_back(int32_t(token));
  return absl::OkStatus();
}

static std::string supportedArchitectures() {
  std::string list;
  for (const Family *family : Families())
    absl::StrAppend(&list, list.empty() ? "" : ", ", family->architecture);
  return list;
}

static StatusOr<const Family *> findFamily(const ConfigFields &fields) {
  std::string name;
  if (const ConfigJson *list = fields.find("architectures")) {
    if (!list->is_array() || list->empty() || !list->front().is_string())
      return fields.error("architectures", "must be a list of names");
    name = list->front().get<std::string>();
  }
  COMPRESSC_ASSIGN_OR_RETURN(std::string modelType, fields.string("model_type", ""));
  for (const Family *family : Families()) {
    if (name.empty() ? family->modelType != modelType : family->architecture != name)
      continue;
    if (!modelType.empty() && family->modelType != modelType)
      return fields.error("model_type", Quoted(modelType), " does not go with the architecture ",
                          name);
    return family;
  }
  if (name.empty() && modelType.empty())
    return fields.error("architectures", "missing; supported: ", supportedArchitectures());
  return fields.error(name.empty() ? "model_type" : "architectures",
                      Quoted(name.empty() ? modelType : name),
                      " is not supported; supported: ", supportedArchitectures());
}

StatusOr<std::unique_ptr<Model>> ParseModel(const std::string &text, const std::string &where) {
  COMPRESSC_ASSIGN_OR_RETURN(ConfigJson object, ParseConfigObject(text, where));
  ConfigFields fields(object, where);
  if (fields.find("quantization_config"))
    return fields.error("quantization_config",
                        "this checkpoint is compressed already, and packed "
                        "checkpoints cannot be imported yet: give the original");
  COMPRESSC_ASSIGN_OR_RETURN(const Family *family, findFamily(fields));
  COMPRESSC_ASSIGN_OR_RETURN(std::unique_ptr<Model> model, family->parse(fields));
  CommonConfig &common = model->common();
  common.architecture = family->architecture;
  COMPRESSC_ASSIGN_OR_RETURN(std::string oldDType, fields.string("torch_dtype", ""));
  COMPRESSC_ASSIGN_OR_RETURN(common.dtype, fields.string("dtype", oldDType));
  if (common.dtype != "float16" && common.dtype != "bfloat16" && common.dtype != "float32")
    common.dtype.clear();
  COMPRESSC_RETURN_IF_ERROR(addEndTokens(common, fields));
  return model;
}

Status AddEndTokens(CommonConfig &config, const std::string &text, const std::string &where) {
  COMPRESSC_ASSIGN_OR_RETURN(ConfigJson object, ParseConfigObject(text, where));
  return addEndTokens(config, ConfigFields(object, where));
}

std::string WithDType(ConfigJson object, const std::string &dtype) {
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
