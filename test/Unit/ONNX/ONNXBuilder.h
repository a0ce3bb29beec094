// Writes ONNX files field by field, with nothing of the generated schema code: what is read must be
// what the format says.
#pragma once

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <vector>

namespace compressc {

/// A protobuf message.
class Message {
public:
  Message &number(int field, int64_t value) {
    varint(uint64_t(field) << 3);
    varint(uint64_t(value));
    return *this;
  }
  Message &real(int field, float value) {
    varint(uint64_t(field) << 3 | 5);
    bytes.append(reinterpret_cast<const char *>(&value), sizeof value);
    return *this;
  }
  Message &text(int field, const std::string &value) {
    varint(uint64_t(field) << 3 | 2);
    varint(value.size());
    bytes += value;
    return *this;
  }
  Message &message(int field, const Message &value) { return text(field, value.bytes); }

  std::string bytes;

private:
  void varint(uint64_t value) {
    for (; value >= 128; value >>= 7)
      bytes += char(value | 128);
    bytes += char(value);
  }
};

template <typename T> std::string rawBytes(const std::vector<T> &values) {
  return {reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T)};
}

inline Message intAttribute(const std::string &name, int64_t value) {
  return Message().text(1, name).number(3, value).number(20, 2);
}
inline Message intsAttribute(const std::string &name, std::initializer_list<int64_t> values) {
  Message result = Message().text(1, name).number(20, 7);
  for (int64_t value : values)
    result.number(8, value);
  return result;
}

class ONNXBuilder {
public:
  static constexpr int f32 = 1, i32 = 6, i64 = 7, boolean = 9;

  static Message tensor(const std::string &name, int type, const std::vector<int64_t> &shape) {
    Message result = Message().number(2, type).text(8, name);
    for (int64_t size : shape)
      result.number(1, size);
    return result;
  }

  ONNXBuilder &initializer(const Message &tensor) {
    graph.message(5, tensor);
    return *this;
  }
  ONNXBuilder &ints(const std::string &name, const std::vector<int64_t> &shape,
                    const std::vector<int64_t> &values) {
    return initializer(tensor(name, i64, shape).text(9, rawBytes(values)));
  }
  ONNXBuilder &floats(const std::string &name, const std::vector<int64_t> &shape,
                      const std::vector<float> &values) {
    return initializer(tensor(name, f32, shape).text(9, rawBytes(values)));
  }
  ONNXBuilder &node(const std::string &op, std::initializer_list<std::string> inputs,
                    std::initializer_list<std::string> outputs,
                    std::initializer_list<Message> attributes = {}) {
    Message node = Message().text(4, op);
    for (const std::string &input : inputs)
      node.text(1, input);
    for (const std::string &output : outputs)
      node.text(2, output);
    for (const Message &attribute : attributes)
      node.message(5, attribute);
    graph.message(1, node);
    return *this;
  }
  /// [batch, sequence], both of any size.
  ONNXBuilder &input(const std::string &name, int type = i64) {
    Message shape =
        Message().message(1, Message().text(2, "batch")).message(1, Message().text(2, "sequence"));
    graph.message(11, Message().text(1, name).message(
                          2, Message().message(1, Message().number(1, type).message(2, shape))));
    return *this;
  }
  ONNXBuilder &output(const std::string &name) {
    graph.message(12, Message().text(1, name));
    return *this;
  }

  std::string build(int64_t operatorSet = 23) const {
    return Message()
        .number(1, 10)
        .message(7, graph)
        .message(8, Message().number(2, operatorSet))
        .bytes;
  }

private:
  Message graph;
};

} // namespace compressc
