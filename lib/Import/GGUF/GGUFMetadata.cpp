#include "GGUFMetadata.h"
#include "compressc/runtime/text.h"
#include <algorithm>

namespace compressc {

/// Some writers give one number for each layer; all must agree then.
StatusOr<int64_t> GGUFMetadata::integer(const char *name) const {
  auto it = file.metadata().find(key(name));
  if (it != file.metadata().end())
    if (auto *list = std::get_if<std::vector<int64_t>>(&it->second)) {
      bool equal = !list->empty() && std::all_of(list->begin(), list->end(), [&](int64_t value) {
        return value == list->front();
      });
      if (!equal)
        return Invalid(file.path(), ": metadata ", Quoted(key(name)),
                       " differs from layer to layer, which is not supported");
      return list->front();
    }
  return file.getInt(key(name));
}

StatusOr<int64_t> GGUFMetadata::positive(const char *name) const {
  constexpr int64_t largest = int64_t(1) << 31;
  COMPRESSC_ASSIGN_OR_RETURN(int64_t value, integer(name));
  if (value < 1 || value > largest)
    return Invalid(file.path(), ": metadata ", Quoted(key(name)), " is ", value, "; 1 to ",
                   largest, " are possible");
  return value;
}

StatusOr<double> GGUFMetadata::positiveFloat(const char *name) const {
  COMPRESSC_ASSIGN_OR_RETURN(double value, file.getFloat(key(name)));
  if (!(value > 0))
    return Invalid(file.path(), ": metadata ", Quoted(key(name)), " must be positive");
  return value;
}

Status GGUFMetadata::checkNothingElse(std::initializer_list<const char *> read) const {
  for (const char *name :
       {"expert_count", "attention.sliding_window", "attention.scale", "attention.clamp_kqv",
        "attention.max_alibi_bias", "embedding_scale", "residual_scale", "logit_scale",
        "use_parallel_residual", "attn_logit_softcapping", "final_logit_softcapping"}) {
    if (std::find(read.begin(), read.end(), std::string_view(name)) != read.end())
      continue;
    auto it = file.metadata().find(key(name));
    if (it == file.metadata().end())
      continue;
    const GGUFValue &value = it->second;
    bool off =
        value == GGUFValue(false) || value == GGUFValue(int64_t(0)) || value == GGUFValue(0.0);
    if (!off)
      return Invalid(file.path(), ": metadata ", Quoted(key(name)), " is not supported");
  }
  auto causal = file.metadata().find(key("attention.causal"));
  if (causal != file.metadata().end() && causal->second == GGUFValue(false))
    return Invalid(file.path(), ": the model's attention is not causal, which is not supported");
  auto parts = file.metadata().find("split.count");
  if (parts != file.metadata().end() && !(parts->second == GGUFValue(int64_t(0))) &&
      !(parts->second == GGUFValue(int64_t(1))))
    return Invalid(file.path(), ": one part of a split model; merge the parts into one file first");
  return absl::OkStatus();
}

StatusOr<bool> GGUFMetadata::hasBias(std::initializer_list<const char *> modules) const {
  COMPRESSC_ASSIGN_OR_RETURN(int64_t layers, positive("block_count"));
  int64_t found = 0;
  std::string missing;
  for (int64_t layer = 0; layer < layers; ++layer)
    for (const char *module : modules) {
      std::string name = absl::StrCat("blk.", layer, ".", module, ".bias");
      if (file.find(name))
        ++found;
      else
        missing = name;
    }
  if (found == 0 || missing.empty())
    return found != 0;
  return Invalid(file.path(), ": tensor ", Quoted(missing),
                 " is missing although others of its kind are there");
}

StatusOr<int64_t> GGUFMetadata::headDim(int64_t hidden, int64_t heads) const {
  int64_t dim = hidden / heads;
  if (has("attention.key_length")) {
    COMPRESSC_ASSIGN_OR_RETURN(dim, positive("attention.key_length"));
  } else if (hidden % heads != 0) {
    return Invalid(file.path(), ": the embedding length ", hidden, " is not a multiple of the ",
                   heads, " heads");
  }
  for (const char *name : {"attention.value_length", "rope.dimension_count"})
    if (has(name)) {
      COMPRESSC_ASSIGN_OR_RETURN(int64_t length, positive(name));
      if (length != dim)
        return Invalid(file.path(), ": metadata ", Quoted(key(name)), " is ", length,
                       "; only the head dimension, ", dim, ", is supported");
    }
  if (dim % 2 != 0)
    return Invalid(file.path(), ": the head dimension ", dim, " is odd");
  return dim;
}

StatusOr<int64_t> GGUFMetadata::vocabularySize(int64_t hidden) const {
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<std::string> tokens,
                             file.getStrings("tokenizer.ggml.tokens"));
  const GGUFTensor *embedding = file.find("token_embd.weight");
  if (!embedding && !file.tensors().empty())
    return Invalid(file.path(), ": tensor 'token_embd.weight' is missing");
  int64_t size = int64_t(tokens.size());
  if (embedding) {
    if (embedding->shape.size() != 2 || embedding->shape[1] != hidden)
      return Invalid(file.path(), ": tensor 'token_embd.weight' must be a matrix with rows of ",
                     hidden);
    size = embedding->shape[0];
  } else if (has("vocab_size")) {
    COMPRESSC_ASSIGN_OR_RETURN(size, positive("vocab_size"));
  }
  if (size < int64_t(tokens.size()))
    return Invalid(file.path(), ": ", tokens.size(), " tokens but an embedding of only ", size,
                   " rows");
  return size;
}

StatusOr<std::optional<int64_t>> GGUFMetadata::tokenId(const char *key) const {
  if (!file.has(key))
    return std::optional<int64_t>();
  COMPRESSC_ASSIGN_OR_RETURN(int64_t id, file.getInt(key));
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<std::string> tokens,
                             file.getStrings("tokenizer.ggml.tokens"));
  if (id < 0 || id >= int64_t(tokens.size()))
    return Invalid(file.path(), ": metadata ", Quoted(key), " is ", id, " but there are ",
                   tokens.size(), " tokens");
  return std::optional<int64_t>(id);
}

Status GGUFMetadata::addTokenIds(ConfigJson &json) const {
  constexpr std::pair<const char *, const char *> ids[] = {
      {"bos_token_id", "tokenizer.ggml.bos_token_id"},
      {"eos_token_id", "tokenizer.ggml.eos_token_id"},
      {"pad_token_id", "tokenizer.ggml.padding_token_id"},
  };
  for (const auto &[name, key] : ids) {
    COMPRESSC_ASSIGN_OR_RETURN(std::optional<int64_t> id, tokenId(key));
    if (id)
      json[name] = *id;
  }
  return absl::OkStatus();
}

} // namespace compressc
