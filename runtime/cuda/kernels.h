// What the CUDA sources offer to the device: every function enqueues kernels on a stream. Pointers are
// device memory unless named otherwise; matrices are row-major. A `DType` of activations is F32, or
// the 16-bit type that the device computes in (`half`), BF16 or F16.
#pragma once

#include "compressc/runtime/operand_types.h"
#include "compressc/runtime/row_score.h"
#include "compressc/runtime/tensor.h"
#include <cuda_runtime_api.h>

namespace compressc::cuda {

/// A weight [rows, columns] as checkpoints store it; see WeightMatrix.
struct Matrix {
  DType dtype;
  int64_t rows, columns, rowBytes;
  const uint8_t *data;
  int bits, group; // packed
  DType scaleType;
  const void *scales;
  const uint32_t *zeros; // null: symmetric
};

// weights.cu
/// out[i, :] = row rowIndex[i] of the matrix, fp32; without an index row i.
void GatherRows(cudaStream_t stream, const Matrix &w, const int32_t *rowIndex, int64_t count, float *out);
/// The whole matrix in this type.
void Expand(cudaStream_t stream, const Matrix &w, void *out, DType type);
/// out[m, n] = x[m, :] . w[n, :] + bias[n] + residual[m, n] for the rows n of w that `index` names (null: all,
/// and `count` is then w.rows): out has `ldo` columns and column index[n] is written. For few rows m.
struct SmallProduct {
  Matrix w;
  const int32_t *index;
  int64_t count;
  const float *bias, *residual;
  float *out;
  int64_t ldo;
};
void MultiplyFewRows(cudaStream_t stream, const float *x, int64_t rows, const SmallProduct &product);

// stream_products.cu
/// out[m, n] = x[m, :] . w[n, :] + bias[n] + residual[m, n], or with a gate
/// activation(x . gate + gateBias) * (x . w + bias), of few rows x; out [rows, w.rows].
struct StreamedProduct {
  Matrix w, gate;
  Activation activation;
  const float *bias, *gateBias, *residual;
  void *out;
  DType outType;
};
/// By 4-bit weights, and by others.
constexpr int mostStreamedRows = 4, mostPlainRows = 16;
/// x [rows, columns], with a norm [columns] fp32 and normalised first (rms_norm).
struct StreamedRows {
  const void *data;
  DType type;
  int rows;
  const float *norm;
  float epsilon;
};
/// 4-bit weights in groups of a multiple of 32, bf16, and fp16 where `half` is.
bool CanStream(const StreamedProduct &product, DType half);
/// How many rows are streamed by this weight.
inline int StreamedRowsOf(const Matrix &w) { return w.dtype == DType::Packed ? mostStreamedRows : mostPlainRows; }
/// What they need of scratch memory: x in 16 bits, and 8 bytes for at least 32 columns of it.
inline size_t StreamScratchBytes(int64_t rows, int64_t depth) { return size_t(rows * depth * 2 + rows * (depth / 32) * 8); }
void StreamProducts(cudaStream_t stream, const StreamedRows &x, const StreamedProduct *products, int count, DType half,
                    void *scratch);

/// Words of codes that a lane takes from a chunk of 4-bit weights, 8 of plain ones; 0: not of a form that is streamed.
int WordsOf(const Matrix &w);
/// Whether one launch can read both.
bool SameForm(const Matrix &a, const Matrix &b);

// batch_products.cu
/// The same for up to 64 rows, by 4-bit weights.
constexpr int mostBatchRows = 64;
bool CanMultiplyBatch(int64_t rows, const StreamedProduct *products, int count);
int64_t BatchScratchBytes(int64_t rows, const StreamedProduct *products, int count);
/// Counters that are 0 between launches; there may be none.
int BatchCounters(int64_t rows, const StreamedProduct *products, int count);
void MultiplyBatch(cudaStream_t stream, const StreamedRows &x, const StreamedProduct *products, int count, DType half, void *scratch,
                   int32_t *counters);

// rows.cu
void SelectRows(cudaStream_t stream, const float *x, int64_t width, const int32_t *rows, int64_t count, float *out);
/// Each run of `run` columns by itself; out is of `type`.
void RmsNorm(cudaStream_t stream, const float *x, int64_t rows, int64_t width, const float *weight, int64_t run,
             float epsilon, void *out, DType type);
void LayerNorm(cudaStream_t stream, const float *x, int64_t rows, int64_t width, const float *weight,
               const float *bias, float epsilon, float *out);
/// From or to F32, or between equal types.
void Convert(cudaStream_t stream, const void *x, DType from, int64_t count, void *out, DType to);
void Add(cudaStream_t stream, const float *a, const float *b, int64_t count, float *out);
void Scale(cudaStream_t stream, float factor, int64_t count, float *values);
void Mul(cudaStream_t stream, const float *a, const float *b, int64_t count, float *out);
/// gate and up are of `type`; their biases may be null. out = activation(gate + gateBias) * (up + upBias).
void GatedActivation(cudaStream_t stream, Activation kind, const void *gate, const void *up, DType type,
                     const float *gateBias, const float *upBias, int64_t rows, int64_t width, void *out, DType outType);
/// out[m, n] = bias[n] + residual[m, n]; residual may be null or out.
void AddBias(cudaStream_t stream, const float *bias, const float *residual, int64_t rows, int64_t width, float *out);
/// Half-split pairs; angle = position * frequency. With `norm` [dim] each head is normalised first (rms_norm).
struct Rotary {
  int64_t dim;
  const float *frequencies;
  float factor;
  const int32_t *positions;
  const float *norm;
  float epsilon;
};
void RotaryEmbedding(cudaStream_t stream, const float *x, int64_t rows, int64_t width, const Rotary &rotary, float *out);
/// Of the rows `rows` of logits [_, width]: what they are normalised by (null: not wanted), and the logits in
/// `columns` [count, perRow].
void ScoreRows(cudaStream_t stream, const float *logits, int64_t width, const int32_t *rows, int64_t count,
               const int32_t *columns, int64_t perRow, RowScore *scores, float *out);

// prepare_attention.cu
/// Rotates keys and writes them and the values to the cache, as RotaryEmbedding and WriteCache do, and rotates queries.
/// Heads have 64 or 128 columns.
struct AttentionInputs {
  const float *query, *key, *value; // [queries, heads * dim], [rows, groups * dim] twice
  int32_t rows, queries, heads, groups;
  bool selected;                 // queries are of selected rows; else of the keys' rows
  Rotary queryRotary, keyRotary; // alike but for positions, where selected, and the weights of norms
  const int32_t *slots;          // of the rows
  void *keys, *values;           // the cache, of `type`
  DType type;
  void *rotated; // queries, of rotatedType: F32 or `type`
  DType rotatedType;
};
constexpr bool CanPrepareAttention(int64_t dim) { return dim == 64 || dim == 128; }
void PrepareAttention(cudaStream_t stream, const AttentionInputs &inputs);

// attention.cu
/// Rows of k and v [rows, width] go to the slots of a cache of `type`.
void WriteCache(cudaStream_t stream, const float *k, const float *v, int64_t rows, int64_t width,
                const int32_t *slots, void *keys, void *values, DType type);
/// Up to `queryTileRows` neighbouring query rows of one sequence.
struct QueryTile {
  int32_t row, rows;    // of q
  int32_t position;     // of the first row
  int32_t keys;         // first of the sequence's keys in the list of slots, by position
};
constexpr int queryTileRows = 64;
struct Attention {
  const void *query; // [rows, heads * dim], of queryType
  DType queryType;   // F32, or `type` where AttendsInTiles
  void *out;         // as query, of outType
  DType outType;
  const void *keys, *values; // [slots, groups * dim]
  DType type;
  int32_t heads, groups, dim, window;
  float scale;
  const int32_t *slots;    // of every sequence's keys, in order
  const QueryTile *tiles;
  int32_t tileCount, rows; // rows: of all tiles
  float *splits;           // scratch
  int32_t *counters;
};
/// Scratch of attentions with one query for each tile: floats, and counters that are 0 between launches.
constexpr int mostSplits = 32;
inline int64_t SplitFloats(const Attention &a) { return int64_t(a.tileCount) * a.heads * mostSplits * (a.dim + 2); }
inline int64_t SplitCounters(const Attention &a) { return int64_t(a.tileCount) * a.groups; }
/// Whether it runs on tensor cores: caches of 16 bits, heads of 64 or 128, and more than a few rows for each tile.
bool AttendsInTiles(const Attention &attention);
/// Causal attention.
void Attend(cudaStream_t stream, const Attention &attention);

} // namespace compressc::cuda
