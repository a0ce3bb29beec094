// tr(E·G·Eᵀ): how much an error E of a weight changes the layer's output over all calibration
// tokens.
#pragma once

#include "compressc/runtime/kernel.h"
#include <functional>
#include <limits>

namespace compressc {

class GramForm {
public:
  /// `gram` is symmetric [width, width] and must outlive this object.
  GramForm(KernelContext &context, const float *gram, int64_t width)
      : context(context), gram(gram), width(width) {}

  /// Writes row `row` of E, [width]. Called on worker threads; may use the worker's scratch.
  using MakeRow = std::function<void(int64_t row, int worker, float *out)>;

  /// tr(E·G·Eᵀ); E is made row by row, a block at a time, and never stored whole. Each row adds 0
  /// or more, so the sum is given up, larger than `limit`, as soon as it exceeds `limit`. Uses the
  /// shared scratch.
  double trace(int64_t rows, const MakeRow &makeRow,
               double limit = std::numeric_limits<double>::infinity()) const;

private:
  KernelContext &context;
  const float *gram;
  int64_t width;
};

/// part / whole as a finite number, also where the whole is 0 (an input that is always 0).
float RelativeError(double part, double whole);

} // namespace compressc
