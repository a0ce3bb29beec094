// Statistics of activations and weights. Sums over rows are made in two stages in one order, so that the same input
// gives the same bits.
#include "calibration.h"
#include "for_each.cuh"
#include "quantizer.cuh"
#include "transpose.cuh"

namespace compressc::cuda {
namespace {

constexpr int64_t rowsPerPart = 64;


__global__ void __launch_bounds__(threads) FindNonFiniteKernel(const float *values, int64_t count, int64_t *bad) {
  for (int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x; i < count; i += int64_t(gridDim.x) * threads)
    if (!IsFinite(values[i]))
      return NoteBad(bad, i);
}

/// partial[part, k] = the sum over the part's rows of value(row, k).
template <typename F>
__global__ void __launch_bounds__(threads) PartialSumsKernel(int64_t rows, int64_t columns, double *partial, F value) {
  int64_t column = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (column >= columns)
    return;
  int64_t begin = int64_t(blockIdx.y) * rowsPerPart, end = min(rows, begin + rowsPerPart);
  double sum = 0;
  for (int64_t row = begin; row < end; ++row)
    sum += value(row, column);
  partial[blockIdx.y * columns + column] = sum;
}

template <typename F>
void sumColumns(cudaStream_t stream, int64_t rows, int64_t columns, double *partial, F value) {
  Launch(PartialSumsKernel<F>, dim3(BlocksFor(columns), unsigned(PartialSums(rows))), threads, 0, stream, rows, columns, partial, value);
}

__device__ __forceinline__ double sumOfParts(const double *partial, int64_t count, int64_t columns, int64_t column) {
  double sum = 0;
  for (int64_t part = 0; part < count; ++part)
    sum += partial[part * columns + column];
  return sum;
}

/// A warp for each group.
template <int vector>
__global__ void __launch_bounds__(threads) LargestKernel(Matrix w, int64_t group, float *largest, int64_t *bad) {
  int64_t groups = w.columns / group, at = (int64_t(blockIdx.x) * threads + threadIdx.x) / 32;
  if (at >= w.rows * groups)
    return;
  int64_t row = at / groups, begin = at % groups * group;
  float most = 0;
  for (int64_t k = threadIdx.x % 32 * vector; k < group; k += 32 * vector) {
    float v[vector];
    LoadPlain<vector>(w, row, begin + k, v);
#pragma unroll
    for (int i = 0; i < vector; ++i) {
      if (!IsFinite(v[i]))
        NoteBad(bad, row * w.columns + begin + k + i);
      most = fmaxf(most, fabsf(v[i]));
    }
  }
  most = WarpMax(most);
  if (threadIdx.x % 32 == 0)
    largest[at] = most;
}

/// A block copies one tile below the diagonal to its place above it.
__global__ void __launch_bounds__(transposeThreads) MirrorKernel(float *gram, int64_t width) {
  if (blockIdx.x <= blockIdx.y)
    TransposeTile(gram, width, width, gram, [](int64_t row, int64_t column) { return row > column; });
}

__global__ void __launch_bounds__(threads) CosineKernel(const float *x, const float *y, int64_t width, double *distances,
                                                        int64_t *bad) {
  const float *a = x + blockIdx.x * width, *b = y + blockIdx.x * width;
  double aa = 0, bb = 0, ab = 0;
  for (int64_t k = threadIdx.x; k < width; k += threads) {
    aa += double(a[k]) * a[k];
    bb += double(b[k]) * b[k];
    ab += double(a[k]) * b[k];
  }
  aa = BlockSum<threads>(aa), bb = BlockSum<threads>(bb), ab = BlockSum<threads>(ab);
  if (threadIdx.x != 0)
    return;
  double distance = aa != 0 && bb != 0 ? 1 - ab / sqrt(aa * bb) : aa == bb ? 0 : 1;
  if (!isfinite(distance))
    NoteBad(bad, blockIdx.x);
  distances[blockIdx.x] = distance;
}

__global__ void __launch_bounds__(threads) AddCosinesKernel(const double *distances, int64_t rows, float *influence) {
  double sum = 0;
  for (int64_t row = threadIdx.x; row < rows; row += threads)
    sum += distances[row];
  sum = BlockSum<threads>(sum);
  if (threadIdx.x != 0)
    return;
  double mean = influence[0], count = influence[1];
  influence[0] = float((mean * count + sum) / (count + double(rows)));
  influence[1] += float(rows);
}

__global__ void __launch_bounds__(threads) ScaleGramKernel(const float *gram, const float *absSum, const float *scales,
                                                           int64_t width, float *toGram, float *toAbsSum, int64_t *bad) {
  int64_t column = int64_t(blockIdx.x) * threads + threadIdx.x, row = blockIdx.y;
  if (column >= width)
    return;
  float value = float(gram[row * width + column] / (double(scales[row]) * scales[column]));
  toGram[row * width + column] = value;
  bool good = IsFinite(value);
  if (column == 0) {
    float sum = float(absSum[row] / fabs(double(scales[row])));
    toAbsSum[row] = sum;
    good &= IsFinite(sum);
  }
  if (!good)
    NoteBad(bad, row);
}

} // namespace

int64_t PartialSums(int64_t rows) { return (rows + rowsPerPart - 1) / rowsPerPart; }

void FindNonFinite(cudaStream_t stream, const float *values, int64_t count, int64_t *bad) {
  Launch(FindNonFiniteKernel, min(BlocksFor(count), 4096u), threads, 0, stream, values, count, bad);
}

void AddColumnMagnitudes(cudaStream_t stream, const float *x, int64_t rows, int64_t columns, double *partial,
                         float *sums, int64_t *bad) {
  sumColumns(stream, rows, columns, partial,
             [=] __device__(int64_t row, int64_t column) { return double(fabsf(x[row * columns + column])); });
  ForEach(stream, columns, [=, parts = PartialSums(rows)] __device__(int64_t column) {
    auto sum = float(sumOfParts(partial, parts, columns, column));
    if (!IsFinite(sum))
      NoteBad(bad, column);
    sums[column] += sum;
  });
}

void SumMagnitudes(cudaStream_t stream, const Matrix &w, int64_t group, float *largest, double *partial, int64_t *bad) {
  int64_t groups = w.columns / group;
  WithVector(w, group, [&](auto vector) {
    Launch(LargestKernel<vector.value>, BlocksFor(w.rows * groups * 32), threads, 0, stream, w, group, largest, bad);
  });
  sumColumns(stream, w.rows, w.columns, partial, [=] __device__(int64_t row, int64_t column) {
    float value = fabsf(PlainAt(w.data, w.dtype, row * w.columns + column));
    return double(__fdiv_rn(value, largest[row * groups + column / group] + 1e-6f));
  });
}

void SumPartial(cudaStream_t stream, const double *partial, int64_t count, int64_t columns, double *out) {
  ForEach(stream, columns, [=] __device__(int64_t column) { out[column] = sumOfParts(partial, count, columns, column); });
}

void MirrorLower(cudaStream_t stream, float *gram, int64_t width) {
  unsigned tiles = unsigned((width + transposeTile - 1) / transposeTile);
  Launch(MirrorKernel, dim3(tiles, tiles), transposeThreads, 0, stream, gram, width);
}

void AddCosines(cudaStream_t stream, const float *x, const float *y, int64_t rows, int64_t width, double *distances,
                float *influence, int64_t *bad) {
  Launch(CosineKernel, unsigned(rows), threads, 0, stream, x, y, width, distances, bad);
  Launch(AddCosinesKernel, 1, threads, 0, stream, distances, rows, influence);
}

void ScaleGram(cudaStream_t stream, const float *gram, const float *absSum, const float *scales, int64_t width,
               float *toGram, float *toAbsSum, int64_t *bad) {
  Launch(ScaleGramKernel, dim3(BlocksFor(width), unsigned(width)), threads, 0, stream, gram, absSum, scales, width, toGram,
                                                                                 toAbsSum, bad);
}

} // namespace compressc::cuda
