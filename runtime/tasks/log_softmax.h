// log-softmax of one row of logits.
#pragma once

#include <cstdint>

namespace compressc {

/// log(sum(exp(logits))), terms in fp32 (relative error below 2e-7), the sum in double. Not a
/// number when a logit is NaN or +inf, or all are -inf. Log-probability of token t: logits[t] minus
/// this.
double LogSumExp(const float *logits, int64_t count);

} // namespace compressc
