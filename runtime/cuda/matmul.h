// Matrix products by cuBLASLt, which is loaded when first needed: a program without it starts all the same.
#pragma once

#include "compressc/runtime/status.h"
#include "launch.h"
#include <memory>

namespace compressc::cuda {

class Matmul {
public:
  /// Finds the library where the dynamic linker does, or in the toolkit's folder.
  static StatusOr<std::unique_ptr<Matmul>> Load();
  virtual ~Matmul() = default;

  /// out[m, n] = x[m, :] . w[n, :] (+ out[m, n] with `accumulate`). x and w are of `type`, out is of `outType`;
  /// sums are fp32.
  virtual Status run(cudaStream_t stream, int64_t m, int64_t n, int64_t k, const void *x, const void *w, DType type,
                     void *out, DType outType, bool accumulate) = 0;
};

} // namespace compressc::cuda
