// Reads tokenizer.json. The vocabulary and the merges are most of the file and have one simple
// form, so they go into flat lists; a tree is built of the rest only.
#pragma once

#include "compressc/runtime/status.h"
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace compressc {

struct TokenizerJson {
  /// Far above any real file (Gemma's 35 MB is the largest we know); bounds what a bad one can
  /// take.
  static constexpr size_t maxBytes = size_t(128) << 20;

  /// The file without "vocab" and "merges" of the model.
  nlohmann::json root;
  bool hasVocabulary = false, hasMerges = false;
  std::vector<std::pair<std::string, int32_t>> vocabulary;
  /// All sides of the merges, left right left right ..., one after the other, and where each ends.
  std::string mergeText;
  std::vector<uint32_t> mergeEnds;

  size_t merges() const { return mergeEnds.size() / 2; }
  std::string_view mergeSide(size_t index) const {
    uint32_t begin = index ? mergeEnds[index - 1] : 0;
    return std::string_view(mergeText).substr(begin, mergeEnds[index] - begin);
  }

  static StatusOr<TokenizerJson> Parse(std::string_view text);
};

} // namespace compressc
