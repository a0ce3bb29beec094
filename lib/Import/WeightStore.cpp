#include "compressc/Import/WeightStore.h"
#include "compressc/Formats/Formats.h"
#include "compressc/Import/GGUF.h"
#include "compressc/Import/ONNX.h"
#include "compressc/runtime/text.h"

namespace compressc {

/// Tensor views are not const because kernels write through some of them; these are only read, and
/// the mapping is read-only.
static Tensor viewOf(DType dtype, const std::vector<int64_t> &shape, const uint8_t *data) {
  Tensor tensor;
  tensor.dtype = dtype;
  tensor.shape = shape;
  tensor.data = const_cast<uint8_t *>(data);
  return tensor;
}

StatusOr<std::shared_ptr<WeightStore>> WeightStore::OpenDirectory(const std::string &directory) {
  COMPRESSC_ASSIGN_OR_RETURN(SafetensorsReader reader, SafetensorsReader::OpenDirectory(directory));
  auto store = std::make_shared<WeightStore>();
  store->source = directory;
  store->totalFileBytes = reader.fileBytes();
  store->add(reader, "");
  return store;
}

Status WeightStore::addFile(const std::string &path) {
  if (!files.insert(path).second)
    return absl::OkStatus();
  COMPRESSC_ASSIGN_OR_RETURN(SafetensorsReader reader, SafetensorsReader::OpenFile(path));
  add(reader, path + ":");
  return absl::OkStatus();
}

void WeightStore::add(const SafetensorsReader &reader, const std::string &prefix) {
  for (const auto &[name, stored] : reader.tensors()) {
    Entry &entry = entries[prefix + name];
    entry.owner = stored.file;
    StatusOr<Tensor> tensor = ReadPlainTensor(name, stored);
    if (tensor.ok())
      entry.tensor = *tensor;
    else
      entry.status = tensor.status();
  }
}

std::shared_ptr<WeightStore> WeightStore::FromGGUF(const GGUFFile &file) {
  auto store = std::make_shared<WeightStore>();
  store->source = file.path();
  store->totalFileBytes = file.fileBytes();
  for (const GGUFTensor &stored : file.tensors()) {
    Entry &entry = store->entries[stored.name];
    entry.owner = file.mapping();
    StatusOr<DType> dtype = file.dtype(stored);
    if (dtype.ok())
      entry.tensor = viewOf(*dtype, stored.shape, stored.data);
    else
      entry.status = dtype.status();
  }
  return store;
}

std::shared_ptr<WeightStore> WeightStore::FromONNX(const ONNXGraph &graph) {
  auto store = std::make_shared<WeightStore>();
  store->source = graph.path();
  store->totalFileBytes = graph.fileBytes();
  for (const ONNXValue &value : graph.values()) {
    if (!value.initializer)
      continue;
    const ONNXTensor &stored = *value.initializer;
    Entry &entry = store->entries[value.name];
    entry.owner = stored.owner;
    std::optional<DType> dtype = stored.type == ONNXType::F32    ? std::optional(DType::F32)
                                 : stored.type == ONNXType::F16  ? std::optional(DType::F16)
                                 : stored.type == ONNXType::BF16 ? std::optional(DType::BF16)
                                                                 : std::nullopt;
    if (dtype)
      entry.tensor = viewOf(*dtype, stored.shape, stored.data);
    else
      entry.status = Invalid(graph.path(), ": initialiser ", Quoted(value.name),
                             " is not of type F32, F16 or BF16, as weights must be");
  }
  return store;
}

StatusOr<const Tensor *> WeightStore::get(const std::string &key) const {
  auto it = entries.find(key);
  if (it == entries.end())
    return Invalid(source, ": there is no tensor ", Quoted(key));
  COMPRESSC_RETURN_IF_ERROR(it->second.status);
  return &it->second.tensor;
}

const Tensor *WeightStore::find(const std::string &key) const {
  auto it = entries.find(key);
  return it == entries.end() || !it->second.status.ok() ? nullptr : &it->second.tensor;
}

std::vector<std::string> WeightStore::keys() const {
  std::vector<std::string> result;
  for (const auto &[key, entry] : entries)
    result.push_back(key);
  return result;
}

} // namespace compressc
