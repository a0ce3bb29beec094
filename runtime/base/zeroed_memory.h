// Anonymous mapped memory: zero at first, and pages that are never touched cost nothing. So an
// arena may be planned for the largest batch, and a KV cache for the longest context.
#pragma once

#include "compressc/runtime/status.h"
#include <cstdint>
#include <utility>

namespace compressc {

class ZeroedMemory {
public:
  ZeroedMemory() = default;
  /// `what` is named when the system refuses.
  static StatusOr<ZeroedMemory> Map(int64_t bytes, std::string_view what);
  ZeroedMemory(ZeroedMemory &&other) noexcept
      : base(std::exchange(other.base, nullptr)), length(std::exchange(other.length, 0)) {}
  ZeroedMemory &operator=(ZeroedMemory &&other) noexcept {
    std::swap(base, other.base);
    std::swap(length, other.length);
    return *this;
  }
  ~ZeroedMemory();

  uint8_t *data() const { return static_cast<uint8_t *>(base); }

private:
  void *base = nullptr;
  size_t length = 0;
};

} // namespace compressc
