// Free slots of the KV cache as maximal ranges. Slots that are given back become available
// together, between batches: within a batch every row is written before any is read, so no slot may
// serve twice.
#pragma once

#include "compressc/runtime/batch.h"
#include <cstdint>
#include <map>
#include <vector>

namespace compressc {

class SlotAllocator {
public:
  explicit SlotAllocator(int32_t slots);

  /// The first free range of `wanted` slots, or the longest one there is when all are shorter. An
  /// empty range when nothing is free.
  SlotRange take(int32_t wanted);

  /// Gives slots back, effective at the next reclaim().
  void giveBack(SlotRange range) { returned.push_back(range); }
  void reclaim();

private:
  std::map<int32_t, int32_t> ranges; // begin -> count, never adjacent
  std::vector<SlotRange> returned;
};

} // namespace compressc
