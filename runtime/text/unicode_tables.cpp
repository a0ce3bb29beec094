#include "unicode_tables.h"

namespace compressc::unicode {

#include "unicode_tables.inc"

absl::Span<const PropertyRange> properties() { return propertyRanges; }
absl::Span<const CombiningRange> combiningClasses() { return combiningRanges; }
absl::Span<const Decomposition> canonicalDecompositions() { return decompositions; }

} // namespace compressc::unicode
