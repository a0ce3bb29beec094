// Makes GGUF bytes by hand, right ones and wrong ones.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace compressc {

class GGUFBuilder {
public:
  enum Type : uint32_t {
    U8 = 0,
    I8 = 1,
    U16 = 2,
    I16 = 3,
    U32 = 4,
    I32 = 5,
    F32 = 6,
    Bool = 7,
    String = 8,
    Array = 9,
    U64 = 10,
    I64 = 11,
    F64 = 12
  };

  template <typename T> static std::string raw(T value) {
    std::string bytes(sizeof(T), '\0');
    std::memcpy(bytes.data(), &value, sizeof(T));
    return bytes;
  }
  static std::string text(const std::string &value) { return raw(uint64_t(value.size())) + value; }

  GGUFBuilder &value(const std::string &key, uint32_t type, const std::string &bytes) {
    values.emplace_back(key, raw(type) + bytes);
    return *this;
  }
  GGUFBuilder &integer(const std::string &key, uint32_t number) {
    return value(key, U32, raw(number));
  }
  GGUFBuilder &number(const std::string &key, float number) { return value(key, F32, raw(number)); }
  GGUFBuilder &flag(const std::string &key, bool on) { return value(key, Bool, raw(uint8_t(on))); }
  GGUFBuilder &string(const std::string &key, const std::string &value_) {
    return value(key, String, text(value_));
  }
  GGUFBuilder &list(const std::string &key, uint32_t type, uint64_t count,
                    const std::string &items) {
    return value(key, Array, raw(type) + raw(count) + items);
  }
  GGUFBuilder &strings(const std::string &key, const std::vector<std::string> &items) {
    std::string bytes;
    for (const std::string &item : items)
      bytes += text(item);
    return list(key, String, items.size(), bytes);
  }
  GGUFBuilder &integers(const std::string &key, const std::vector<int32_t> &items) {
    std::string bytes;
    for (int32_t item : items)
      bytes += raw(item);
    return list(key, I32, items.size(), bytes);
  }
  /// The last value of this key is taken out.
  GGUFBuilder &remove(const std::string &key) {
    for (size_t i = values.size(); i-- > 0;)
      if (values[i].first == key) {
        values.erase(values.begin() + int64_t(i));
        break;
      }
    return *this;
  }

  /// `dims` as in the file, innermost first.
  GGUFBuilder &tensor(const std::string &name, const std::vector<uint64_t> &dims, uint32_t type,
                      const std::string &bytes) {
    data.resize((data.size() + alignment - 1) / alignment * alignment);
    return tensorAt(name, dims, type, data.size(), bytes);
  }
  GGUFBuilder &tensorAt(const std::string &name, const std::vector<uint64_t> &dims, uint32_t type,
                        uint64_t offset, const std::string &bytes) {
    std::string info = text(name) + raw(uint32_t(dims.size()));
    for (uint64_t dim : dims)
      info += raw(dim);
    infos.push_back(info + raw(type) + raw(offset));
    data += bytes;
    return *this;
  }

  std::string build() const {
    std::string bytes =
        "GGUF" + raw(version) + raw(uint64_t(infos.size())) + raw(uint64_t(values.size()));
    for (const auto &[key, value] : values)
      bytes += text(key) + value;
    for (const std::string &info : infos)
      bytes += info;
    if (!infos.empty())
      bytes.resize((bytes.size() + alignment - 1) / alignment * alignment);
    return bytes + data;
  }

  uint32_t version = 3;
  size_t alignment = 32;

private:
  std::vector<std::pair<std::string, std::string>> values;
  std::vector<std::string> infos;
  std::string data;
};

} // namespace compressc
