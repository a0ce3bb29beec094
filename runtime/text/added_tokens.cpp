#include "added_tokens.h"
#include "bpe.h"
#include "../base/json_fields.h"
#include "unicode.h"
#include <algorithm>

namespace compressc {

// Bounds the time that looking for tokens takes at each byte of a text.
static constexpr size_t maxContent = 1024;

static StatusOr<AddedToken> addedTokenFromJson(const nlohmann::json &json) {
  AddedToken token;
  COMPRESSC_ASSIGN_OR_RETURN(token.content, StringField(json, "content"));
  if (token.content.empty())
    return Invalid("content must be a string that is not empty");
  if (token.content.size() > maxContent)
    return Invalid("content is longer than ", maxContent, " bytes");
  COMPRESSC_ASSIGN_OR_RETURN(token.id, TokenIdFromJson(Field(json, "id")));
  COMPRESSC_ASSIGN_OR_RETURN(token.special, BoolField(json, "special", false));
  COMPRESSC_ASSIGN_OR_RETURN(token.normalized, BoolField(json, "normalized", !token.special));
  COMPRESSC_ASSIGN_OR_RETURN(token.singleWord, BoolField(json, "single_word", false));
  COMPRESSC_ASSIGN_OR_RETURN(token.stripLeft, BoolField(json, "lstrip", false));
  COMPRESSC_ASSIGN_OR_RETURN(token.stripRight, BoolField(json, "rstrip", false));
  return token;
}

StatusOr<std::vector<AddedToken>> AddedTokensFromJson(const nlohmann::json &json) {
  std::vector<AddedToken> tokens;
  if (json.is_null())
    return tokens;
  if (!json.is_array())
    return Invalid("added_tokens must be a list");
  for (const nlohmann::json &item : json) {
    StatusOr<AddedToken> token = addedTokenFromJson(item);
    if (!token.ok())
      return WithContext(token.status(), absl::StrCat("added_tokens[", tokens.size(), "]"));
    tokens.push_back(*std::move(token));
  }
  return tokens;
}

int32_t AddedTokenMatcher::childOf(int32_t node, uint8_t byte) const {
  int32_t child = nodes[node].child;
  while (child >= 0 && nodes[child].byte != byte)
    child = nodes[child].sibling;
  return child;
}

void AddedTokenMatcher::add(const AddedToken &token, std::string_view content) {
  if (content.empty())
    return;
  int32_t node = 0;
  for (char c : content) {
    int32_t child = childOf(node, uint8_t(c));
    if (child < 0) {
      child = int32_t(nodes.size());
      nodes.push_back({uint8_t(c), -1, -1, nodes[node].child});
      nodes[node].child = child;
    }
    node = child;
  }
  if (nodes[node].token >= 0)
    return;
  nodes[node].token = int32_t(tokens.size());
  tokens.push_back(token);
  starts[uint8_t(content[0])] = true;
}

int32_t AddedTokenMatcher::longestAt(std::string_view text, size_t at, size_t &end) const {
  int32_t found = -1;
  for (int32_t node = 0; at < text.size();) {
    node = childOf(node, uint8_t(text[at++]));
    if (node < 0)
      break;
    if (nodes[node].token >= 0) {
      found = nodes[node].token;
      end = at;
    }
  }
  return found;
}

static bool isAt(std::string_view text, size_t at, uint16_t property) {
  return unicode::propertyTable()[unicode::next(text, at)] & property;
}

void AddedTokenMatcher::split(std::string_view text, Sink sink) const {
  size_t covered = 0;
  auto between = [&](size_t end) {
    if (covered < end)
      sink(nullptr, text.substr(covered, end - covered));
  };
  for (size_t at = 0; !tokens.empty() && at < text.size();) {
    size_t begin = at, end = at;
    int32_t index = starts[uint8_t(text[at])] ? longestAt(text, at, end) : -1;
    if (index < 0) {
      ++at;
      continue;
    }
    at = end;
    const AddedToken &token = tokens[index];
    auto isWord = [&](size_t where) { return isAt(text, where, unicode::addedWord); };
    if (token.singleWord && ((begin > 0 && isWord(unicode::previous(text, begin))) ||
                             (end < text.size() && isWord(end))))
      continue;
    if (token.stripLeft) {
      while (begin > 0 && isAt(text, unicode::previous(text, begin), unicode::whiteSpace))
        begin = unicode::previous(text, begin);
      begin = std::max(begin, covered);
    }
    if (token.stripRight)
      while (end < text.size() && isAt(text, end, unicode::whiteSpace))
        unicode::next(text, end);
    between(begin);
    sink(&token, text.substr(begin, end - begin));
    covered = end;
  }
  between(text.size());
}

} // namespace compressc
