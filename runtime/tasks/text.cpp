#include "runtime/tasks/text.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include <algorithm>
#include <iterator>

namespace compressc {
namespace {

struct CodePoint {
  uint32_t value;
  size_t length;
};

/// The character at the beginning of valid UTF-8.
CodePoint decodeFirst(std::string_view text) {
  uint32_t lead = uint8_t(text[0]);
  if (lead < 0x80)
    return {lead, 1};
  size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  uint32_t value = lead & (0xFFu >> (length + 1));
  for (size_t i = 1; i < length && i < text.size(); ++i)
    value = value << 6 | (uint8_t(text[i]) & 0x3F);
  return {value, std::min(length, text.size())};
}

bool isSpace(uint32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

} // namespace

std::string_view StripWhitespace(std::string_view text) {
  while (!text.empty()) {
    CodePoint first = decodeFirst(text);
    if (!isSpace(first.value))
      break;
    text.remove_prefix(first.length);
  }
  while (!text.empty()) {
    size_t last = text.size() - 1;
    while (last > 0 && (uint8_t(text[last]) & 0xC0) == 0x80)
      --last;
    if (!isSpace(decodeFirst(text.substr(last)).value))
      break;
    text.remove_suffix(text.size() - last);
  }
  return text;
}

std::string FormatCount(int64_t count) {
  std::string digits = absl::StrCat(count);
  size_t first = count < 0 ? 1 : 0;
  for (size_t at = digits.size(); at > first + 3;) {
    at -= 3;
    digits.insert(at, ",");
  }
  return digits;
}

std::string FormatBytes(int64_t bytes) {
  constexpr const char *units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  double value = double(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(units)) {
    value /= 1024;
    ++unit;
  }
  if (unit == 0)
    return absl::StrCat(FormatCount(bytes), " bytes");
  return absl::StrFormat("%s bytes (%.1f %s)", FormatCount(bytes), value, units[unit]);
}

} // namespace compressc
