// From the protobuf message to an ONNXGraph, with everything checked that later steps rely on.
#include "compressc/Import/ONNX.h"
#include "compressc/runtime/text.h"
#include "onnx.pb.h"
#include <climits>
#include <cstring>
#include <filesystem>
#include <unordered_map>

namespace compressc {

namespace fs = std::filesystem;

namespace {

constexpr int64_t operatorSet = 23;
constexpr int64_t mostElements = int64_t(1) << 40;

std::optional<ONNXType> typeOf(int32_t number) {
  switch (ONNXType type = ONNXType(number); type) {
  case ONNXType::F32:
  case ONNXType::I32:
  case ONNXType::I64:
  case ONNXType::Bool:
  case ONNXType::F16:
  case ONNXType::F64:
  case ONNXType::BF16:
    return type;
  }
  return std::nullopt;
}

/// A decimal number of an external-data entry.
std::optional<int64_t> parseCount(const std::string &text) {
  if (text.empty() || text.size() > 18 || text.find_first_not_of("0123456789") != std::string::npos)
    return std::nullopt;
  return std::stoll(text);
}

template <typename Stored, typename Values> std::string packed(const Values &values) {
  std::string bytes(values.size() * sizeof(Stored), '\0');
  for (int i = 0; i < values.size(); ++i) {
    Stored value = Stored(values.Get(i));
    std::memcpy(bytes.data() + size_t(i) * sizeof(Stored), &value, sizeof(Stored));
  }
  return bytes;
}

/// The values of a tensor that has no raw bytes.
std::string typedData(const onnx::TensorProto &tensor, ONNXType type) {
  switch (type) {
  case ONNXType::F32:
    return packed<float>(tensor.float_data());
  case ONNXType::F64:
    return packed<double>(tensor.double_data());
  case ONNXType::I64:
    return packed<int64_t>(tensor.int64_data());
  case ONNXType::I32:
    return packed<int32_t>(tensor.int32_data());
  case ONNXType::Bool:
    return packed<uint8_t>(tensor.int32_data());
  case ONNXType::F16:
  case ONNXType::BF16:
    return packed<uint16_t>(tensor.int32_data());
  }
  return {};
}

} // namespace

class ONNXReader {
public:
  explicit ONNXReader(const std::string &path) { graph.file = path; }
  StatusOr<ONNXGraph> read();

private:
  template <typename... Args> Status error(const Args &...args) {
    return Invalid(graph.file, ": ", args...);
  }
  Status checkVersions(const onnx::ModelProto &model);
  Status addInitializers(onnx::GraphProto &proto);
  Status addInputs(const onnx::GraphProto &proto);
  Status addNodes(onnx::GraphProto &proto);
  Status addOutputs(const onnx::GraphProto &proto);
  StatusOr<std::shared_ptr<const ONNXTensor>> readTensor(onnx::TensorProto &tensor,
                                                         const std::string &what);
  Status readExternal(const onnx::TensorProto &proto, const std::string &what, int64_t bytes,
                      ONNXTensor &tensor);
  StatusOr<ONNXAttribute> readAttribute(onnx::AttributeProto &attribute, const ONNXNode &node);
  /// The new value's number; an error when the name is taken.
  StatusOr<int> define(const std::string &name);
  StatusOr<ONNXNode> readNode(onnx::NodeProto &proto);

