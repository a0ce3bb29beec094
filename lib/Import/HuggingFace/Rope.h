// Rotary embedding as config.json describes it.
#pragma once

#include "ConfigFields.h"

namespace compressc {

struct RopeConfig {
  double theta = 10000;
  std::string scaling = "default"; // default, linear, llama3 or yarn
  double factor = 1;
  // llama3 only:
  double lowFrequency = 1;
  double highFrequency = 1;
  int64_t originalContext = 0; // yarn too
  // yarn only:
  double betaFast = 1;
  double betaSlow = 1;
  double attentionFactor = 1;
  bool fractional = false; // the file's "truncate" is false
};

/// rope_parameters of transformers 5, or rope_scaling and rope_theta of transformers 4; where a
/// file has both, transformers takes rope_scaling.
StatusOr<RopeConfig> ParseRope(const ConfigFields &fields, int64_t contextLength);

} // namespace compressc
