#include "GGUFRope.h"
#include "compressc/runtime/text.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

namespace compressc {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char *divisorTensor = "rope_freqs.weight";
constexpr int64_t llama3OriginalPositions = 8192;

struct Llama3 {
  double factor, lowFactor, highFactor;
  int64_t originalPositions;
};

double wavelength(int64_t i, int64_t headDim, double theta) {
  return 2 * std::numbers::pi * std::pow(theta, 2.0 * double(i) / double(headDim));
}

/// What llama3 divides the i-th frequency by.
double divisor(const Llama3 &rope, double wave) {
  double positions = double(rope.originalPositions);
  if (wave < positions / rope.highFactor)
    return 1;
  if (wave > positions / rope.lowFactor)
    return rope.factor;
  double t = (positions / wave - rope.lowFactor) / (rope.highFactor - rope.lowFactor);
  return 1 / ((1 - t) / rope.factor + t);
}

/// The file holds fp32, the configuration held a short decimal.
double withoutNoise(double value) {
  double rounded = std::round(value * 1000) / 1000;
  return std::fabs(rounded - value) < 1e-3 * std::fabs(value) ? rounded : value;
}

/// Between its two factors llama3 mixes by t = (positions/wavelength - low) / (high - low), which
/// is a straight line in 1/wavelength: fit it, then low and high are where t is 0 and 1.
std::optional<Llama3> fitLlama3(const std::vector<float> &divisors, int64_t headDim, double theta,
                                int64_t originalPositions) {
  Llama3 rope{*std::max_element(divisors.begin(), divisors.end()), 1, 4, originalPositions};
  if (!(rope.factor > 1))
    return std::nullopt;
  double n = 0, sumX = 0, sumT = 0, sumXX = 0, sumXT = 0;
  for (size_t i = 0; i < divisors.size(); ++i) {
    double d = divisors[i];
    if (d <= 1 || d >= rope.factor)
      continue;
    double x = double(originalPositions) / wavelength(int64_t(i), headDim, theta);
    double t = (1 / d - 1 / rope.factor) / (1 - 1 / rope.factor);
    n += 1, sumX += x, sumT += t, sumXX += x * x, sumXT += x * t;
  }
  double spread = n * sumXX - sumX * sumX;
  if (n >= 2 && spread > 0) {
    double slope = (n * sumXT - sumX * sumT) / spread;
    double offset = (sumT - slope * sumX) / n;
    rope.lowFactor = withoutNoise(-offset / slope);
    rope.highFactor = withoutNoise((1 - offset) / slope);
  }
  if (!(rope.lowFactor > 0) || !(rope.highFactor > rope.lowFactor) ||
      !std::isfinite(rope.highFactor))
    return std::nullopt;
  for (size_t i = 0; i < divisors.size(); ++i) {
    double expected = divisor(rope, wavelength(int64_t(i), headDim, theta));
    if (!(std::fabs(divisors[i] - expected) <= 1e-4 * expected))
      return std::nullopt;
  }
  return rope;
}

StatusOr<std::vector<float>> readDivisors(const GGUFFile &file, const GGUFTensor &tensor,
                                          int64_t headDim) {
  COMPRESSC_ASSIGN_OR_RETURN(DType dtype, file.dtype(tensor));
  if (dtype != DType::F32 || tensor.shape != std::vector<int64_t>{headDim / 2})
    return Invalid(file.path(), ": tensor ", Quoted(divisorTensor), " must be F32 [", headDim / 2,
                   "]");
  std::vector<float> divisors(headDim / 2);
  std::memcpy(divisors.data(), tensor.data, divisors.size() * sizeof(float));
  return divisors;
}

Status addScaling(const GGUFFile &file, const std::string &prefix, Json &rope) {
  std::string typeKey = prefix + "scaling.type", factorKey = prefix + "scaling.factor";
  std::string type = "none";
  if (file.has(typeKey)) {
    COMPRESSC_ASSIGN_OR_RETURN(type, file.getString(typeKey));
  } else if (file.has(prefix + "scale_linear")) {
    type = "linear";
    factorKey = prefix + "scale_linear";
  }
  if (type == "none")
    return absl::OkStatus();
  if (type != "linear" && type != "yarn")
    return Invalid(file.path(), ": rope scaling ", Quoted(type),
                   " is not supported; linear and yarn are");
  COMPRESSC_ASSIGN_OR_RETURN(double factor, file.getFloat(factorKey));
  if (!(factor > 0))
    return Invalid(file.path(), ": metadata ", Quoted(factorKey), " must be positive");
  if (type == "linear" && factor == 1)
    return absl::OkStatus();
  rope["rope_type"] = type;
  rope["factor"] = factor;
  if (type == "linear")
    return absl::OkStatus();

  std::string original = prefix + "scaling.original_context_length";
  if (file.has(original)) { // else the context length, as in config.json
    COMPRESSC_ASSIGN_OR_RETURN(rope["original_max_position_embeddings"], file.getInt(original));
  }
  for (const auto &[key, name] : {std::pair("scaling.yarn_beta_fast", "beta_fast"),
                                  std::pair("scaling.yarn_beta_slow", "beta_slow")})
    if (file.has(prefix + key)) {
      COMPRESSC_ASSIGN_OR_RETURN(rope[name], file.getFloat(prefix + key));
    }
  // GGUF's numbers multiply yarn's own attention factor, Hugging Face's replaces it.
  double attention = factor > 1 ? 0.1 * std::log(factor) + 1 : 1.0;
  for (const char *key : {"scaling.attn_factor", "scaling.yarn_attn_factor"})
    if (file.has(prefix + key)) {
      COMPRESSC_ASSIGN_OR_RETURN(double extra, file.getFloat(prefix + key));
      attention *= extra;
      rope["attention_factor"] = attention;
    }
  for (const char *key : {"scaling.yarn_log_multiplier", "scaling.yarn_ext_factor"})
    if (file.has(prefix + key))
      return Invalid(file.path(), ": metadata ", Quoted(prefix + key), " is not supported");
  return absl::OkStatus();
}

} // namespace

