// Offsets for buffers whose lifetimes are known.
#pragma once

#include <cstdint>
#include <vector>

namespace compressc {

struct Lifetime {
  int64_t bytes = 0;
  int64_t begin = 0; // index of the call that writes it first
  int64_t end = 0;   // index of the last call that touches it
  int64_t offset = 0; // result
};

/// Gives each buffer the lowest offset, a multiple of 64, at which it overlaps no buffer that is alive at
/// the same time; larger buffers first. Returns the arena's size.
int64_t PlanArena(std::vector<Lifetime> &buffers);

} // namespace compressc
