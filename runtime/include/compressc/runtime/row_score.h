// What a row of logits is normalised by.
#pragma once

#include <cmath>

namespace compressc {

/// A logit minus logSumExp() is the logarithm of its probability.
struct RowScore {
  float greatest = 0;
  double sum = 0; // of exp(logit - greatest)
  double logSumExp() const { return double(greatest) + std::log(sum); }
};

} // namespace compressc
