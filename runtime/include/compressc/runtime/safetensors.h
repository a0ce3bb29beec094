// safetensors files: a mapped reader that trusts nothing, and a writer that knows every size before
// the first byte and streams tensors in any order.
#pragma once

#include "compressc/runtime/status.h"
#include "compressc/runtime/tensor.h"
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace compressc {

/// A read-only mapped file.
class MappedFile {
public:
  static StatusOr<std::shared_ptr<MappedFile>> Open(const std::string &path);
  /// `bytes` bytes of a file from `offset` on, a multiple of regionAlignment; messages call it `name`.
  static StatusOr<std::shared_ptr<MappedFile>> OpenRegion(const std::string &path, int64_t offset, int64_t bytes,
                                                          const std::string &name);
  static constexpr int64_t regionAlignment = 65536; // the largest page of any Linux that we know
  ~MappedFile();
  const uint8_t *data() const { return base; }
  size_t size() const { return length; }
  const std::string &path() const { return name; }
  /// Differs for any other file, and after the file was written again.
  const std::string &identity() const { return fileIdentity; }

private:
  MappedFile() = default;
  const uint8_t *base = nullptr;
  size_t length = 0;
  std::string name, fileIdentity;
};

/// One tensor of a checkpoint. `dtype` is the file's own spelling ("F16", "I32", ...).
struct StoredTensor {
  std::string dtype;
  std::vector<int64_t> shape;
  const uint8_t *data = nullptr;
  int64_t bytes = 0;
  std::shared_ptr<MappedFile> file;
};

/// All tensors of a file, or of the shards of a directory (model.safetensors,
/// model.safetensors.index.json or *.safetensors), by name. Errors name the file and the tensor.
class SafetensorsReader {
public:
  static StatusOr<SafetensorsReader> OpenFile(const std::string &path);
  static StatusOr<SafetensorsReader> FromMapped(std::shared_ptr<MappedFile> file);
  static StatusOr<SafetensorsReader> OpenDirectory(const std::string &directory);

  const std::map<std::string, StoredTensor> &tensors() const { return entries; }
  /// Null when there is none of this name.
  const StoredTensor *find(const std::string &name) const;
  /// Bytes of the files on disk.
  int64_t fileBytes() const { return totalFileBytes; }

private:
  std::map<std::string, StoredTensor> entries;
  int64_t totalFileBytes = 0;
};

/// "F16" -> DType::F16 and back, for the plain types; nullopt for the rest.
std::optional<DType> DTypeFromSafetensors(std::string_view name);
std::string_view SafetensorsName(DType dtype);

/// Writes PATH.tmp, then fsyncs and renames it in finish(). Tensors lie in the order of `plan` made
/// canonical: descending alignment of dtype, then name; so the bytes do not depend on the caller's order.
class SafetensorsWriter {
public:
  struct Entry {
    std::string name;
    std::string dtype;
    std::vector<int64_t> shape;
    int64_t bytes;
  };
  static StatusOr<std::unique_ptr<SafetensorsWriter>>
  Create(const std::string &path, std::vector<Entry> plan,
         std::map<std::string, std::string> metadata = {{"format", "pt"}});
  /// The size of the file that Create() would write.
  static StatusOr<int64_t> FileBytes(const std::string &path, std::vector<Entry> plan,
                                     std::map<std::string, std::string> metadata = {{"format", "pt"}});
  ~SafetensorsWriter(); // removes the temporary file when finish() was not reached

  /// Writes the whole tensor. Each planned tensor must be written exactly once.
  Status write(const std::string &name, const void *data, int64_t bytes);
  Status finish();
  int64_t fileBytes() const;

private:
  struct Impl;
  explicit SafetensorsWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

/// Writes a small file atomically: temporary name in the same directory, fsync, rename.
Status WriteFileAtomically(const std::string &path, std::string_view contents);
/// Reads a small file; `limit` bounds the size that is accepted.
StatusOr<std::string> ReadFile(const std::string &path, size_t limit = size_t(1) << 30);
/// The same, decompressing gzip by its magic; `limit` bounds the decompressed size.
StatusOr<std::string> ReadTextFile(const std::string &path, size_t limit = size_t(4) << 30);

} // namespace compressc
