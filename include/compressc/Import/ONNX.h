// ONNX files: a graph and its initialisers, of a file that is not trusted.
#pragma once

#include "compressc/runtime/safetensors.h"
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace compressc {

/// The element types that are read, with the schema's numbers.
enum class ONNXType : int32_t { F32 = 1, I32 = 6, I64 = 7, Bool = 9, F16 = 10, F64 = 11, BF16 = 16 };

bool IsFloat(ONNXType type);
/// Bytes of an element.
int64_t ONNXTypeSize(ONNXType type);

/// Values of a constant, little-endian, row-major.
struct ONNXTensor {
  ONNXType type = ONNXType::F32;
  std::vector<int64_t> shape;
  const uint8_t *data = nullptr;
  std::shared_ptr<const void> owner; // keeps the data: a mapped file, or memory

  int64_t elements() const;
  /// One element as a double; integers beyond 2^53 lose digits.
  double at(int64_t index) const;
};

using ONNXAttribute = std::variant<int64_t, double, std::string, std::vector<int64_t>,
                                   std::vector<double>, std::shared_ptr<const ONNXTensor>>;

/// Values are numbers; their names are kept for messages only.
struct ONNXNode {
  std::string op; // of the default domain
  std::string name;
  std::vector<int> inputs; // -1 where an optional input is left out
  std::vector<int> outputs;
  std::map<std::string, ONNXAttribute> attributes;

  bool isOneOf(std::initializer_list<std::string_view> ops) const;
  int64_t getInt(const std::string &key, int64_t fallback) const;
  double getFloat(const std::string &key, double fallback) const;
  std::string getString(const std::string &key, const std::string &fallback) const;
  std::vector<int64_t> getInts(const std::string &key) const; // empty when it is missing
};

struct ONNXValue {
  std::string name;
  int producer = -1; // the node that makes it
  std::shared_ptr<const ONNXTensor> initializer;
};

struct ONNXInput {
  int value;
  ONNXType type;
  std::vector<int64_t> shape; // -1 for a dimension that is not fixed
};

/// A model of the default operator set, version 23. Nodes come in an order in which every value is
/// made before it is used, each by one node.
class ONNXGraph {
public:
  static StatusOr<ONNXGraph> Open(const std::string &path);

  const std::string &path() const { return file; }
  int64_t fileBytes() const { return totalBytes; } // external data included
  const std::vector<ONNXNode> &nodes() const { return allNodes; }
  const std::vector<ONNXValue> &values() const { return allValues; }
  const std::vector<ONNXInput> &inputs() const { return allInputs; }
  const std::vector<int> &outputs() const { return allOutputs; }

  /// "node 'n' (Softmax)", or the value's name when no node makes it.
  std::string describe(int value) const;
  std::string describe(const ONNXNode &node) const;

private:
  friend class ONNXReader;
  ONNXGraph() = default;
  std::string file;
  int64_t totalBytes = 0;
  std::vector<ONNXNode> allNodes;
  std::vector<ONNXValue> allValues;
  std::vector<ONNXInput> allInputs;
  std::vector<int> allOutputs;
};

} // namespace compressc
