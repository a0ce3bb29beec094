#include "slot_allocator.h"
#include <algorithm>
#include <iterator>

namespace compressc {

SlotAllocator::SlotAllocator(int32_t slots) {
  if (slots > 0)
    ranges.emplace(0, slots);
}

SlotRange SlotAllocator::take(int32_t wanted) {
  auto best = ranges.end();
  for (auto it = ranges.begin(); it != ranges.end(); ++it) {
    if (best == ranges.end() || it->second > best->second)
      best = it;
    if (it->second >= wanted) {
      best = it;
      break;
    }
  }
  if (best == ranges.end())
    return {};
  SlotRange taken{best->first, std::min(best->second, wanted)};
  int32_t left = best->second - taken.count;
  auto after = ranges.erase(best);
  if (left > 0)
    ranges.emplace_hint(after, taken.begin + taken.count, left);
  return taken;
}

void SlotAllocator::reclaim() {
  for (SlotRange range : returned) {
    auto next = ranges.lower_bound(range.begin);
    if (next != ranges.end() && range.begin + range.count == next->first) {
      range.count += next->second;
      next = ranges.erase(next);
    }
    if (next != ranges.begin()) {
      auto previous = std::prev(next);
      if (previous->first + previous->second == range.begin) {
        previous->second += range.count;
        continue;
      }
    }
    ranges.emplace_hint(next, range.begin, range.count);
  }
  returned.clear();
}

} // namespace compressc
