#include "Rope.h"
#include "compressc/runtime/text.h"
#include <cmath>

namespace compressc {

/// As transformers: what is missing or 0 takes the default of the paper, and the attention factor
/// follows from the other fields when the file doesn't give it.
static Status parseYarn(const ConfigFields &rope, RopeConfig &result) {
  constexpr double largest = 1e6;
  auto numberOr = [&](const char *key, double fallback) -> StatusOr<double> {
    COMPRESSC_ASSIGN_OR_RETURN(double value, rope.number(key, 0, largest, fallback));
    return value == 0 ? fallback : value;
  };
  COMPRESSC_ASSIGN_OR_RETURN(result.betaFast, numberOr("beta_fast", 32));
  COMPRESSC_ASSIGN_OR_RETURN(result.betaSlow, numberOr("beta_slow", 1));
  if (result.betaFast < result.betaSlow)
    return rope.error("beta_fast", result.betaFast, " must not be less than beta_slow ",
                      result.betaSlow);
  COMPRESSC_ASSIGN_OR_RETURN(bool truncate, rope.boolean("truncate", true));
  result.fractional = !truncate;
  if (result.theta == 1)
    return rope.error("rope_theta", "yarn needs another theta than 1");

  auto magnitude = [&](double scale) {
    return result.factor <= 1 ? 1 : 0.1 * scale * std::log(result.factor) + 1;
  };
  COMPRESSC_ASSIGN_OR_RETURN(double scale, numberOr("mscale", 0));
  COMPRESSC_ASSIGN_OR_RETURN(double scaleOfAll, numberOr("mscale_all_dim", 0));
  double derived =
      scale && scaleOfAll ? magnitude(scale) / magnitude(scaleOfAll) : magnitude(1);
  COMPRESSC_ASSIGN_OR_RETURN(result.attentionFactor,
                             rope.number("attention_factor", 1e-6, largest, derived));
  return absl::OkStatus();
}

StatusOr<RopeConfig> ParseRope(const ConfigFields &fields, int64_t contextLength) {
  constexpr double smallest = 1e-9, largest = 1e15;
  std::string key = "rope_scaling";
  COMPRESSC_ASSIGN_OR_RETURN(const ConfigJson *object, fields.filledObject(key));
  if (!object) {
    key = "rope_parameters";
    COMPRESSC_ASSIGN_OR_RETURN(object, fields.filledObject(key));
  }
  static const ConfigJson nothing = ConfigJson::object();
  const ConfigFields rope = fields.nested(key, object ? *object : nothing);
  for (auto &[layerType, value] : (object ? *object : nothing).items())
    if (value.is_object())
      return fields.error(key, "one for each layer type (", Quoted(layerType),
                          ") is not supported yet");

  RopeConfig result;
  COMPRESSC_ASSIGN_OR_RETURN(double outerTheta,
                             fields.number("rope_theta", smallest, largest, result.theta));
  COMPRESSC_ASSIGN_OR_RETURN(result.theta,
                             rope.number("rope_theta", smallest, largest, outerTheta));
  for (const ConfigFields *place : {&fields, &rope}) {
    COMPRESSC_ASSIGN_OR_RETURN(double part, place->number("partial_rotary_factor", 0, 1, 1.0));
    if (part != 1)
      return place->error("partial_rotary_factor", part,
                          " is not supported yet: heads must rotate whole");
  }

  COMPRESSC_ASSIGN_OR_RETURN(std::string oldType, rope.string("type", "default"));
  COMPRESSC_ASSIGN_OR_RETURN(result.scaling, rope.string("rope_type", oldType));
  if (result.scaling != "default" && result.scaling != "linear" && result.scaling != "llama3" &&
      result.scaling != "yarn")
    return rope.error(rope.find("rope_type") ? "rope_type" : "type", "rope scaling ",
                      Quoted(result.scaling),
                      " is not supported yet; supported: default, linear, llama3, yarn");
  if (result.scaling == "default")
    return result;
  const char *original = "original_max_position_embeddings";
  COMPRESSC_ASSIGN_OR_RETURN(int64_t inner, rope.integer(original, 1, largestSize, contextLength));
  COMPRESSC_ASSIGN_OR_RETURN(int64_t originalContext,
                             fields.integer(original, 1, largestSize, inner));
  std::optional<double> ratio;
  if (result.scaling == "yarn" && rope.isNull("factor"))
    ratio = double(contextLength) / double(originalContext);
  COMPRESSC_ASSIGN_OR_RETURN(result.factor, rope.number("factor", smallest, largest, ratio));
  if (result.scaling == "linear")
    return result;
  result.originalContext = originalContext;
  if (result.scaling == "yarn") {
    COMPRESSC_RETURN_IF_ERROR(parseYarn(rope, result));
    return result;
  }

  COMPRESSC_ASSIGN_OR_RETURN(result.lowFrequency,
                             rope.number("low_freq_factor", smallest, largest));
  COMPRESSC_ASSIGN_OR_RETURN(result.highFrequency,
                             rope.number("high_freq_factor", smallest, largest));
  if (result.highFrequency <= result.lowFrequency)
    return rope.error("high_freq_factor", result.highFrequency,
                      " must be greater than low_freq_factor ", result.lowFrequency);
  return result;
}

} // namespace compressc
