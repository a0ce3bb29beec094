// UTF-8 and the character properties that token ids depend on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace compressc::unicode {

constexpr uint32_t limit = 0x110000;

/// The general category is in the low bits of a property word, flags are above it.
constexpr uint16_t categoryMask = 31;
constexpr uint16_t whiteSpace = 1 << 5;
constexpr uint16_t numeric = 1 << 6;     ///< what Digits splits off
constexpr uint16_t word = 1 << 7;        ///< \w of a regular expression
constexpr uint16_t addedWord = 1 << 8;   ///< \w beside an added token with single_word
constexpr uint16_t nfcRelevant = 1 << 9; ///< text without such characters is already NFC

/// Property words of all code points below `limit`.
const uint16_t *propertyTable();

/// Bit `category` of the result is set for each category that `name` ("L", "Lu", ...) stands for; 0
/// when there is no such category.
uint32_t categorySet(std::string_view name);

/// The code point at `position`, which moves behind it. `text` must be valid UTF-8.
inline uint32_t next(std::string_view text, size_t &position) {
  auto byte = [&](size_t i) { return uint32_t(uint8_t(text[position + i])); };
  uint32_t lead = byte(0);
  if (lead < 0x80) {
    ++position;
    return lead;
  }
  uint32_t c;
  if (lead < 0xE0) {
    c = (lead & 0x1F) << 6 | (byte(1) & 0x3F);
    position += 2;
  } else if (lead < 0xF0) {
    c = (lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
    position += 3;
  } else {
    c = (lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
    position += 4;
  }
  return c;
}

/// The start of the character that ends before `position`, which is not 0.
inline size_t previous(std::string_view text, size_t position) {
  do
    --position;
  while ((uint8_t(text[position]) & 0xC0) == 0x80);
  return position;
}

void append(std::string &out, uint32_t codePoint);

/// `text`, or `storage` with a copy in which U+FFFD stands for every maximal part that is not
/// UTF-8.
std::string_view replaceInvalid(std::string_view text, std::string &storage);

/// `text`, or `storage` with its canonical composition (NFC).
std::string_view toNfc(std::string_view text, std::string &storage);

} // namespace compressc::unicode
