// What comes before an attention, in one launch: keys and values of new rows go to the cache, queries to where the
// attention reads them; keys and queries are rotated on the way, each head normalised first where there are norms.
// The bits are those of RotaryEmbedding, WriteCache and, of queries in 16 bits, of AttendTiles' own rounding.
#include "fours.cuh"
#include "kernels.h"
#include "launch.cuh"

namespace compressc::cuda {
namespace {

constexpr int threads = 256;

/// The sum of a head's squares, in each of its dim / 8 lanes: lane l has the columns 4l … 4l+3 of the first half in a and
/// of the second in b. Summed as RotaryKernel does, whose lanes are 32 columns apart: first what one of its lanes has, in
/// order, then lanes by pairs, the furthest apart first.
template <int dim> __device__ __forceinline__ float SumOfSquares(const float (&a)[4], const float (&b)[4]) {
  static_assert(dim == 64 || dim == 128);
  float sum[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if constexpr (dim == 64) {
      sum[i] = fmaf(b[i], b[i], fmaf(a[i], a[i], 0.0f));
    } else {
      bool later = threadIdx.x & 8; // columns 32 … 63 of the halves
      float otherA = __shfl_xor_sync(~0u, a[i], 8), otherB = __shfl_xor_sync(~0u, b[i], 8);
      float first = later ? otherA : a[i], second = later ? a[i] : otherA;
      float third = later ? otherB : b[i], fourth = later ? b[i] : otherB;
      sum[i] = fmaf(fourth, fourth, fmaf(third, third, fmaf(second, second, fmaf(first, first, 0.0f))));
    }
  }
#pragma unroll
  for (int step = 4; step; step /= 2)
#pragma unroll
    for (int i = 0; i < 4; ++i)
      sum[i] += __shfl_xor_sync(~0u, sum[i], step);
  return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

__device__ __forceinline__ void Get4(float (&to)[4], const float *from) {
  float4 v = cuda::Get4(from);
  to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
}
template <typename T> __device__ __forceinline__ void Put4(void *to, int64_t at, const float (&v)[4]) {
  cuda::Put4(static_cast<T *>(to) + at, {v[0], v[1], v[2], v[3]});
}

/// A block for each row and some of its heads: query heads, key heads, value heads. Selected queries have blocks behind
/// those of the keys. The angles once, then dim / 8 lanes for each head.
template <typename Query, typename T, int dim> __global__ void __launch_bounds__(threads) PrepareAttentionKernel(AttentionInputs in) {
  if (!IsForThisGpu<T>())
    return;
  constexpr int half = dim / 2, lanes = dim / 8, headsAtOnce = threads / lanes;
  __shared__ __align__(16) float angles[dim]; // cosines, then sines
  LetTheNextBegin();
  bool hasKeys = int(blockIdx.x) < in.rows, hasQueries = !in.selected || !hasKeys;
  int row = hasKeys ? int(blockIdx.x) : int(blockIdx.x) - in.rows;
  const Rotary &rotary = hasKeys ? in.keyRotary : in.queryRotary; // of the angles
  float position = float(rotary.positions[row]);
  for (int i = threadIdx.x; i < half; i += threads) {
    float sine, cosine;
    sincosf(position * rotary.frequencies[i], &sine, &cosine);
    angles[i] = cosine * rotary.factor;
    angles[half + i] = sine * rotary.factor;
  }
  int64_t slot = hasKeys ? in.slots[row] : 0;
  WaitForTheOneBefore(); // angles and slots are the batch's, which was there before
  __syncthreads();
  int first = hasQueries ? 0 : in.heads, end = in.heads + (hasKeys ? 2 * in.groups : 0), column = int(threadIdx.x) % lanes * 4;
  for (int base = first + int(blockIdx.y) * headsAtOnce; base < end; base += int(gridDim.y) * headsAtOnce) {
    int head = base + int(threadIdx.x) / lanes; // all lanes go on together, for the sums
    bool isQuery = head < in.heads, isValue = head >= in.heads + in.groups, exists = head < end;
    int group = head - in.heads - (isValue ? in.groups : 0);
    int64_t at = (isQuery ? int64_t(row) * in.heads + head : int64_t(row) * in.groups + group) * dim + column;
    const float *from = isQuery ? in.query : isValue ? in.value : in.key;
    float a[4] = {}, b[4] = {};
    if (exists) {
      Get4(a, from + at);
      Get4(b, from + at + half);
    }
    if (in.queryRotary.norm) {
      float scale = 1.0f / sqrtf(SumOfSquares<dim>(a, b) / float(dim) + in.queryRotary.epsilon);
      if (!isValue) {
        const float *norm = isQuery ? in.queryRotary.norm : in.keyRotary.norm;
        float forA[4], forB[4];
        Get4(forA, norm + column);
        Get4(forB, norm + half + column);
#pragma unroll
        for (int i = 0; i < 4; ++i)
          a[i] = a[i] * scale * forA[i], b[i] = b[i] * scale * forB[i];
      }
    }
    if (!isValue) {
      float cosines[4], sines[4];
      Get4(cosines, angles + column);
      Get4(sines, angles + half + column);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        float low = a[i], high = b[i];
        a[i] = fmaf(low, cosines[i], -__fmul_rn(high, sines[i]));
        b[i] = fmaf(high, cosines[i], __fmul_rn(low, sines[i]));
      }
    }
    if (!exists)
      continue;
    if (isQuery) {
      Put4<Query>(in.rotated, at, a);
      Put4<Query>(in.rotated, at + half, b);
    } else {
      void *cache = isValue ? in.values : in.keys;
      int64_t to = (slot * in.groups + group) * dim + column;
      Put4<T>(cache, to, a);
      Put4<T>(cache, to + half, b);
    }
  }
}

template <typename Query, typename T, int dim> void prepare(cudaStream_t stream, const AttentionInputs &in) {
  constexpr int headsAtOnce = threads / (dim / 8);
  int blocks = in.rows + (in.selected ? in.queries : 0), heads = in.heads + 2 * in.groups;
  int parts = blocks < 64 ? (heads + headsAtOnce - 1) / headsAtOnce : 1;
  if (blocks > 0)
    LaunchChained(PrepareAttentionKernel<Query, T, dim>, dim3(unsigned(blocks), unsigned(parts)), threads, 0, stream, in);
}

template <typename T> void prepare(cudaStream_t stream, const AttentionInputs &in, int64_t dim) {
  bool wide = in.rotatedType == DType::F32;
  if (dim == 64)
    return wide ? prepare<float, T, 64>(stream, in) : prepare<T, T, 64>(stream, in);
  return wide ? prepare<float, T, 128>(stream, in) : prepare<T, T, 128>(stream, in);
}

} // namespace

void PrepareAttention(cudaStream_t stream, const AttentionInputs &in) {
  if (in.type == DType::F32)
    prepare<float>(stream, in, in.keyRotary.dim);
  else
    WithHalf(in.type, [&](auto type) { prepare<decltype(type)>(stream, in, in.keyRotary.dim); });
}

} // namespace compressc::cuda
