// 128-bit digests (XXH3): fast enough to hash a checkpoint, and no two different inputs are expected to
// meet. Not a signature: whoever can write to a store can forge its entries.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace compressc {

struct Digest {
  uint64_t high = 0, low = 0;

  /// 32 hexadecimal digits.
  std::string text() const;
  friend auto operator<=>(const Digest &, const Digest &) = default;
};

/// Collects fields in order. Every field is preceded by its length, so that two lists of fields never
/// look alike.
class Hasher {
public:
  Hasher();
  ~Hasher();
  Hasher &add(std::string_view bytes);
  Hasher &add(const Digest &digest);
  Hasher &add(uint64_t number);
  Digest finish() const;

private:
  struct State;
  std::unique_ptr<State> state;
};

} // namespace compressc
