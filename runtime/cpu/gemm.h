// Matrix products of fp32 activations with weights of any type, shared by the model's kernels and
// the compression kernels.
#pragma once

#include "../ops/model_operands.h"
#include "compressc/runtime/kernel.h"

namespace compressc {

struct Int8Rows;

/// Added to the product before the store, in this order.
struct GemmEpilogue {
  const float *bias = nullptr;     // [N]
  const float *residual = nullptr; // [M, N]; may be `out` itself
  int64_t residualStride = 0;      // floats between its rows

  /// For the part of the result that begins at this element.
  GemmEpilogue from(int64_t row, int64_t column) const {
    return {bias ? bias + column : nullptr,
            residual ? residual + row * residualStride + column : nullptr, residualStride};
  }
};

/// One of several products of the same x.
struct GemmProduct {
  const WeightMatrix *w = nullptr;
  const Int8Rows *int8 = nullptr; // x in the format of w, to compute in int8
  bool bf16 = false;              // x holds numbers of bf16; round the weights to them too
  int64_t columns = 0; // N: the weight's rows, or fewer leading ones of them
  float *out = nullptr;
  int64_t ldo = 0;
  GemmEpilogue epilogue;
  /// When set, of w's shape: out = activation(x * gate^T + gateBias) * (x * w^T + bias).
  const WeightMatrix *gate = nullptr;
  const Int8Rows *gateInt8 = nullptr;
  const float *gateBias = nullptr;
  Activation activation = Activation::Silu;
};

/// out[M,N] = x[M,K] * w[N,K]^T (+ bias) (+ residual) for every product, with the bits that each has
/// alone. K is the weights', or fewer leading columns of them. Every element is summed over k in one
/// order that depends on neither M, N nor the number of threads: a row has the same bits in every
/// batch. Uses the workers' scratch, not the shared one; no `out` may overlap x, a weight or another
/// `out`.
void Gemm(KernelContext &context, int64_t M, int64_t K, const float *x, int64_t ldx,
          absl::Span<const GemmProduct> products);

/// One product.
void Gemm(KernelContext &context, int64_t M, int64_t N, int64_t K, const float *x, int64_t ldx,
          const WeightMatrix &w, float *out, int64_t ldo, const GemmEpilogue &epilogue = {});

/// gram[K,K] += x^T x over T rows; both halves are written, with the same bits. The order of the
/// sums does not depend on the number of threads. Uses the workers' scratch.
void SyrkAccumulate(KernelContext &context, int64_t T, int64_t K, const float *x, int64_t ldx,
                    float *gram);

} // namespace compressc
