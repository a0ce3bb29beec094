// The tensors of a checkpoint, mapped and never copied.
#pragma once

#include "compressc/runtime/safetensors.h"
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace compressc {

class GGUFFile;
class ONNXGraph;

/// Tensors by key: the name that the file gives them. Plain F32, F16 and BF16, and GGUF blocks; a
/// tensor of another type is an error only for who asks for it. Keeps the files mapped.
class WeightStore {
public:
  /// The safetensors files of a Hugging Face directory.
  static StatusOr<std::shared_ptr<WeightStore>> OpenDirectory(const std::string &directory);
  static std::shared_ptr<WeightStore> FromGGUF(const GGUFFile &file);
  /// The initialisers of a graph; external data stays mapped.
  static std::shared_ptr<WeightStore> FromONNX(const ONNXGraph &graph);

  /// Adds the tensors of a safetensors file under PATH:NAME; nothing if they are there already.
  Status addFile(const std::string &path);

  /// The tensor; an error that names file and tensor when there is none or its type is not
  /// supported.
  StatusOr<const Tensor *> get(const std::string &key) const;
  /// The same, null in place of an error.
  const Tensor *find(const std::string &key) const;
  bool contains(const std::string &key) const { return entries.count(key) != 0; }
  /// In order of the alphabet.
  std::vector<std::string> keys() const;

  /// The directory or file, for messages.
  const std::string &path() const { return source; }
  /// Bytes of the files on disk.
  int64_t fileBytes() const { return totalFileBytes; }

private:
  struct Entry {
    Status status; // why the tensor can't be read
    Tensor tensor;
    std::shared_ptr<const void> owner; // a mapped file, or memory
  };

  void add(const SafetensorsReader &reader, const std::string &prefix);

  std::string source;
  std::set<std::string> files; // of addFile
  int64_t totalFileBytes = 0;
  std::map<std::string, Entry> entries;
};

} // namespace compressc
