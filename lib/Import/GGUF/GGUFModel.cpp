#include "compressc/Import/GGUFModel.h"
#include "compressc/runtime/text.h"
#include "lib/Import/Models/Family.h"

namespace compressc {

static StatusOr<const Family *> familyOf(const GGUFFile &file) {
  COMPRESSC_ASSIGN_OR_RETURN(std::string name, file.getString("general.architecture"));
  std::string list;
  for (const Family *family : Families()) {
    if (family->gguf == name)
      return family;
    absl::StrAppend(&list, list.empty() ? "" : ", ", family->gguf);
  }
  return Invalid(file.path(), ": architecture ", Quoted(name), " is not supported; supported: ",
                 list);
}

StatusOr<std::string> GGUFConfig(const GGUFFile &file) {
  COMPRESSC_ASSIGN_OR_RETURN(const Family *family, familyOf(file));
  GGUFMetadata metadata(file, family->gguf);
  COMPRESSC_ASSIGN_OR_RETURN(ConfigJson config, family->configOfGGUF(*family, metadata));
  return config.dump(2) + "\n";
}

StatusOr<std::string> GGUFGenerationConfig(const GGUFFile &file) {
  GGUFMetadata metadata(file, "");
  ConfigJson config = ConfigJson::object();
  COMPRESSC_RETURN_IF_ERROR(metadata.addTokenIds(config));
  // A chat model may end its turn with a token of its own.
  COMPRESSC_ASSIGN_OR_RETURN(std::optional<int64_t> endOfTurn,
                             metadata.tokenId("tokenizer.ggml.eot_token_id"));
  if (endOfTurn && config.contains("eos_token_id") && config["eos_token_id"] != *endOfTurn)
    config["eos_token_id"] = ConfigJson::array({config["eos_token_id"], *endOfTurn});
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

} // namespace compressc
