#include "compressc/Materialize/Digest.h"
#define XXH_INLINE_ALL
#include <cstdio>
#include <xxhash.h>

namespace compressc {

std::string Digest::text() const {
  char buffer[33];
  std::snprintf(buffer, sizeof buffer, "%016llx%016llx", static_cast<unsigned long long>(high),
                static_cast<unsigned long long>(low));
  return buffer;
}

struct Hasher::State {
  XXH3_state_t xxh;
};

Hasher::Hasher() : state(std::make_unique<State>()) { XXH3_128bits_reset(&state->xxh); }
Hasher::~Hasher() = default;

Hasher &Hasher::add(std::string_view bytes) {
  uint64_t length = bytes.size();
  XXH3_128bits_update(&state->xxh, &length, sizeof length);
  XXH3_128bits_update(&state->xxh, bytes.data(), bytes.size());
  return *this;
}

Hasher &Hasher::add(const Digest &digest) {
  return add(std::string_view(reinterpret_cast<const char *>(&digest), sizeof digest));
}

Hasher &Hasher::add(uint64_t number) {
  return add(std::string_view(reinterpret_cast<const char *>(&number), sizeof number));
}

Digest Hasher::finish() const {
  XXH128_hash_t hash = XXH3_128bits_digest(&state->xxh);
  return {hash.high64, hash.low64};
}

} // namespace compressc
