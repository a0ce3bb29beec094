#include "ONNXRope.h"
#include "dialects/LM/RopeFrequencies.h"
#include <cmath>
#include <numbers>

namespace compressc {

std::vector<double> RopeFrequencies(const RopeConfig &rope, int64_t headDim) {
  return lm::ropeFrequencies(rope.theta, rope.scaling, rope.factor, rope.lowFrequency,
                             rope.highFrequency, rope.originalContext, headDim);
}

bool SameFrequencies(const std::vector<double> &a, const std::vector<double> &b) {
  constexpr double tolerance = 1e-6;
  if (a.size() != b.size())
    return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (!(std::fabs(a[i] - b[i]) <= tolerance * std::fabs(b[i])))
      return false;
  return true;
}

namespace {

/// The shortest decimal within the error that fp32 frequencies leave: configurations hold such.
double withoutNoise(double value) {
  constexpr double noise = 2e-5;
  for (int digits = 0; digits < 9; ++digits) {
    double unit = std::pow(10.0, std::floor(std::log10(value)) - digits);
    double rounded = std::round(value / unit) * unit;
    if (std::fabs(rounded - value) < noise * value)
      return unit < 1 ? std::round(value / unit) / std::round(1 / unit) : rounded;
  }
  return value;
}

/// theta of f_i = c theta^(-2i/D), from the frequencies `first` and `last`.
double thetaOf(const std::vector<double> &f, size_t first, size_t last) {
  return withoutNoise(std::pow(f[first] / f[last], double(f.size()) / double(last - first)));
}

std::optional<RopeConfig> checked(RopeConfig rope, const std::vector<double> &frequencies) {
  int64_t headDim = 2 * int64_t(frequencies.size());
  if (!(rope.theta > 0) || !std::isfinite(rope.theta) ||
      !SameFrequencies(frequencies, RopeFrequencies(rope, headDim)))
    return std::nullopt;
  return rope;
}

/// The highest frequencies are kept, the lowest divided by the factor, and between them the part
/// t that is kept is a straight line in the frequency: t = (L f / 2 pi - low) / (high - low).
std::optional<RopeConfig> fitLlama3(const std::vector<double> &f) {
  size_t last = f.size() - 1, first = last - 1;
  while (first > 0 && std::fabs(f[first - 1] / f[first] / (f[last - 1] / f[last]) - 1) < 1e-5)
    --first;
  RopeConfig rope;
  rope.scaling = "llama3";
  rope.theta = thetaOf(f, first, last);
  std::vector<double> plain = RopeFrequencies({.theta = rope.theta}, 2 * int64_t(f.size()));
  rope.factor = withoutNoise(plain[last] / f[last]);
  if (!(rope.factor > 1))
    return std::nullopt;

  std::vector<std::pair<double, double>> mixed; // 1 / wavelength, t
  for (size_t i = 0; i <= last; ++i) {
    double t = (f[i] / plain[i] - 1 / rope.factor) / (1 - 1 / rope.factor);
    if (t > 1e-4 && t < 1 - 1e-4)
      mixed.push_back({plain[i] / (2 * std::numbers::pi), t});
  }
  if (mixed.size() < 2)
    return std::nullopt;
  auto [x0, t0] = mixed.front();
  auto [x1, t1] = mixed.back();
  double slope = (t1 - t0) / (x1 - x0), intercept = t0 - slope * x0;
  if (!(slope > 0) || !(intercept < 0))
    return std::nullopt;
  rope.lowFrequency = 1;
  rope.highFrequency = withoutNoise(1 - 1 / intercept);
  rope.originalContext = std::llround(slope * (rope.highFrequency - 1));
  return checked(rope, f);
}

} // namespace

std::optional<RopeConfig> FitRope(const std::vector<double> &f) {
  if (f.empty())
    return std::nullopt;
  for (double frequency : f)
    if (!(frequency > 0) || !std::isfinite(frequency))
      return std::nullopt;
  RopeConfig rope;
  if (f.size() > 1)
    rope.theta = thetaOf(f, 0, f.size() - 1);
  if (auto plain = checked(rope, f))
    return plain;
  rope.scaling = "linear";
  rope.factor = withoutNoise(1 / f[0]);
  if (auto linear = checked(rope, f))
    return linear;
  return f.size() > 3 ? fitLlama3(f) : std::nullopt;
}

} // namespace compressc
