// Added tokens: contents that are cut out of the text before anything else looks at it.
#pragma once

#include "absl/functional/function_ref.h"
#include "compressc/runtime/status.h"
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace compressc {

struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool singleWord = false, stripLeft = false, stripRight = false;
  bool normalized = false, special = false;
};

/// The "added_tokens" of tokenizer.json; null is an empty list.
StatusOr<std::vector<AddedToken>> AddedTokensFromJson(const nlohmann::json &json);

/// Finds the leftmost and among those the longest of a set of tokens.
class AddedTokenMatcher {
public:
  AddedTokenMatcher() : nodes(1) {}

  /// `content` is what to look for: the token's own content, or its normalized form. When two
  /// tokens have the same, the first one counts.
  void add(const AddedToken &token, std::string_view content);

  /// Calls `sink` with the stretches of `text` in order: a token's (`token` not null, with the
  /// white space that it swallows) or text between tokens, which is not empty.
  using Sink = absl::FunctionRef<void(const AddedToken *token, std::string_view stretch)>;
  void split(std::string_view text, Sink sink) const;

private:
  struct Node {
    uint8_t byte = 0;
    int32_t token = -1, child = -1, sibling = -1;
  };
  int32_t childOf(int32_t node, uint8_t byte) const;
  /// The longest token at `at`, or -1; `end` is then where it ends.
  int32_t longestAt(std::string_view text, size_t at, size_t &end) const;

  std::vector<Node> nodes;
  std::vector<AddedToken> tokens;
  bool starts[256] = {};
};

} // namespace compressc
