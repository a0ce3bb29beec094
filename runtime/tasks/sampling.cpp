#include "runtime/tasks/sampling.h"
#include "runtime/tasks/random.h"
#include <algorithm>
#include <cmath>

namespace compressc {
namespace {

/// The first greatest logit's index.
StatusOr<int32_t> greatest(absl::Span<const float> logits) {
  // In lanes, so that it becomes vector code: there are many tokens, and one is wanted often.
  constexpr size_t lanes = 16;
  float most[lanes];
  uint32_t bad[lanes] = {};
  std::fill(most, most + lanes, -INFINITY);
  size_t whole = logits.size() / lanes * lanes;
  for (size_t i = 0; i < whole; i += lanes)
    for (size_t j = 0; j < lanes; ++j) {
      float v = logits[i + j];
      most[j] = v > most[j] ? v : most[j];
      bad[j] |= uint32_t(v != v);
    }
  for (size_t i = whole; i < logits.size(); ++i) {
    most[0] = std::max(most[0], logits[i]);
    bad[0] |= uint32_t(std::isnan(logits[i]));
  }
  float best = *std::max_element(most, most + lanes);
  if (std::any_of(bad, bad + lanes, [](uint32_t b) { return b != 0; }) || !std::isfinite(best))
    return Invalid("the model's logits are not finite");
  return int32_t(std::find(logits.begin(), logits.end(), best) - logits.begin());
}

/// The K-th greatest logit, -infinity when all may stay.
float leastOfTop(absl::Span<const float> logits, int64_t k) {
  if (k == 0 || k >= int64_t(logits.size()))
    return -INFINITY;
  std::vector<float> values(logits.begin(), logits.end());
  std::nth_element(values.begin(), values.begin() + (k - 1), values.end(), std::greater<float>());
  return values[size_t(k - 1)];
}

/// Leaves the likeliest tokens, likeliest first (of equals the smaller id), until they hold `part`
/// of the probability. A heap: usually a few of a large vocabulary are enough.
void keepLikeliest(std::vector<TokenProbability> &tokens, double part) {
  auto less = [](const TokenProbability &a, const TokenProbability &b) {
    return a.probability != b.probability ? a.probability < b.probability : a.token > b.token;
  };
  std::make_heap(tokens.begin(), tokens.end(), less);
  double sum = 0;
  auto end = tokens.end();
  while (end != tokens.begin() && sum < part) {
    std::pop_heap(tokens.begin(), end, less);
    sum += (--end)->probability;
  }
  tokens.erase(tokens.begin(), end);
  std::reverse(tokens.begin(), tokens.end());
}

void normalise(std::vector<TokenProbability> &tokens) {
  double sum = 0;
  for (const TokenProbability &token : tokens)
    sum += token.probability;
  for (TokenProbability &token : tokens)
    token.probability /= sum;
}

} // namespace

Status CheckSampling(const Sampling &sampling) {
  if (!(sampling.temperature >= 0 && std::isfinite(sampling.temperature)))
    return Invalid("the temperature must be 0 or more, not ", sampling.temperature);
  if (sampling.topK < 0)
    return Invalid("top-k must be 0 or more, not ", sampling.topK);
  if (!(sampling.topP > 0 && sampling.topP <= 1))
    return Invalid("top-p must be over 0 and at most 1, not ", sampling.topP);
  return absl::OkStatus();
}

StatusOr<std::vector<TokenProbability>> SamplingDistribution(absl::Span<const float> logits,
                                                             const Sampling &sampling) {
  COMPRESSC_ASSIGN_OR_RETURN(int32_t likeliest, greatest(logits));
  double most = logits[size_t(likeliest)];
  float least = leastOfTop(logits, sampling.topK);
  std::vector<TokenProbability> tokens;
  for (size_t i = 0; i < logits.size(); ++i) {
    // Temperature keeps the order, so that the logits themselves tell the top K.
    double weight = std::exp((double(logits[i]) - most) / sampling.temperature);
    if (logits[i] >= least && weight > 0)
      tokens.push_back({int32_t(i), weight});
  }
  normalise(tokens);
  if (sampling.topP < 1) {
    keepLikeliest(tokens, sampling.topP);
    normalise(tokens);
  }
  return tokens;
}

StatusOr<int32_t> SampleToken(absl::Span<const float> logits, const Sampling &sampling,
                              uint64_t stream, uint64_t position) {
  if (sampling.temperature == 0)
    return greatest(logits);
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<TokenProbability> tokens,
                             SamplingDistribution(logits, sampling));
  double left = UniformAt(sampling.seed, stream, position);
  for (const TokenProbability &token : tokens)
    if ((left -= token.probability) < 0)
      return token.token;
  return tokens.back().token; // rounding
}

} // namespace compressc
