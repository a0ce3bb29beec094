#include "runtime/tasks/random.h"

namespace compressc {

uint64_t SplitMix64::next() {
  state += 0x9E3779B97F4A7C15u;
  uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

uint64_t SplitMix64::below(uint64_t bound) {
  uint64_t threshold = (0 - bound) % bound;
  uint64_t value = next();
  while (value < threshold)
    value = next();
  return value % bound;
}

double UniformAt(uint64_t seed, uint64_t stream, uint64_t position) {
  // Each part of the key goes through the generator's mixing on top of the parts before it.
  uint64_t bits = SplitMix64(SplitMix64(SplitMix64(seed).next() ^ stream).next() ^ position).next();
  return double(bits >> 11) * 0x1p-53;
}

} // namespace compressc