  ONNXGraph graph;
  std::unordered_map<std::string, int> numberOf;
  std::map<std::string, std::shared_ptr<MappedFile>> dataFiles;
};

StatusOr<int> ONNXReader::define(const std::string &name) {
  int number = int(graph.allValues.size());
  if (!numberOf.emplace(name, number).second)
    return error("the value ", Quoted(name), " is defined twice");
  graph.allValues.push_back({name, -1, nullptr});
  return number;
}

Status ONNXReader::checkVersions(const onnx::ModelProto &model) {
  if (!model.has_graph())
    return error("not an ONNX model: it has no graph");
  if (model.functions_size())
    return error("the model has functions of its own, which is not supported: export it without");
  for (const onnx::OperatorSetIdProto &set : model.opset_import())
    if (set.domain().empty() || set.domain() == "ai.onnx") {
      if (set.version() != operatorSet)
        return error("operator set ", set.version(),
                     " is not supported; export with opset_version=", operatorSet);
      return absl::OkStatus();
    }
  return error("the model names no version of the default operator set");
}

Status ONNXReader::readExternal(const onnx::TensorProto &proto, const std::string &what,
                                int64_t bytes, ONNXTensor &tensor) {
  std::map<std::string, std::string> entries;
  for (const onnx::StringStringEntryProto &entry : proto.external_data())
    entries[entry.key()] = entry.value();
  const std::string &location = entries["location"];
  std::optional<int64_t> offset = parseCount(entries.count("offset") ? entries["offset"] : "0");
  std::optional<int64_t> length =
      parseCount(entries.count("length") ? entries["length"] : std::to_string(bytes));
  if (!offset || !length)
    return error(what, ": offset and length of its external data must be numbers");
  if (*length != bytes)
    return error(what, ": ", *length, " bytes of external data for a tensor of ", bytes);
  if (*offset % ONNXTypeSize(tensor.type))
    return error(what, ": its external data is not aligned: offset ", *offset);

  fs::path relative(location);
  bool inside =
      !location.empty() && location.find('\0') == std::string::npos && relative.is_relative();
  for (const fs::path &part : relative)
    inside = inside && part != "..";
  std::error_code failure;
  fs::path folder = fs::weakly_canonical(fs::absolute(graph.file).parent_path(), failure);
  fs::path whole = fs::weakly_canonical(folder / relative, failure);
  // A link may lead out of the folder too.
  inside =
      inside && !failure &&
      std::mismatch(folder.begin(), folder.end(), whole.begin(), whole.end()).first == folder.end();
  if (!inside)
    return error(what, ": its external data ", Quoted(location),
                 " does not lie in the model's folder");

  std::shared_ptr<MappedFile> &file = dataFiles[whole.string()];
  if (!file) {
    if (!fs::is_regular_file(whole, failure))
      return error(what, ": there is no external data file ", Quoted(location));
    COMPRESSC_ASSIGN_OR_RETURN(file, MappedFile::Open(whole.string()));
    graph.totalBytes += int64_t(file->size());
  }
  if (uint64_t(*offset) > file->size() || uint64_t(bytes) > file->size() - uint64_t(*offset))
    return error(what, ": bytes ", *offset, " to ", *offset + bytes, " lie outside of ",
                 Quoted(location), " of ", file->size(), " bytes");
  tensor.data = file->data() + *offset;
  tensor.owner = file;
  return absl::OkStatus();
}

StatusOr<std::shared_ptr<const ONNXTensor>> ONNXReader::readTensor(onnx::TensorProto &proto,
                                                                   const std::string &what) {
  auto tensor = std::make_shared<ONNXTensor>();
  std::optional<ONNXType> type = typeOf(proto.data_type());
  if (!type)
    return error(what, ": element type ", proto.data_type(), " of the schema is not supported");
  tensor->type = *type;
  int64_t elements = 1;
  for (int64_t size : proto.dims()) {
    if (size < 0 || (size > 0 && elements > mostElements / size))
      return error(what, ": impossible shape");
    elements *= size;
    tensor->shape.push_back(size);
  }
  int64_t bytes = elements * ONNXTypeSize(*type);
  if (proto.has_segment())
    return error(what, ": stored in segments, which is not supported");
  if (proto.data_location() == onnx::TensorProto::EXTERNAL) {
    COMPRESSC_RETURN_IF_ERROR(readExternal(proto, what, bytes, *tensor));
    return tensor;
  }
  auto owner = std::make_shared<std::string>(
      proto.has_raw_data() ? std::move(*proto.mutable_raw_data()) : typedData(proto, *type));
  if (int64_t(owner->size()) != bytes)
    return error(what, ": ", owner->size(), " bytes for a tensor of ", bytes);
  tensor->data = reinterpret_cast<const uint8_t *>(owner->data());
  tensor->owner = owner;
  return tensor;
}

Status ONNXReader::addInitializers(onnx::GraphProto &proto) {
  if (proto.sparse_initializer_size())
    return error("sparse initialisers are not supported");
  for (onnx::TensorProto &tensor : *proto.mutable_initializer()) {
    COMPRESSC_ASSIGN_OR_RETURN(int number, define(tensor.name()));
    COMPRESSC_ASSIGN_OR_RETURN(graph.allValues[number].initializer,
                               readTensor(tensor, "initialiser " + Quoted(tensor.name())));
  }
  return absl::OkStatus();
}

Status ONNXReader::addInputs(const onnx::GraphProto &proto) {
  for (const onnx::ValueInfoProto &info : proto.input()) {
    if (numberOf.count(info.name())) // older writers list initialisers among the inputs
      continue;
    const onnx::TypeProto_Tensor &tensor = info.type().tensor_type();
    std::optional<ONNXType> type = typeOf(tensor.elem_type());
    if (!type)
      return error("input ", Quoted(info.name()), " is not a tensor of a supported type");
    COMPRESSC_ASSIGN_OR_RETURN(int number, define(info.name()));
    ONNXInput &input = graph.allInputs.emplace_back();
    input = {number, *type, {}};
    for (const onnx::TensorShapeProto_Dimension &size : tensor.shape().dim())
      input.shape.push_back(size.has_dim_value() ? size.dim_value() : -1);
  }
  return absl::OkStatus();
}

StatusOr<ONNXAttribute> ONNXReader::readAttribute(onnx::AttributeProto &attribute,
                                                  const ONNXNode &node) {
  switch (attribute.type()) {
  case onnx::AttributeProto::INT:
    return ONNXAttribute(int64_t(attribute.i()));
  case onnx::AttributeProto::FLOAT:
    return ONNXAttribute(double(attribute.f()));
  case onnx::AttributeProto::STRING:
    return ONNXAttribute(attribute.s());
  case onnx::AttributeProto::INTS:
    return ONNXAttribute(std::vector<int64_t>(attribute.ints().begin(), attribute.ints().end()));
  case onnx::AttributeProto::FLOATS:
    return ONNXAttribute(std::vector<double>(attribute.floats().begin(), attribute.floats().end()));
  case onnx::AttributeProto::TENSOR: {
    COMPRESSC_ASSIGN_OR_RETURN(
        auto tensor, readTensor(*attribute.mutable_t(), "attribute " + Quoted(attribute.name()) +
                                                            " of a node (" + node.op + ")"));
    return ONNXAttribute(std::move(tensor));
  }
  default:
    return error("attribute ", Quoted(attribute.name()), " of node ", Quoted(node.name), " (",
                 node.op, ") has a type that is not supported");
  }
}

StatusOr<ONNXNode> ONNXReader::readNode(onnx::NodeProto &proto) {
  ONNXNode node;
  node.op = proto.op_type();
  node.name = proto.name();
  std::string what = "node " + Quoted(node.name) + " (" + node.op + ")";
  if (!proto.domain().empty() && proto.domain() != "ai.onnx")
    return error(what, ": the operator set ", Quoted(proto.domain()), " is not supported");
  for (const std::string &name : proto.input()) {
    auto it = numberOf.find(name);
    if (!name.empty() && it == numberOf.end())
      return error(what, " reads ", Quoted(name),
                   ", which nothing before it makes: an initialiser is missing, or the nodes form "
                   "a cycle or are out of order");
    node.inputs.push_back(name.empty() ? -1 : it->second);
  }
  for (onnx::AttributeProto &attribute : *proto.mutable_attribute()) {
    COMPRESSC_ASSIGN_OR_RETURN(ONNXAttribute value, readAttribute(attribute, node));
    node.attributes.emplace(attribute.name(), std::move(value));
  }
  for (const std::string &name : proto.output()) {
    if (name.empty()) {
      node.outputs.push_back(-1);
      continue;
    }
    COMPRESSC_ASSIGN_OR_RETURN(int number, define(name));
    graph.allValues[number].producer = int(graph.allNodes.size());
    node.outputs.push_back(number);
  }
  if (node.outputs.empty() || node.outputs.front() < 0)
    return error(what, " has no output");
  return node;
}

Status ONNXReader::addNodes(onnx::GraphProto &proto) {
  for (onnx::NodeProto &nodeProto : *proto.mutable_node()) {
    COMPRESSC_ASSIGN_OR_RETURN(ONNXNode node, readNode(nodeProto));
    // A constant is an initialiser by another name.
    auto value = node.attributes.find("value");
    if (node.op == "Constant" && value != node.attributes.end() && node.outputs.size() == 1)
      if (auto *tensor = std::get_if<std::shared_ptr<const ONNXTensor>>(&value->second)) {
        graph.allValues[node.outputs.front()].producer = -1;
        graph.allValues[node.outputs.front()].initializer = *tensor;
        continue;
      }
    graph.allNodes.push_back(std::move(node));
  }
  return absl::OkStatus();
}

Status ONNXReader::addOutputs(const onnx::GraphProto &proto) {
  for (const onnx::ValueInfoProto &info : proto.output()) {
    auto it = numberOf.find(info.name());
    if (it == numberOf.end())
      return error("nothing makes the output ", Quoted(info.name()));
    graph.allOutputs.push_back(it->second);
  }
  return absl::OkStatus();
}

StatusOr<ONNXGraph> ONNXReader::read() {
  COMPRESSC_ASSIGN_OR_RETURN(std::shared_ptr<MappedFile> file, MappedFile::Open(graph.file));
  graph.totalBytes = int64_t(file->size());
  if (file->size() > size_t(INT_MAX))
    return error("larger than the 2 GiB of a protobuf message: export with external data");
  onnx::ModelProto model;
  if (!model.ParseFromArray(file->data(), int(file->size())))
    return error("truncated, or not an ONNX file");
  COMPRESSC_RETURN_IF_ERROR(checkVersions(model));
  onnx::GraphProto &proto = *model.mutable_graph();
  COMPRESSC_RETURN_IF_ERROR(addInitializers(proto));
  COMPRESSC_RETURN_IF_ERROR(addInputs(proto));
  COMPRESSC_RETURN_IF_ERROR(addNodes(proto));
  COMPRESSC_RETURN_IF_ERROR(addOutputs(proto));
  return std::move(graph);
}

StatusOr<ONNXGraph> ONNXGraph::Open(const std::string &path) { return ONNXReader(path).read(); }

} // namespace compressc
