#include "CheckpointSource.h"
#include "ONNX/ONNXBind.h"
#include "ONNX/ONNXConfig.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "compressc/Import/GGUFModel.h"
#include "compressc/runtime/text.h"
#include <filesystem>

namespace compressc {

namespace fs = std::filesystem;

namespace {

constexpr size_t largestSmallFile = size_t(256) << 20;

constexpr const char *carriedFiles[] = {
    "config.json",        "generation_config.json",  "tokenizer.json",    "tokenizer_config.json",
    "vocab.json",         "special_tokens_map.json", "added_tokens.json", "merges.txt",
    "chat_template.jinja"};

/// The directory's own name, or the model's in a hub cache: models--OWNER--NAME/snapshots/REVISION.
std::string modelName(const fs::path &directory) {
  std::error_code error;
  fs::path whole = fs::canonical(directory, error);
  if (error)
    whole = directory;
  std::string owner = whole.parent_path().parent_path().filename().string();
  if (whole.parent_path().filename() == "snapshots" && absl::StartsWith(owner, "models--"))
    return owner.substr(owner.rfind("--") + 2);
  std::string name = whole.filename().string();
  return name.empty() ? "model" : name;
}

StatusOr<CheckpointSource> readFiles(const std::string &directory) {
  CheckpointSource source;
  source.name = modelName(directory);
  source.configPath = directory + "/config.json";
  std::error_code error;
  for (const char *name : carriedFiles) {
    std::string file = directory + "/" + name;
    if (!fs::exists(file, error))
      continue;
    COMPRESSC_ASSIGN_OR_RETURN(source.files[name], ReadFile(file, largestSmallFile));
  }
  return source;
}

std::string shapeText(const std::vector<int64_t> &shape) {
  return "[" + absl::StrJoin(shape, ", ") + "]";
}

StatusOr<StoredWeight> bindKey(const std::string &key, const std::vector<int64_t> &shape,
                               const WeightStore &store) {
  if (!store.contains(key))
    return Invalid(store.path(), ": the tensor ", Quoted(key),
                   " is missing, which the configuration asks for");
  COMPRESSC_ASSIGN_OR_RETURN(const Tensor *tensor, store.get(key));
  if (tensor->shape != shape)
    return Invalid(store.path(), ": tensor ", Quoted(key), " has shape ", shapeText(tensor->shape),
                   ", but the configuration asks for ", shapeText(shape));
  if (DTypeSize(tensor->dtype) == 0 && shape.size() != 2)
    return Invalid(store.path(), ": tensor ", Quoted(key), " is a vector in ",
                   std::string(DTypeName(tensor->dtype)),
                   " blocks; vectors must be F32, F16 or BF16");
  return StoredWeight{key, tensor};
}

/// The small files lie beside the graph.
StatusOr<CheckpointSource> openONNX(const std::string &path, bool configOnly) {
  std::string directory = fs::path(path).parent_path().string();
  COMPRESSC_ASSIGN_OR_RETURN(CheckpointSource source, readFiles(directory.empty() ? "." : directory));
  COMPRESSC_ASSIGN_OR_RETURN(ONNXGraph opened, ONNXGraph::Open(path));
  auto graph = std::make_shared<const ONNXGraph>(std::move(opened));
  COMPRESSC_ASSIGN_OR_RETURN(ONNXModel model, RaiseONNX(*graph));
  if (!source.files.count("config.json"))
    return Invalid(path, ": there is no config.json beside it; put the exported model's there, or "
                         "one with max_position_embeddings and eos_token_id");
  std::string warning;
  COMPRESSC_ASSIGN_OR_RETURN(
      source.files["config.json"],
      ONNXConfig(model.config, source.files["config.json"], source.configPath, warning));
  if (!warning.empty())
    source.warnings.push_back(warning);
  if (configOnly)
    return source;
  source.onlyParameters = false;
  source.weights = WeightStore::FromONNX(*graph);
  source.bind = [graph, model, store = source.weights](const WeightName &name,
                                                       const std::vector<int64_t> &shape) {
    return BindONNX(name, shape, model, *graph, *store);
  };
  return source;
}

StatusOr<CheckpointSource> openDirectory(const std::string &directory, bool configOnly) {
  COMPRESSC_ASSIGN_OR_RETURN(CheckpointSource source, readFiles(directory));
  if (!source.files.count("config.json"))
    return Invalid(directory, ": there is no config.json; give a Hugging Face model directory or a "
                              ".gguf file");
  if (configOnly)
    return source;
  COMPRESSC_ASSIGN_OR_RETURN(source.weights, WeightStore::OpenDirectory(directory));
  source.bind = [store = source.weights](const WeightName &name,
                                         const std::vector<int64_t> &shape) {
    return bindKey(name.huggingFace, shape, *store);
  };
  return source;
}

StatusOr<CheckpointSource> openGGUF(const std::string &path, bool configOnly) {
  COMPRESSC_ASSIGN_OR_RETURN(GGUFFile file, GGUFFile::Open(path));
  CheckpointSource source;
  source.configPath = path;
  source.name = fs::path(path).stem().string();
  COMPRESSC_ASSIGN_OR_RETURN(source.files, GGUFCheckpointFiles(file));
  if (configOnly)
    return source;
  source.weights = WeightStore::FromGGUF(file);
  source.gguf = true;
  source.bind = [store = source.weights](const WeightName &name,
                                         const std::vector<int64_t> &shape) {
    return bindKey(name.gguf, shape, *store);
  };
  return source;
}

StatusOr<CheckpointSource> openConfigFile(const std::string &path) {
  CheckpointSource source;
  fs::path directory = fs::path(path).parent_path();
  source.name = modelName(directory.empty() ? "." : directory);
  source.configPath = path;
  COMPRESSC_ASSIGN_OR_RETURN(source.files["config.json"], ReadFile(path, largestSmallFile));
  return source;
}

bool hasSafetensors(const std::string &directory) {
  std::error_code error;
  for (const fs::directory_entry &entry : fs::directory_iterator(directory, error))
    if (entry.path().extension() == ".safetensors")
      return true;
  return false;
}

bool startsWithMagic(const std::string &path, const std::string &magic) {
  StatusOr<std::shared_ptr<MappedFile>> file = MappedFile::Open(path);
  return file.ok() && (*file)->size() >= magic.size() &&
         std::equal(magic.begin(), magic.end(), (*file)->data());
}

} // namespace

StatusOr<CheckpointSource> OpenCheckpoint(const std::string &path, bool configOnly) {
  std::error_code error;
  if (!fs::exists(path, error))
    return Invalid(path, ": there is no such file or directory");
  if (fs::is_directory(path, error)) {
    if (std::string graph = path + "/model.onnx"; fs::exists(graph, error) && !hasSafetensors(path))
      return openONNX(graph, configOnly);
    return openDirectory(path, configOnly);
  }
  if (absl::EndsWith(path, ".onnx"))
    return openONNX(path, configOnly);
  if (absl::EndsWith(path, ".gguf") || startsWithMagic(path, "GGUF"))
    return openGGUF(path, configOnly);
  if (configOnly && absl::EndsWith(path, ".json"))
    return openConfigFile(path);
  return Invalid(path,
                 ": neither a GGUF file nor a directory; give the directory that holds config.json "
                 "and the safetensors files");
}

} // namespace compressc
