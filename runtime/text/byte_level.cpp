#include "byte_level.h"
#include "unicode.h"
#include <array>

namespace compressc {

namespace {
struct Alphabet {
  static constexpr uint32_t end = 256 + 68;
  std::array<uint16_t, 256> characters{};
  std::array<int16_t, end> bytes{};

  Alphabet() {
    bytes.fill(-1);
    uint16_t unprintable = 256;
    for (uint32_t byte = 0; byte < 256; ++byte) {
      bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
      characters[byte] = printable ? uint16_t(byte) : unprintable++;
      bytes[characters[byte]] = int16_t(byte);
    }
  }
};
} // namespace

static const Alphabet &alphabet() {
  static const Alphabet value;
  return value;
}

uint32_t CharacterOfByte(uint8_t byte) { return alphabet().characters[byte]; }

std::optional<std::string> BytesOfToken(std::string_view token) {
  std::string bytes;
  for (size_t at = 0; at < token.size();) {
    uint32_t c = unicode::next(token, at);
    if (c >= Alphabet::end || alphabet().bytes[c] < 0)
      return std::nullopt;
    bytes += char(alphabet().bytes[c]);
  }
  return bytes;
}

} // namespace compressc
