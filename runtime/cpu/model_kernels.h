// What the model's kernels compute, on operands that are known to fit: the table's kernels check theirs
// first, compiled programs were checked when they were compiled. Where the context has a device, that one
// computes, and all pointers but those of tokens and of a rotation's frequencies are its memory.
#pragma once

#include "gemm.h"
#include "isa/functions.h"

namespace compressc {

/// out[r, :] = scale * row tokens[r] of the table; tokens are inside it.
void Embedding(KernelContext &context, const int32_t *tokens, int64_t rows, const WeightMatrix &table,
               float *out, float scale = 1);
/// The index of the first token that the table has no row for, or -1.
int64_t FirstTokenOutside(const int32_t *tokens, int64_t count, int64_t tableRows);

/// The batch's selected rows of x [rows, width].
void SelectRows(KernelContext &context, const float *x, int64_t width, float *out);

/// Each run of `run` columns by itself; `out` may be x.
void RmsNorm(KernelContext &context, const float *x, int64_t rows, int64_t width, const float *weight,
             int64_t run, float epsilon, float *out);
/// `bias` may be null; `out` may be x.
void LayerNorm(KernelContext &context, const float *x, int64_t rows, int64_t width, const float *weight,
               const float *bias, float epsilon, float *out);

/// Elementwise over `count` floats in rows of `width`; `out` may be an input.
void Add(KernelContext &context, const float *a, const float *b, int64_t rows, int64_t width, float *out);
void Mul(KernelContext &context, const float *a, const float *b, int64_t rows, int64_t width, float *out);
void GatedActivation(KernelContext &context, Activation kind, const float *gate, const float *up,
                     int64_t rows, int64_t width, float *out);

/// A linear, its norm before and what follows; see GemmProduct.
struct LinearOperands {
  Activations x; // [rows, depth]; bf16 only without a norm and in bf16 or fp8
  int64_t rows;
  int64_t depth;
  const float *norm = nullptr; // [depth]: x is normalised first
  float epsilon = 0;
  bool inInt8 = false; // products of quantised weights with x rounded to 8 bits
  bool inBf16 = false; // products of weights and x rounded to bf16
  bool inFp8 = false;  // products of weights in fp32 and x rounded to bf16, then to e4m3
  /// Columns of the one product that are wanted, inside it; none: all. The others are left as they are.
  absl::Span<const int32_t> answers = {};
};
/// The products overlap neither x nor each other; a residual may be its own output. Only a gated one may
/// give bf16. Sets their int8 and bf16.
void Linear(KernelContext &context, const LinearOperands &operands, absl::Span<GemmProduct> products);

struct Rotation {
  int64_t dim = 0;                    // of a head
  const float *frequencies = nullptr; // [dim / 2]
  float factor = 1;                   // of sine and cosine
  bool selected = false;              // x has the batch's selected rows only
  const float *norm = nullptr;        // [dim]: each head is normalised first
  float epsilon = 0;
};
/// `out` may be x.
void RotaryEmbedding(KernelContext &context, const float *x, int64_t rows, int64_t width,
                     const Rotation &rotation, float *out);

struct AttentionOperands {
  const float *query; // [rows or selected rows, queries * dim]
  const float *key;   // [rows, groups * dim]
  const float *value; // likewise
  Activations out;    // as query
  CacheView cache;
  int64_t queries; // heads
  int64_t groups;  // key/value heads
  int64_t dim;
  int64_t window = 0; // 0: unlimited
  float scale;
  bool selected = false;
  /// With frequencies, query and key are rotated first: `rotation` is the query's, and so the key's but for its norm.
  Rotation rotation = {};
  const float *keyNorm = nullptr; // [dim], where rotation has a norm

  Rotation keyRotation() const {
    return {rotation.dim, rotation.frequencies, rotation.factor, false, keyNorm, rotation.epsilon};
  }
};
/// Writes keys and values to the cache, then attends. The batch's slots are inside the cache.
void Attention(KernelContext &context, const AttentionOperands &operands);

} // namespace compressc
