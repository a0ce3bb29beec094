// The text of tokens that come one by one: whole characters only, and nothing from a stop string
// on.
#pragma once

#include "compressc/runtime/tokenizer.h"

namespace compressc {

/// Stop strings must be UTF-8 and not empty.
Status CheckStops(const std::vector<std::string> &stops);

class TextStream {
public:
  /// Both are referred to, not copied.
  TextStream(const Tokenizer &tokenizer, const std::vector<std::string> &stops)
      : tokenizer(tokenizer), stops(stops) {}

  /// Adds a token's text. True when a stop string is complete: the one that ends first, the longest
  /// of those. The text then ends before it, and no token may follow.
  bool push(int32_t token);
  /// No token follows: what was held back belongs to the text.
  void finish();

  /// Without a finish(), text that may still become part of a stop string is not in it. Never
  /// shrinks.
  std::string_view text() const { return std::string_view(clean).substr(0, shown); }

private:
  /// Moves the raw bytes before `end` to the text; true at a stop string.
  bool take(size_t end);

  const Tokenizer &tokenizer;
  const std::vector<std::string> &stops;
  std::string raw;   // bytes of all tokens
  size_t taken = 0;  // of `raw`
  std::string clean; // the text so far, UTF-8
  size_t shown = 0;  // of `clean`
};

} // namespace compressc
