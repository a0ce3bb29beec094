// Operands of the model's kernels that are more than arrays, known to fit. Whoever fills them has checked them:
// read_linear.cpp and its like those of a schedule, the compiler those of an emitted program. Plain types: emitted CUDA
// programs are compiled with this header.
#pragma once

#include "compressc/runtime/operand_types.h"
#include "weight_matrix.h"

namespace compressc {

/// Rows of activations, in fp32 or in bf16.
struct Activations {
  void *data = nullptr;
  DType type = DType::F32;
  float *floats() const { return static_cast<float *>(data); }
};

/// out = x * w^T + bias + residual, or with a gate activation(x * gate^T + gateBias) * (x * w^T + bias).
struct LinearProduct {
  const WeightMatrix *w = nullptr;
  const float *bias = nullptr;     // [w.rows]
  const float *residual = nullptr; // [rows, w.rows]; may be `out` itself
  const WeightMatrix *gate = nullptr; // of w's shape
  const float *gateBias = nullptr;
  Activation activation = Activation::Silu;
  Activations out; // [rows, w.rows]; only a gated one may be bf16
};

/// A linear: one x, any number of products, which overlap neither x nor each other.
struct LinearOperands {
  Activations x; // [rows, depth]; bf16 only without a norm and in bf16 or fp8
  int64_t rows = 0;
  int64_t depth = 0;
  const float *norm = nullptr; // [depth]: x is normalised first (rms_norm)
  float epsilon = 0;
  Compute compute = Compute::F32;
  /// Columns of the one product that are wanted, inside it; none: all. The others are left as they are.
  const int32_t *answers = nullptr;
  int64_t answerCount = 0;
  const LinearProduct *products = nullptr;
  int count = 0;
};
/// Products of one linear at most.
constexpr int mostProducts = 32;

struct Rotation {
  int64_t dim = 0;                    // of a head
  const float *frequencies = nullptr; // [dim / 2], in the host's memory; null: nothing is rotated
  float factor = 1;                   // of sine and cosine
  bool selected = false;              // x has the batch's selected rows only
  const float *norm = nullptr;        // [dim]: each head is normalised first
  float epsilon = 0;
};

struct AttentionOperands {
  const float *query = nullptr; // [rows or selected rows, queries * dim]
  const float *key = nullptr;   // [rows, groups * dim]
  const float *value = nullptr; // likewise
  Activations out;              // as query
  CacheView cache;
  int64_t queries = 0; // heads
  int64_t groups = 0;  // key/value heads
  int64_t dim = 0;
  int64_t window = 0; // 0: unlimited
  float scale = 1;
  bool selected = false;
  /// With frequencies, query and key are rotated first: `rotation` is the query's, and so the key's but for its norm.
  Rotation rotation;
  const float *keyNorm = nullptr; // [dim], where rotation has a norm

  Rotation keyRotation() const {
    Rotation key = rotation;
    key.selected = false;
    key.norm = keyNorm;
    return key;
  }
};

} // namespace compressc
