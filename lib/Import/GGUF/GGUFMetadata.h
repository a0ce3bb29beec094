// Metadata of a GGUF file, checked: what the families read.
#pragma once

#include "compressc/Import/GGUF.h"
#include "lib/Import/HuggingFace/ConfigFields.h"
#include <initializer_list>

namespace compressc {

class GGUFMetadata {
public:
  /// Keys are `{architecture}.{name}`.
  GGUFMetadata(const GGUFFile &file, const std::string &architecture)
      : file(file), prefix(architecture + ".") {}

  std::string key(const char *name) const { return prefix + name; }
  bool has(const char *name) const { return file.has(key(name)); }

  /// A size: 1 to 2^31.
  StatusOr<int64_t> positive(const char *name) const;
  StatusOr<double> positiveFloat(const char *name) const;
  /// The head dimension, the same for keys and values and even.
  StatusOr<int64_t> headDim(int64_t hidden, int64_t heads) const;
  /// The rows of the embedding; the metadata only counts for a file without tensors.
  StatusOr<int64_t> vocabularySize(int64_t hidden) const;
  /// Whether the linears `modules` of the layers have biases: all of them or none.
  StatusOr<bool> hasBias(std::initializer_list<const char *> modules) const;
  /// Settings that change what the model computes, but for those that the family reads: to ignore
  /// one would give a model that runs and is wrong.
  Status checkNothingElse(std::initializer_list<const char *> read) const;

  /// The token id under `key`; nullopt when the file has none.
  StatusOr<std::optional<int64_t>> tokenId(const char *key) const;
  /// Adds bos_token_id, eos_token_id and pad_token_id as far as the file has them.
  Status addTokenIds(ConfigJson &json) const;

  const GGUFFile &file;

private:
  StatusOr<int64_t> integer(const char *name) const;

  std::string prefix;
};

} // namespace compressc
