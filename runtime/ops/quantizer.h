// The quantiser: scale, zero and codes of one group, and the bit streams they are stored in.
//
// A group's range always holds 0, so that 0 stays exact. The scale is rounded to the checkpoint's
// type before any code is computed: codes are then right for the scale that a reader will see.
#pragma once

#include "compressc/runtime/status.h"
#include "compressc/runtime/tensor.h"
#include <algorithm>
#include <cstdint>

namespace compressc {

/// DTypeName for messages; abseil's own string_view, because that is what absl::StrCat takes.
inline absl::string_view TypeName(DType dtype) {
  std::string_view name = DTypeName(dtype);
  return {name.data(), name.size()};
}

/// `zero` is a whole number in 0..2^bits-1.
struct GroupQuantizer {
  float scale;
  float zero;
};

inline int MaxCode(const PackedFormat &format) { return (1 << format.bits) - 1; }

/// Rounds to the nearest whole number, ties to even, for |value| <= 2^22. Unlike nearbyint, every
/// instruction set has vectors of it.
inline float RoundHalfEven(float value) {
  constexpr float magic = 12582912.0f; // 1.5 * 2^23: its neighbours are 1 apart
  return (value + magic) - magic;
}

/// The quantiser of a group whose values lie in [low, high], low <= 0 <= high. The scale is
/// infinite when scaleType cannot hold it.
GroupQuantizer ChooseQuantizer(float low, float high, const PackedFormat &format);

/// code - zero of a finite value. Clamping to whole bounds before or after rounding is the same.
inline float QuantizedLevel(float value, GroupQuantizer group, float maxCode) {
  float level = value / group.scale;
  level = level < -group.zero ? -group.zero : level;
  float top = maxCode - group.zero;
  level = level > top ? top : level;
  return RoundHalfEven(level);
}

/// Appends `bits`-bit codes to a little-endian stream of 32-bit words.
class BitWriter {
public:
  /// Word i of the stream goes to words[i * stride].
  BitWriter(uint32_t *words, int64_t stride = 1) : words(words), stride(stride) {}
  void put(uint32_t code, int bits) {
    pending |= uint64_t(code) << filled;
    filled += bits;
    if (filled >= 32) {
      *words = uint32_t(pending);
      words += stride;
      pending >>= 32;
      filled -= 32;
    }
  }
  /// Writes the last, partly filled word.
  void finish() {
    if (filled > 0)
      *words = uint32_t(pending);
  }

private:
  uint32_t *words;
  int64_t stride;
  uint64_t pending = 0;
  int filled = 0;
};

/// Code number `index` of such a stream.
inline uint32_t ReadBits(const uint32_t *words, int64_t index, int bits, int64_t stride = 1) {
  int64_t bit = index * bits;
  int shift = int(bit % 32);
  uint64_t wide = words[bit / 32 * stride] >> shift;
  if (shift + bits > 32)
    wide |= uint64_t(words[(bit / 32 + 1) * stride]) << (32 - shift);
  return uint32_t(wide & ((uint64_t(1) << bits) - 1));
}

/// An error unless bits is 2, 3, 4 or 8, group divides `columns` and scaleType is F16, BF16 or F32.
Status CheckPackedFormat(const PackedFormat &format, int64_t columns);

} // namespace compressc
