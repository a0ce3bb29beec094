// The normaliser of a row of logits.
#pragma once

#include "compressc/runtime/row_score.h"
#include <cstdint>

namespace compressc {

/// Terms in fp32 (relative error below 2e-7), the sum in double. With a NaN or +inf among the logits, or
/// with nothing but -inf, the result is no number.
RowScore ScoreRow(const float *logits, int64_t count);

} // namespace compressc
