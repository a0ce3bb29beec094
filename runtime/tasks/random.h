// Random numbers that are the same everywhere, unlike those of the standard library's
// distributions.
#pragma once

#include <cstdint>

namespace compressc {

/// SplitMix64 (Steele, Lea and Flood, 2014).
class SplitMix64 {
public:
  explicit SplitMix64(uint64_t seed) : state(seed) {}
  uint64_t next();
  /// Uniform in [0, bound), without bias: draws below 2^64 mod bound are thrown away.
  uint64_t below(uint64_t bound);

private:
  uint64_t state;
};

/// Uniform in [0, 1), in steps of 2^-53: a function of its key alone, so that the numbers of one
/// stream do not depend on which others are drawn or when.
double UniformAt(uint64_t seed, uint64_t stream, uint64_t position);

} // namespace compressc
