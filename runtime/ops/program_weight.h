// Weights as emitted programs have them.
#pragma once

#include "operands.h"

namespace compressc {

/// A weight as kernels take it, made once for a session.
struct ProgramWeight {
  Tensor tensor;
  WeightMatrix matrix; // rank 2
  Floats vector;       // rank 1

  static StatusOr<ProgramWeight> Create(const Tensor &tensor, std::string_view what);
};

} // namespace compressc
