// Fingerprints that tell texts apart, not attackers.
#pragma once

#include "absl/strings/str_cat.h"
#include <cstdint>
#include <string>
#include <string_view>

namespace compressc {

/// FNV-1a, 64 bits, as 16 hexadecimal digits.
inline std::string TextDigest(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (char c : text)
    hash = (hash ^ uint8_t(c)) * 0x100000001b3;
  return absl::StrCat(absl::Hex(hash, absl::kZeroPad16));
}

} // namespace compressc
