// The frequencies of rotary embeddings. No MLIR: readers of checkpoints compare them with what a file says.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <string_view>
#include <vector>

namespace compressc::lm {

/// The dim/2 angular frequencies of plain, linear or llama3 rope (RopeAttr in LM.td says what the parameters mean).
inline std::vector<double> ropeFrequencies(double theta, std::string_view scaling, double factor, double low,
                                           double high, int64_t originalContext, int64_t dim) {
  std::vector<double> result;
  for (int64_t i = 0; i < dim / 2; ++i) {
    // As checkpoints were trained: the exponent and the power in fp32.
    float inverse = 1.0f / std::pow(float(theta), float(2 * i) / float(dim));
    double f = inverse;
    if (scaling == "linear")
      f /= factor;
    if (scaling == "llama3") {
      double wavelength = 2 * std::numbers::pi / f, context = double(originalContext);
      if (wavelength > context / low)
        f /= factor;
      else if (wavelength >= context / high) {
        double t = (context / wavelength - low) / (high - low);
        f = (1 - t) * f / factor + t * f;
      }
    }
    result.push_back(float(f));
  }
  return result;
}

} // namespace compressc::lm
