// Small helpers for text: what Python calls white space, numbers that people read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace compressc {

/// Removes what Python's str.strip() removes: Unicode white space, not only ASCII. `text` must be
/// valid UTF-8.
std::string_view StripWhitespace(std::string_view text);

/// Bytes with thousands separators, and in a readable unit: "269,060,280 bytes (256.6 MiB)".
std::string FormatBytes(int64_t bytes);
/// 1234567 -> "1,234,567".
std::string FormatCount(int64_t count);

} // namespace compressc
