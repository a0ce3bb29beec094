#include "token_decoder.h"
#include "byte_level.h"
#include "../base/json_fields.h"
#include <optional>

namespace compressc {

static constexpr int maxDepth = 8;

int ByteOfFallbackToken(std::string_view token) {
  if (token.size() != 6 || token.substr(0, 3) != "<0x" || token[5] != '>')
    return -1;
  constexpr std::string_view digits = "0123456789ABCDEF";
  size_t high = digits.find(token[3]), low = digits.find(token[4]);
  return high == std::string_view::npos || low == std::string_view::npos ? -1 : int(high * 16 + low);
}

StatusOr<TokenDecoder> TokenDecoder::FromJson(const nlohmann::json &json) {
  TokenDecoder result;
  if (json.is_null())
    return result;
  result.decodes = true;
  COMPRESSC_RETURN_IF_ERROR(WithContext(result.addSteps(json, 0), "decoder"));
  return result;
}

Status TokenDecoder::addSteps(const nlohmann::json &json, int depth) {
  constexpr size_t mostReplacements = 8;
  COMPRESSC_ASSIGN_OR_RETURN(std::string type, StringField(json, "type"));
  if (byteLevel)
    return Invalid("ByteLevel must be the only decoder");
  if (type == "ByteLevel" && !byteFallback && replacements.empty()) {
    byteLevel = true;
    return absl::OkStatus();
  }
  if (type == "ByteFallback") {
    byteFallback = true;
    return absl::OkStatus();
  }
  if (type == "Fuse") // of tokens to one text, which ours always are
    return absl::OkStatus();
  if (type == "Replace" && replacements.size() < mostReplacements) {
    COMPRESSC_ASSIGN_OR_RETURN(std::string from, StringField(Field(json, "pattern"), "String"));
    COMPRESSC_ASSIGN_OR_RETURN(std::string to, StringField(json, "content"));
    if (from.empty())
      return Invalid("Replace: the pattern must be {\"String\": ...}");
    replacements.emplace_back(std::move(from), std::move(to));
    return absl::OkStatus();
  }
  if (type != "Sequence" || depth > maxDepth)
    return Invalid("the type ", Quoted(type),
                   " is not supported (only ByteLevel, Replace, ByteFallback, Fuse and Sequence are)");
  const nlohmann::json &parts = Field(json, "decoders");
  if (!parts.is_array() || parts.empty())
    return Invalid("Sequence: decoders must be a list of one decoder or more");
  for (const nlohmann::json &part : parts)
    COMPRESSC_RETURN_IF_ERROR(addSteps(part, depth + 1));
  return absl::OkStatus();
}

std::string TokenDecoder::bytes(std::string_view token) const {
  if (byteLevel)
    if (std::optional<std::string> bytes = BytesOfToken(token))
      return *std::move(bytes);
  if (int byte = ByteOfFallbackToken(token); byteFallback && byte >= 0)
    return std::string(1, char(byte));
  std::string result(token);
  for (const auto &[from, to] : replacements)
    for (size_t at = 0; (at = result.find(from, at)) != std::string::npos; at += to.size())
      result.replace(at, from.size(), to);
  return result;
}

} // namespace compressc
