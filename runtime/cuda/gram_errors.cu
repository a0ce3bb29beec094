// Errors of weights and what they cost: rows of E in bf16 or fp32 for a product with the Gram matrix, and the sum over
// that.
#include "calibration.h"
#include "for_each.cuh"
#include "fours.cuh"
#include "quantizer.cuh"

namespace compressc::cuda {
namespace {

__global__ void __launch_bounds__(threads) HalveKernel(const float *gram, int64_t width, int64_t panel, void *half, DType type) {
  int64_t column = int64_t(blockIdx.x) * threads + threadIdx.x, row = blockIdx.y;
  int64_t block = row / panel, columnBlock = column / panel;
  if (column >= width || columnBlock > block)
    return;
  float value = gram[row * width + column];
  PutAt(half, type, row * width + column, columnBlock == block ? 0.5f * value : value);
}

template <int vector> __device__ __forceinline__ void StoreErrors(void *out, DType type, int64_t at, const float (&v)[vector]) {
  if constexpr (vector == 1)
    PutAt(out, type, at, v[0]);
  else if (type == DType::F32)
    Put4(static_cast<float *>(out) + at, {v[0], v[1], v[2], v[3]});
  else
    Put4(static_cast<__nv_bfloat16 *>(out) + at, {v[0], v[1], v[2], v[3]});
}

template <int vector>
__global__ void __launch_bounds__(threads) WeightRowsKernel(Matrix w, int64_t begin, int64_t count, int64_t origin,
                                                            void *out, DType type, int64_t *bad) {
  int64_t at = (int64_t(blockIdx.x) * threads + threadIdx.x) * vector;
  if (at >= count * w.columns)
    return;
  float v[vector];
  LoadPlain<vector>(w, begin, at, v); // rows are contiguous
#pragma unroll
  for (int i = 0; i < vector; ++i)
    if (!IsFinite(v[i]))
      NoteBad(bad, origin * w.columns + at + i);
  StoreErrors<vector>(out, type, at, v);
}

/// A warp for each group. `once`: the group has as many columns as the warp reads at once, or fewer, and is kept.
template <int vector, bool once>
__global__ void __launch_bounds__(threads) ScaledErrorKernel(Matrix w, int64_t begin, int64_t count, const float *scales,
                                                             const float *inverse, QuantizerFormat format, int64_t group,
                                                             void *out, DType type) {
  int64_t groups = w.columns / group, at = (int64_t(blockIdx.x) * threads + threadIdx.x) / 32;
  if (at >= count * groups)
    return;
  int64_t row = at / groups, first = at % groups * group;
  int lane = threadIdx.x % 32;
  float low = 0, high = 0, v[vector], scaled[vector], back[vector];
  auto load = [&](int64_t k) {
    LoadPlain<vector>(w, begin + row, first + k, v);
    LoadFloats<vector>(scales, first + k, scaled);
#pragma unroll
    for (int i = 0; i < vector; ++i)
      scaled[i] = __fmul_rn(v[i], scaled[i]);
  };
  for (int64_t k = lane * vector; k < group; k += 32 * vector) {
    load(k);
#pragma unroll
    for (int i = 0; i < vector; ++i) {
      low = fminf(low, scaled[i]);
      high = fmaxf(high, scaled[i]);
    }
    if (once)
      break;
  }
  Quantizer quantizer = ChooseQuantizer(WarpMin(low), WarpMax(high), format);
  float maxCode = format.maxCode(), inverseScale = 1.0f / quantizer.scale;
  for (int64_t k = lane * vector; k < group; k += 32 * vector) {
    if (!once)
      load(k);
    LoadFloats<vector>(inverse, first + k, back);
#pragma unroll
    for (int i = 0; i < vector; ++i)
      v[i] = fmaf(NearLevel(scaled[i], quantizer, inverseScale, maxCode) * quantizer.scale, back[i], -v[i]);
    StoreErrors<vector>(out, type, row * w.columns + first + k, v);
    if (once)
      break;
  }
}

template <typename Loader, typename Original>
__global__ void __launch_bounds__(threads) DifferenceKernel(Matrix changed, Matrix w, int64_t begin, int64_t count,
                                                            void *out, DType type, int64_t *bad) {
  int64_t octets = (w.columns + 7) / 8, at = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (at >= count * octets)
    return;
  int64_t row = at / octets, column = at % octets * 8;
  float to[8], from[8];
  Loader::load(changed, begin + row, column, to);
  Original::load(w, begin + row, column, from);
#pragma unroll
  for (int i = 0; i < 8; ++i)
    if (column + i < w.columns) {
      if (!IsFinite(to[i]))
        NoteBad(bad, (begin + row) * w.columns + column + i);
      PutAt(out, type, row * w.columns + column + i, to[i] - from[i]);
    }
}

/// A block for each row. Some products are added in fp32, sums of these in fp64.
template <int vector, typename T>
__global__ void __launch_bounds__(threads) RowSumsKernel(const T *a, const T *b, int64_t columns, double *sums) {
  a += blockIdx.x * columns, b += blockIdx.x * columns;
  double sum = 0;
  for (int64_t k = threadIdx.x * vector; k < columns; k += threads * vector) {
    if constexpr (vector == 8) {
      uint4 x = *reinterpret_cast<const uint4 *>(a + k), y = *reinterpret_cast<const uint4 *>(b + k);
      uint32_t xs[4] = {x.x, x.y, x.z, x.w}, ys[4] = {y.x, y.y, y.z, y.w};
      float part = 0;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        float2 p = Unpack<T>(xs[i]), q = Unpack<T>(ys[i]);
        part = fmaf(p.x, q.x, part);
        part = fmaf(p.y, q.y, part);
      }
      sum += part;
    } else {
      sum += ToFloat(a[k]) * ToFloat(b[k]);
    }
  }
  sum = BlockSum<threads>(sum);
  if (threadIdx.x == 0)
    sums[blockIdx.x] = 2 * sum;
}

__global__ void __launch_bounds__(threads) TotalKernel(const double *sums, int64_t count, double *total) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += threads)
    sum += sums[i];
  sum = BlockSum<threads>(sum);
  if (threadIdx.x == 0)
    *total = sum;
}

} // namespace

