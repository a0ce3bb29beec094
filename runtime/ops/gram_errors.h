// What an error E of some weights costs the layer's output over all calibration tokens: tr(E·G·Eᵀ), G the Gram matrix
// of the input that the weights share. On the CPU or on a device.
#pragma once

#include "weight_operands.h"
#include <limits>
#include <memory>

namespace compressc {

/// Each row of E adds 0 or more.
struct GramTrace {
  double value = 0;
  /// Of the first NaN or infinity that E was made of, as an index into the weights one below the other, or -1.
  int64_t bad = -1;
};

/// Of weights of one width, one below the other. They and G, symmetric, must outlive the object.
class GramErrors {
public:
  virtual ~GramErrors() = default;

  /// The mean over all rows of |w| / (largest |w| of its group) for each column. The index of the first NaN or
  /// infinity, or -1.
  virtual StatusOr<int64_t> meanMagnitude(int64_t group, std::vector<float> &mean) = 0;

  /// E = W.
  virtual StatusOr<GramTrace> ofWeights() = 0;
  /// E = Q(W·s)·(1/s) − W, given up, larger than `limit`, as soon as it exceeds `limit`.
  virtual StatusOr<GramTrace> ofScales(const std::vector<float> &scales, const std::vector<float> &inverse,
                                       const PackedFormat &format, double limit) = 0;
  /// E = V − W of one weight.
  virtual StatusOr<GramTrace> ofChange(const WeightMatrix &changed) = 0;
};

/// part / whole as a finite number, also where the whole is 0 (an input that is always 0).
float RelativeError(double part, double whole);

} // namespace compressc
