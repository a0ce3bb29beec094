// How long a sequence must be to tell what a graph computes at any length.
#pragma once

#include "compressc/Import/ONNX.h"

namespace compressc {

/// A length in tokens of which no constant that the graph compares with a position reaches the
/// half: a mask that is causal, or a sliding window, at this length is so at every longer one. An
/// error when that is too long to look at every entry of a mask.
StatusOr<int64_t> TellingLength(const ONNXGraph &graph);

} // namespace compressc
