// What kernels may rely on in a batch.
#pragma once

#include "compressc/runtime/batch.h"
#include "compressc/runtime/status.h"

namespace compressc {

struct BatchLimits {
  int64_t maxTokens = 0;
  int64_t maxSelected = 0;
  int64_t cacheSlots = 0;
};

/// Refuses sizes over the limits, sequences that do not tile the rows, slots out of range or
/// written twice, positions that are not the context's length, and negative tokens.
Status CheckBatch(const Batch &batch, const BatchLimits &limits);

} // namespace compressc
