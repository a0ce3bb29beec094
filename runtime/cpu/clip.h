// What the search for ranges reports, whoever ran it.
#pragma once

#include <cstdint>

namespace compressc {

/// Over all groups of all rows: the error δᵀ·G·δ of the old and the new range, and new range / old range.
struct ClipSums {
  double before = 0, after = 0, ratios = 0;
  int64_t bad = -1; // index of the first NaN or infinity of the weight
};

} // namespace compressc
