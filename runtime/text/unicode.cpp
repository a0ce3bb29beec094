#include "unicode.h"
#include "unicode_tables.h"
#include <cstring>
#include <vector>

namespace compressc::unicode {

const uint16_t *propertyTable() {
  static const std::vector<uint16_t> table = [] {
    std::vector<uint16_t> values(limit);
    absl::Span<const PropertyRange> ranges = properties();
    for (size_t i = 0; i < ranges.size(); ++i) {
      uint32_t end = i + 1 < ranges.size() ? ranges[i + 1].start : limit;
      for (uint32_t c = ranges[i].start; c < end; ++c)
        values[c] = ranges[i].value;
    }
    return values;
  }();
  return table.data();
}

uint32_t categorySet(std::string_view name) {
  // In the order of the generated table.
  static constexpr std::string_view names[] = {
      "Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps",
      "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co"};
  uint32_t set = 0;
  for (uint32_t i = 0; i < std::size(names); ++i)
    if (name == names[i] || (name.size() == 1 && name[0] == names[i][0]))
      set |= uint32_t(1) << i;
  return set;
}

void append(std::string &out, uint32_t c) {
  if (c < 0x80) {
    out += char(c);
  } else if (c < 0x800) {
    out += char(0xC0 | c >> 6);
    out += char(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    out += char(0xE0 | c >> 12);
    out += char(0x80 | (c >> 6 & 0x3F));
    out += char(0x80 | (c & 0x3F));
  } else {
    out += char(0xF0 | c >> 18);
    out += char(0x80 | (c >> 12 & 0x3F));
    out += char(0x80 | (c >> 6 & 0x3F));
    out += char(0x80 | (c & 0x3F));
  }
}

/// Length of the valid character at `at`, or 0; `bad` is then the length of what to replace.
static size_t characterLength(std::string_view text, size_t at, size_t &bad) {
  auto lead = uint8_t(text[at]);
  if (lead < 0x80)
    return 1;
  bad = 1;
  if (lead < 0xC2 || lead > 0xF4)
    return 0;
  size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  // The second byte excludes overlong forms, surrogates and what is above U+10FFFF.
  uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (size_t i = 1; i < length; ++i) {
    if (at + i >= text.size() || uint8_t(text[at + i]) < low || uint8_t(text[at + i]) > high)
      return 0;
    low = 0x80;
    high = 0xBF;
    ++bad;
  }
  return length;
}

/// The end of the valid UTF-8 that starts at `at`.
static size_t validEnd(std::string_view text, size_t at) {
  constexpr uint64_t highBits = 0x8080808080808080;
  while (at < text.size()) {
    uint64_t eight;
    if (at + 8 <= text.size()) {
      std::memcpy(&eight, text.data() + at, 8);
      if ((eight & highBits) == 0) {
        at += 8;
        continue;
      }
    }
    size_t bad = 0, length = characterLength(text, at, bad);
    if (length == 0)
      break;
    at += length;
  }
  return at;
}

std::string_view replaceInvalid(std::string_view text, std::string &storage) {
  size_t end = validEnd(text, 0);
  if (end == text.size())
    return text;
  storage.clear();
  storage.reserve(text.size() + 64);
  size_t start = 0;
  while (true) {
    storage.append(text, start, end - start);
    if (end == text.size())
      return storage;
    size_t bad = 0;
    characterLength(text, end, bad);
    append(storage, 0xFFFD);
    start = end + bad;
    end = validEnd(text, start);
  }
}

} // namespace compressc::unicode
