// GGUF version 3 files: metadata and tensors of a mapped file that is not trusted.
#pragma once

#include "compressc/runtime/safetensors.h"
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace compressc {

/// Integers of every width become int64_t. A 32-bit float becomes the double with the shortest
/// decimal form that still rounds to it, so that 1e-05 is written as 1e-05 again.
using GGUFValue = std::variant<bool, int64_t, double, std::string, std::vector<int64_t>,
                               std::vector<double>, std::vector<std::string>>;

struct GGUFTensor {
  std::string name;
  std::vector<int64_t> shape; // row-major: outermost dimension first, the reverse of the file
  uint32_t type = 0;          // ggml's number
  const uint8_t *data = nullptr;
  int64_t bytes = 0; // 0 for a type that we cannot read
};

class GGUFFile {
public:
  static StatusOr<GGUFFile> Open(const std::string &path);

  const std::string &path() const { return file->path(); }
  int64_t fileBytes() const { return int64_t(file->size()); }
  const std::shared_ptr<MappedFile> &mapping() const { return file; }

  const std::map<std::string, GGUFValue> &metadata() const { return values; }
  bool has(const std::string &key) const { return values.count(key) != 0; }
  /// The value, or an error that names file and key when it is missing or of another type.
  StatusOr<bool> getBool(const std::string &key) const;
  StatusOr<int64_t> getInt(const std::string &key) const;
  StatusOr<double> getFloat(const std::string &key) const; // finite; an integer is taken too
  StatusOr<std::string> getString(const std::string &key) const;
  StatusOr<std::vector<int64_t>> getInts(const std::string &key) const;
  StatusOr<std::vector<double>> getFloats(const std::string &key) const;
  StatusOr<std::vector<std::string>> getStrings(const std::string &key) const;

  /// In the order of the file.
  const std::vector<GGUFTensor> &tensors() const { return entries; }
  /// Null when there is none of this name.
  const GGUFTensor *find(const std::string &name) const;
  /// The type as the runtime knows it; an error for K-quants and whatever else it does not read.
  StatusOr<DType> dtype(const GGUFTensor &tensor) const;

private:
  GGUFFile() = default;
  std::shared_ptr<MappedFile> file;
  std::map<std::string, GGUFValue> values;
  std::vector<GGUFTensor> entries;
  std::map<std::string, size_t> indexOf;
};

} // namespace compressc
