// What the CUDA sources offer to calibration and weight expressions; see launch.h. `bad` is the index of the first
// element that is NaN or infinite: INT64_MAX before, and only ever made smaller.
#pragma once

#include "kernels.h"

namespace compressc::cuda {

// calibration.cu
void FindNonFinite(cudaStream_t stream, const float *values, int64_t count, int64_t *bad);
/// sums[k] += the sum of |x[:, k]|. `partial` has room for PartialSums(rows) x columns.
void AddColumnMagnitudes(cudaStream_t stream, const float *x, int64_t rows, int64_t columns, double *partial,
                         float *sums, int64_t *bad);
int64_t PartialSums(int64_t rows);
/// partial[PartialSums(rows), columns] = sums of |w| / (largest |w| of its group); `largest` has room for each group's.
void SumMagnitudes(cudaStream_t stream, const Matrix &w, int64_t group, float *largest, double *partial, int64_t *bad);
/// out[k] = the sum of `count` partial sums.
void SumPartial(cudaStream_t stream, const double *partial, int64_t count, int64_t columns, double *out);
/// What lies above the diagonal becomes what lies below it.
void MirrorLower(cudaStream_t stream, float *gram, int64_t width);
/// The influence (mean, count) of some more rows; `distances` has room for one for each.
void AddCosines(cudaStream_t stream, const float *x, const float *y, int64_t rows, int64_t width, double *distances,
                float *influence, int64_t *bad);
/// gram / (s sᵀ) and absSum / |s|, in fp64; `bad` is a column.
void ScaleGram(cudaStream_t stream, const float *gram, const float *absSum, const float *scales, int64_t width,
               float *toGram, float *toAbsSum, int64_t *bad);

// gram_errors.cu
/// The blocks of G under the diagonal and half of those on it, in this type, BF16 or F32; the rest is not written.
void HalveGram(cudaStream_t stream, const float *gram, int64_t width, int64_t panel, void *half, DType type);
/// Rows [begin, begin + count) of E in this type: the weight's; Q(W·s)·(1/s) − W; V − W. `bad` counts from row `origin`
/// of the whole.
void WeightRows(cudaStream_t stream, const Matrix &w, int64_t begin, int64_t count, int64_t origin, void *out, DType type,
                int64_t *bad);
void ScaledErrorRows(cudaStream_t stream, const Matrix &w, int64_t begin, int64_t count, const float *scales,
                     const float *inverse, const PackedFormat &format, void *out, DType type);
void DifferenceRows(cudaStream_t stream, const Matrix &changed, const Matrix &w, int64_t begin, int64_t count, void *out,
                    DType type, int64_t *bad);
/// sum[0] = 2 Σ a·b over rows of this type; `perRow` has room for one sum for each.
void SumOfProducts(cudaStream_t stream, const void *a, const void *b, DType type, int64_t rows, int64_t columns,
                   double *perRow, double *sum);

// clip.cu
/// out = the weight, each group clamped to its best range; sums = before, after, ratios (see ClipSums). `partial` has
/// room for 3 * ClipParts(...) numbers. Errors are products in this type, BF16 or F32.
void Clip(cudaStream_t stream, const Matrix &w, const float *gram, const PackedFormat &format, DType type, float *out,
          double *partial, double *sums, int64_t *bad);
int64_t ClipParts(int64_t rows, int64_t columns, int64_t group, DType type);

// quantize.cu
struct PackedOut {
  PackedFormat format;
  uint32_t *codes;
  void *scales;
  uint32_t *zeros; // null: symmetric
};
/// `quantizers` has room for two floats for each group. bad[0]: an element, bad[1]: a row whose scale is too large.
void Quantize(cudaStream_t stream, const Matrix &w, const PackedOut &out, float *quantizers, int64_t *bad);
/// The matrix in a plain type. `bad`: what is NaN or infinite in it.
void ConvertMatrix(cudaStream_t stream, const Matrix &w, void *out, DType type, int64_t *bad);
void ScaleColumns(cudaStream_t stream, const Matrix &w, const float *scales, float *out);
void ScaleRows(cudaStream_t stream, const Matrix &w, const float *scales, bool inverse, float *out);
/// out[h, i, d] = x[h, d] for `repeat` numbers i.
void ExpandHeads(cudaStream_t stream, const float *x, int64_t width, int64_t headDim, int64_t repeat, float *out);
/// out[columns, rows]; elements of 2 or 4 bytes.
void Transpose(cudaStream_t stream, const void *in, int64_t rows, int64_t columns, size_t size, void *out);

} // namespace compressc::cuda