StatusOr<Json> RopeOfGGUF(const GGUFFile &file, const std::string &prefix, int64_t headDim) {
  double theta = 10000; // what the format says when the key is missing
  if (file.has(prefix + "freq_base")) {
    COMPRESSC_ASSIGN_OR_RETURN(theta, file.getFloat(prefix + "freq_base"));
  }
  if (!(theta > 0))
    return Invalid(file.path(), ": metadata ", Quoted(prefix + "freq_base"), " must be positive");
  Json rope;
  rope["rope_type"] = "default";
  rope["rope_theta"] = theta;
  COMPRESSC_RETURN_IF_ERROR(addScaling(file, prefix, rope));

  const GGUFTensor *tensor = file.find(divisorTensor);
  if (!tensor)
    return rope;
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<float> divisors, readDivisors(file, *tensor, headDim));
  if (std::all_of(divisors.begin(), divisors.end(), [](float d) { return d == 1; }))
    return rope;
  int64_t positions = llama3OriginalPositions;
  std::string original = prefix + "scaling.original_context_length";
  if (file.has(original)) {
    COMPRESSC_ASSIGN_OR_RETURN(positions, file.getInt(original));
  }
  std::optional<Llama3> llama3;
  if (rope["rope_type"] == "default" && positions > 0)
    llama3 = fitLlama3(divisors, headDim, theta, positions);
  if (!llama3)
    return Invalid(file.path(), ": the frequencies of tensor ", Quoted(divisorTensor),
                   " are not those of llama3 rope, the only kind that is supported");
  rope["rope_type"] = "llama3";
  rope["factor"] = withoutNoise(llama3->factor);
  rope["low_freq_factor"] = llama3->lowFactor;
  rope["high_freq_factor"] = llama3->highFactor;
  rope["original_max_position_embeddings"] = llama3->originalPositions;
  return rope;
}

} // namespace compressc
