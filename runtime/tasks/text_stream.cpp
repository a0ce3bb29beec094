#include "runtime/tasks/text_stream.h"
#include "compressc/runtime/text.h"
#include "runtime/text/unicode.h"
#include <algorithm>

namespace compressc {
namespace {

/// Bytes at the end that a character may begin with whose other bytes are still to come.
size_t unfinishedBytes(std::string_view bytes) {
  for (size_t count = 1; count <= std::min<size_t>(3, bytes.size()); ++count) {
    uint8_t byte = uint8_t(bytes[bytes.size() - count]);
    if ((byte & 0xC0) == 0x80)
      continue;
    size_t length = byte > 0xF4 ? 1 : byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC2 ? 2 : 1;
    return count < length ? count : 0;
  }
  return 0;
}

/// The longest end of `text` that a stop string begins with.
size_t heldBytes(std::string_view text, const std::vector<std::string> &stops) {
  size_t held = 0;
  for (std::string_view stop : stops)
    for (size_t count = std::min(stop.size() - 1, text.size()); count > held; --count)
      if (text.ends_with(stop.substr(0, count)))
        held = count;
  return held;
}

} // namespace

Status CheckStops(const std::vector<std::string> &stops) {
  for (const std::string &stop : stops)
    if (stop.empty() || !IsUtf8(stop))
      return Invalid("a stop string must be UTF-8 text and not empty");
  return absl::OkStatus();
}

bool TextStream::take(size_t end) {
  std::string storage;
  std::string_view whole =
      unicode::replaceInvalid(std::string_view(raw).substr(taken, end - taken), storage);
  taken = end;
  // Byte after byte, so that the result does not depend on how the text is cut into tokens.
  for (char byte : whole) {
    clean += byte;
    size_t longest = 0;
    for (const std::string &stop : stops)
      if (stop.size() > longest && clean.ends_with(stop))
        longest = stop.size();
    if (longest == 0)
      continue;
    clean.resize(clean.size() - longest);
    shown = clean.size();
    return true;
  }
  return false;
}

bool TextStream::push(int32_t token) {
  tokenizer.appendBytes(token, raw);
  if (take(raw.size() - unfinishedBytes(std::string_view(raw).substr(taken))))
    return true;
  shown = clean.size() - heldBytes(clean, stops);
  return false;
}

void TextStream::finish() {
  take(raw.size());
  shown = clean.size();
}

} // namespace compressc
