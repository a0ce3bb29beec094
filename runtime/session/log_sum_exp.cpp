#include "log_sum_exp.h"
#include <algorithm>
#include <bit>
#include <cmath>

namespace compressc {
namespace {

constexpr int lanes = 16;

/// exp(x) for x <= 0 without branches, so that the loop over a row becomes vector code. NaN stays
/// NaN.
inline float expNegative(float x) {
  constexpr float lowest = -87.0f; // e^-87 is near the smallest normal number: nothing beside 1
  constexpr float log2e = 1.44269504f, ln2High = 0.693359375f, ln2Low = -2.12194440e-4f;
  constexpr float rounder = 12582912.0f; // 1.5 * 2^23: adding it rounds to an integer
  x = x < lowest ? lowest : x;
  float n = (x * log2e + rounder) - rounder;
  float r = (x - n * ln2High) - n * ln2Low; // |r| <= ln(2)/2
  float p = 1.0f / 5040;
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  uint32_t exponent = std::bit_cast<uint32_t>(n + (rounder + 127.0f)) << 23;
  return p * std::bit_cast<float>(exponent);
}

} // namespace

RowScore ScoreRow(const float *logits, int64_t count) {
  float top[lanes];
  std::fill(top, top + lanes, -INFINITY);
  int64_t whole = count / lanes * lanes;
  for (int64_t i = 0; i < whole; i += lanes)
    for (int j = 0; j < lanes; ++j)
      top[j] = logits[i + j] > top[j] ? logits[i + j] : top[j];
  for (int64_t i = whole; i < count; ++i)
    top[0] = std::max(top[0], logits[i]);
  float highest = *std::max_element(top, top + lanes);

  double sums[lanes] = {};
  for (int64_t i = 0; i < whole; i += lanes)
    for (int j = 0; j < lanes; ++j)
      sums[j] += double(expNegative(logits[i + j] - highest));
  for (int64_t i = whole; i < count; ++i)
    sums[0] += double(expNegative(logits[i] - highest));
  double sum = 0;
  for (double part : sums)
    sum += part;
  return {highest, sum};
}

} // namespace compressc
