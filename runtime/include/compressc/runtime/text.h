// Text that comes from files.
#pragma once

#include "absl/strings/escaping.h"
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

namespace compressc {

/// 'name', cut when very long and with control characters escaped: whatever a file calls its parts,
/// an error stays one readable line.
inline std::string Quoted(std::string_view name) {
  constexpr size_t longest = 200;
  std::string text =
      absl::Utf8SafeCHexEscape(absl::string_view(name.data(), std::min(name.size(), longest)));
  return "'" + text + (name.size() > longest ? "..." : "") + "'";
}

/// Whether the bytes are well-formed UTF-8. The JSON library ends the process when it is asked to
/// write text that is not.
inline bool IsUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    uint8_t lead = uint8_t(text[i++]);
    if (lead < 0x80)
      continue;
    int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    if (lead < 0xc2 || lead > 0xf4 || text.size() - i < size_t(more))
      return false;
    uint32_t point = lead & (0x3f >> more);
    for (int k = 0; k < more; ++k) {
      uint8_t next = uint8_t(text[i++]);
      if ((next & 0xc0) != 0x80)
        return false;
      point = point << 6 | (next & 0x3f);
    }
    bool overlong = point < (more == 3 ? 0x10000u : more == 2 ? 0x800u : 0x80u);
    if (overlong || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
      return false;
  }
  return true;
}

} // namespace compressc
