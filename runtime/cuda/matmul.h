// Matrix products by cuBLASLt, which is loaded when first needed: a program without it starts all the same.
#pragma once

#include "compressc/runtime/status.h"
#include "kernels.h"
#include <memory>

namespace compressc::cuda {

/// out[m, n] = x[m, :] . w[n, :] (+ out[m, n] with `accumulate`). x and w are of `type`, out is of `outType`, sums are
/// fp32; the rows of each lie `ld…` elements apart. `transposed`: x and w lie as [k, m] and [k, n].
struct Product {
  int64_t m, n, k;
  const void *x;
  int64_t ldx;
  const void *w;
  int64_t ldw;
  DType type;
  void *out;
  int64_t ldo;
  DType outType;
  bool accumulate = false, transposed = false;
};

class Matmul {
public:
  /// That it takes of the GPU's memory: what NVIDIA advises for Hopper.
  static constexpr size_t workspaceBytes = size_t(32) << 20;
  /// Finds the library where the dynamic linker does, or in the toolkit's folder.
  static StatusOr<std::unique_ptr<Matmul>> Load();
  virtual ~Matmul() = default;

  virtual Status run(cudaStream_t stream, const Product &product) = 0;
  /// Of matrices without gaps between their rows.
  Status run(cudaStream_t stream, int64_t m, int64_t n, int64_t k, const void *x, const void *w, DType type, void *out,
             DType outType, bool accumulate) {
    return run(stream, {m, n, k, x, k, w, k, type, out, n, outType, accumulate});
  }
};

} // namespace compressc::cuda
