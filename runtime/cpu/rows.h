// Work on rows of activations, shared out among threads.
#pragma once

#include "compressc/runtime/kernel.h"

namespace compressc {

/// Rounds rows of fp32 to bf16.
void RoundRows(KernelContext &context, const float *x, int64_t rows, int64_t width, void *out);

/// Splits [0, rows) in runs that are worth a task each, of at most `rows` rows of `width` elements.
void ForRows(KernelContext &context, int64_t rows, int64_t width,
             const std::function<void(int64_t begin, int64_t end, int worker)> &run);

} // namespace compressc
