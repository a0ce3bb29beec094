// The kernels' view of a weight.
#pragma once

#include "../ops/weight_matrix.h"
#include "kernels.h"

namespace compressc::cuda {

inline Matrix matrixOf(const WeightMatrix &w) {
  return {w.dtype,         w.rows, w.columns, w.rowBytes, static_cast<const uint8_t *>(w.data), w.packed.bits, int(w.packed.group),
          w.packed.scaleType, w.scales, w.zeros};
}

} // namespace compressc::cuda
