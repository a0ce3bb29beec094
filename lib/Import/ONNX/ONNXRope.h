// The rotary embedding that a graph's angles amount to.
#pragma once

#include "lib/Import/HuggingFace/Rope.h"
#include <optional>

namespace compressc {

/// The frequencies of a configuration other than yarn's, as the rotary embedding computes them.
std::vector<double> RopeFrequencies(const RopeConfig &rope, int64_t headDim);

/// Whether two lists of frequencies are the same to 1e-6 of each.
bool SameFrequencies(const std::vector<double> &a, const std::vector<double> &b);

/// Plain, linear or llama3 parameters that give these headDim/2 frequencies to 1e-6 of each;
/// nullopt when none do. llama3's two factors and its original context are only known up to a
/// common multiple, which changes no frequency: the low factor is taken to be 1.
std::optional<RopeConfig> FitRope(const std::vector<double> &frequencies);

} // namespace compressc
