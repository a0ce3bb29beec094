// Offsets for buffers whose lifetimes are known.
#include "ArenaPlanner.h"
#include <algorithm>
#include <numeric>

namespace compressc {

int64_t PlanArena(std::vector<Lifetime> &buffers) {
  auto aligned = [](int64_t bytes) { return (bytes + 63) / 64 * 64; };
  std::vector<size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return buffers[a].bytes != buffers[b].bytes ? buffers[a].bytes > buffers[b].bytes : a < b;
  });
  std::vector<const Lifetime *> placed; // by offset
  int64_t total = 0;
  for (size_t index : order) {
    Lifetime &buffer = buffers[index];
    int64_t offset = 0;
    for (const Lifetime *other : placed) {
      if (other->end < buffer.begin || buffer.end < other->begin)
        continue;
      if (offset + buffer.bytes <= other->offset)
        break;
      offset = std::max(offset, aligned(other->offset + other->bytes));
    }
    buffer.offset = offset;
    total = std::max(total, aligned(offset + buffer.bytes));
    placed.insert(std::upper_bound(placed.begin(), placed.end(), &buffer,
                                   [](const Lifetime *a, const Lifetime *b) { return a->offset < b->offset; }),
                  &buffer);
  }
  return total;
}

} // namespace compressc
