#include "compressc/Import/ONNX.h"
#include "compressc/runtime/text.h"
#include <algorithm>
#include <cstring>

namespace compressc {

bool IsFloat(ONNXType type) {
  return type == ONNXType::F32 || type == ONNXType::F16 || type == ONNXType::BF16 ||
         type == ONNXType::F64;
}

int64_t ONNXTypeSize(ONNXType type) {
  switch (type) {
  case ONNXType::Bool:
    return 1;
  case ONNXType::F16:
  case ONNXType::BF16:
    return 2;
  case ONNXType::F32:
  case ONNXType::I32:
    return 4;
  case ONNXType::I64:
  case ONNXType::F64:
    return 8;
  }
  return 0;
}

int64_t ONNXTensor::elements() const {
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  return count;
}

namespace {
/// The data may lie at any address.
template <typename T> T load(const uint8_t *data, int64_t index) {
  T value;
  std::memcpy(&value, data + index * int64_t(sizeof(T)), sizeof(T));
  return value;
}

template <typename T>
const T *attributeOf(const std::map<std::string, ONNXAttribute> &attributes,
                     const std::string &key) {
  auto it = attributes.find(key);
  return it == attributes.end() ? nullptr : std::get_if<T>(&it->second);
}
} // namespace

double ONNXTensor::at(int64_t index) const {
  switch (type) {
  case ONNXType::F32:
    return load<float>(data, index);
  case ONNXType::F64:
    return load<double>(data, index);
  case ONNXType::I32:
    return load<int32_t>(data, index);
  case ONNXType::I64:
    return double(load<int64_t>(data, index));
  case ONNXType::Bool:
    return data[index] != 0;
  case ONNXType::F16:
    return HalfToFloat(load<uint16_t>(data, index));
  case ONNXType::BF16:
    return BFloat16ToFloat(load<uint16_t>(data, index));
  }
  return 0;
}

bool ONNXNode::isOneOf(std::initializer_list<std::string_view> ops) const {
  return std::find(ops.begin(), ops.end(), op) != ops.end();
}

int64_t ONNXNode::getInt(const std::string &key, int64_t fallback) const {
  auto *value = attributeOf<int64_t>(attributes, key);
  return value ? *value : fallback;
}

double ONNXNode::getFloat(const std::string &key, double fallback) const {
  auto *value = attributeOf<double>(attributes, key);
  return value ? *value : fallback;
}

std::string ONNXNode::getString(const std::string &key, const std::string &fallback) const {
  auto *value = attributeOf<std::string>(attributes, key);
  return value ? *value : fallback;
}

std::vector<int64_t> ONNXNode::getInts(const std::string &key) const {
  auto *value = attributeOf<std::vector<int64_t>>(attributes, key);
  return value ? *value : std::vector<int64_t>();
}

std::string ONNXGraph::describe(const ONNXNode &node) const {
  // A node needs no name, what it makes has one.
  const std::string &name = node.name.empty() ? allValues[node.outputs.front()].name : node.name;
  return absl::StrCat("node ", Quoted(name), " (", node.op, ")");
}

std::string ONNXGraph::describe(int value) const {
  if (value < 0)
    return "a missing input";
  int producer = allValues[value].producer;
  return producer < 0 ? "value " + Quoted(allValues[value].name) : describe(allNodes[producer]);
}

} // namespace compressc