void HalveGram(cudaStream_t stream, const float *gram, int64_t width, int64_t panel, void *half, DType type) {
  Launch(HalveKernel, dim3(BlocksFor(width), unsigned(width)), threads, 0, stream, gram, width, panel, half, type);
}

void WeightRows(cudaStream_t stream, const Matrix &w, int64_t begin, int64_t count, int64_t origin, void *out, DType type,
                int64_t *bad) {
  WithVector(w, w.columns, [&](auto vector) {
    Launch(WeightRowsKernel<vector.value>, BlocksFor(count * w.columns / vector.value), threads, 0, stream, w, begin, count, origin, out, type, bad);
  });
}

void ScaledErrorRows(cudaStream_t stream, const Matrix &w, int64_t begin, int64_t count, const float *scales,
                     const float *inverse, const PackedFormat &format, void *out, DType type) {
  int64_t warps = count * (w.columns / format.group);
  WithVector(w, format.group, [&](auto vector) {
    auto *kernel = format.group <= 32 * vector.value ? ScaledErrorKernel<vector.value, true> : ScaledErrorKernel<vector.value, false>;
    Launch(kernel, BlocksFor(warps * 32), threads, 0, stream, w, begin, count, scales, inverse, formatOf(format), format.group,
                                                          out, type);
  });
}

void DifferenceRows(cudaStream_t stream, const Matrix &changed, const Matrix &w, int64_t begin, int64_t count, void *out,
                    DType type, int64_t *bad) {
  int64_t octets = count * ((w.columns + 7) / 8);
  auto launch = [&](auto loader, auto original) {
    Launch(DifferenceKernel<decltype(loader), decltype(original)>, BlocksFor(octets), threads, 0, stream, changed, w, begin, count, out, type, bad);
  };
  WithLoader(changed, [&](auto loader) {
    if (w.dtype == DType::F16)
      launch(loader, Loader<DType::F16, 0>{});
    else if (w.dtype == DType::BF16)
      launch(loader, Loader<DType::BF16, 0>{});
    else
      launch(loader, Loader<DType::F32, 0>{});
  });
}

void SumOfProducts(cudaStream_t stream, const void *a, const void *b, DType type, int64_t rows, int64_t columns, double *perRow,
                   double *sum) {
  auto launch = [&](auto *kernel, auto *x) {
    Launch(kernel, unsigned(rows), threads, 0, stream, x, static_cast<decltype(x)>(b), columns, perRow);
  };
  if (type == DType::F32)
    launch(RowSumsKernel<1, float>, static_cast<const float *>(a));
  else
    launch(columns % 8 == 0 ? RowSumsKernel<8, __nv_bfloat16> : RowSumsKernel<1, __nv_bfloat16>, static_cast<const __nv_bfloat16 *>(a));
  Launch(TotalKernel, 1, threads, 0, stream, perRow, rows, sum);
}

} // namespace compressc::cuda
