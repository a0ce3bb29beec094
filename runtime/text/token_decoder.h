// The bytes that a token of the vocabulary stands for: the "decoder" of tokenizer.json.
#pragma once

#include "compressc/runtime/status.h"
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace compressc {

class TokenDecoder {
public:
  /// ByteLevel, or Replace, ByteFallback and Fuse as SentencePiece's vocabularies have them; null
  /// joins tokens by spaces.
  static StatusOr<TokenDecoder> FromJson(const nlohmann::json &json);

  bool joinsBySpaces() const { return !decodes; }
  std::string bytes(std::string_view token) const;

private:
  Status addSteps(const nlohmann::json &json, int depth);

  bool decodes = false, byteLevel = false, byteFallback = false;
  std::vector<std::pair<std::string, std::string>> replacements;
};

/// The byte of a token of the form <0xE2>, or -1.
int ByteOfFallbackToken(std::string_view token);

} // namespace compressc
