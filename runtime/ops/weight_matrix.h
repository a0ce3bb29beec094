// A weight as kernels read it, on the CPU and on devices. A plain struct: code of every instruction set and of nvcc
// can take it.
#pragma once

#include "compressc/runtime/tensor.h"

namespace compressc {

/// A checked [N, K] weight that matrix products read in place.
struct WeightMatrix {
  DType dtype = DType::F32;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t rowBytes = 0; // plain types, block formats and Packed codes
  const void *data = nullptr;
  // Packed only:
  PackedFormat packed;
  const void *scales = nullptr;
  const uint32_t *zeros = nullptr; // null when symmetric

  /// A plain matrix whose rows follow each other.
  static WeightMatrix Plain(DType dtype, const void *data, int64_t rows, int64_t columns) {
    WeightMatrix w;
    w.dtype = dtype;
    w.rows = rows;
    w.columns = columns;
    w.rowBytes = columns * int64_t(DTypeSize(dtype));
    w.data = data;
    return w;
  }
  /// A plain fp32 matrix whose rows are `stride` floats apart.
  static WeightMatrix FromFloats(const float *data, int64_t rows, int64_t columns, int64_t stride) {
    WeightMatrix w = Plain(DType::F32, data, rows, columns);
    w.rowBytes = stride * int64_t(sizeof(float));
    return w;
  }
};

} // namespace compressc
