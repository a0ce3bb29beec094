// The generated tables behind unicode.h.
#pragma once

#include "absl/types/span.h"
#include <cstdint>

namespace compressc::unicode {

/// `value` holds from `start` to the start of the next range.
struct PropertyRange {
  uint32_t start;
  uint16_t value;
};

/// Canonical combining class of `first` to `last`.
struct CombiningRange {
  uint32_t first, last;
  uint8_t combiningClass;
};

/// Canonical decomposition into one or two code points (`second` 0: one). `composes` tells that the
/// two compose again.
struct Decomposition {
  uint32_t composed, first, second;
  bool composes;
};

absl::Span<const PropertyRange> properties();
absl::Span<const CombiningRange> combiningClasses();
absl::Span<const Decomposition> canonicalDecompositions();

} // namespace compressc::unicode
