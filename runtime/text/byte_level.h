// The byte alphabet of byte-level BPE: each byte is written as one printable character.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace compressc {

/// The code point that stands for a byte.
uint32_t CharacterOfByte(uint8_t byte);

/// The bytes that a token stands for; nullopt when one of its characters is not in the alphabet.
/// `token` must be valid UTF-8.
std::optional<std::string> BytesOfToken(std::string_view token);

} // namespace compressc
