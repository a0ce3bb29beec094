#include "runtime/tasks/statistics.h"
#include <algorithm>
#include <cmath>
#include <limits>

namespace compressc {

double Tally::standardError() const {
  if (questions < 2)
    return std::numeric_limits<double>::quiet_NaN();
  double p = accuracy();
  return std::sqrt(p * (1 - p) / double(questions - 1));
}

Tally GroupTally::total() const {
  Tally sum;
  for (const auto &[subject, tally] : subjects) {
    sum.questions += tally.questions;
    sum.correct += tally.correct;
  }
  return sum;
}

double GroupTally::standardError() const {
  int64_t count = total().questions;
  int64_t freedom = count - int64_t(subjects.size());
  if (freedom < 1)
    return std::numeric_limits<double>::quiet_NaN();
  double squares = 0;
  for (const auto &[subject, tally] : subjects)
    squares += double(tally.questions) * tally.accuracy() * (1 - tally.accuracy());
  return std::sqrt(squares / double(freedom) / double(count));
}

double McNemarExact(int64_t onlyFirstRight, int64_t onlySecondRight) {
  int64_t n = onlyFirstRight + onlySecondRight;
  int64_t fewer = std::min(onlyFirstRight, onlySecondRight);
  double tail = 0;
  for (int64_t k = 0; k <= fewer; ++k)
    tail += std::exp(std::lgamma(double(n + 1)) - std::lgamma(double(k + 1)) -
                     std::lgamma(double(n - k + 1)) - double(n) * std::log(2.0));
  return std::min(1.0, 2 * tail);
}

} // namespace compressc
