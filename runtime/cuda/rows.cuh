// Norms and rotary embedding, for emitted programs too, which compile them for their widths: a `fixed…` of 0 leaves a size
// to the arguments. The arithmetic is the same.
#pragma once

#include "for_each.cuh"
#include "fours.cuh"
#include "kernels.h"
#include "launch.cuh"
#include "ptx.cuh"

namespace compressc::cuda::rows {

/// The sum over the block, in every thread. `shared` has a float for each warp.
template <int size> __device__ float BlockSum(float v, float *shared) {
#pragma unroll
  for (int step = 16; step; step /= 2)
    v += __shfl_xor_sync(~0u, v, step);
  if constexpr (size > 32) {
    if (threadIdx.x % 32 == 0)
      shared[threadIdx.x / 32] = v;
    __syncthreads();
    v = 0;
#pragma unroll
    for (int i = 0; i < size / 32; ++i)
      v += shared[i];
    __syncthreads();
  }
  return v;
}

/// 1 / sqrt(mean of x squared + epsilon) of a row, in every thread of the block.
template <int size, typename In> __device__ __forceinline__ float NormFactor(const In *x, int64_t width, float epsilon) {
  __shared__ float shared[size / 32];
  float sum = 0;
  if (width % 4 == 0) {
    for (int64_t i = threadIdx.x * 4; i < width; i += size * 4) {
      float4 v = Get4(x + i);
      sum = fmaf(v.x, v.x, fmaf(v.y, v.y, fmaf(v.z, v.z, fmaf(v.w, v.w, sum))));
    }
  } else {
    for (int64_t i = threadIdx.x; i < width; i += size)
      sum = fmaf(ToFloat(x[i]), ToFloat(x[i]), sum);
  }
  return 1.0f / sqrtf(BlockSum<size>(sum, shared) / float(width) + epsilon);
}

/// One block for each run; short runs (heads) take a warp.
template <int size, typename Out, int fixedRun>
__global__ void __launch_bounds__(size) RmsNormKernel(const float *x, const float *weight, int64_t anyRun, float epsilon,
                                                      Out *out) {
  const int64_t run = fixedRun ? fixedRun : anyRun;
  const float *from = x + blockIdx.x * run;
  Out *to = out + blockIdx.x * run;
  float factor = NormFactor<size>(from, run, epsilon);
  if (run % 4 == 0) {
    for (int64_t i = threadIdx.x * 4; i < run; i += size * 4) {
      Put4(to + i, Normalised(Get4(from + i), factor, Get4(weight + i)));
    }
  } else {
    for (int64_t i = threadIdx.x; i < run; i += size)
      Put(to + i, from[i] * factor * weight[i]);
  }
}

template <int fixedRun, typename Out>
void RmsNorm(cudaStream_t stream, const float *x, int64_t runs, const float *weight, int64_t run, float epsilon,
             Out *out) {
  if (runs == 0)
    return;
  if (run <= 256)
    Launch(RmsNormKernel<32, Out, fixedRun>, unsigned(runs), 32, 0, stream, x, weight, run, epsilon, out);
  else
    Launch(RmsNormKernel<threads, Out, fixedRun>, unsigned(runs), threads, 0, stream, x, weight, run, epsilon, out);
}

/// A block for each row and some of its heads: the angles once, then a warp for each head.
template <int fixedDim, int fixedWidth>
__global__ void __launch_bounds__(threads) RotaryKernel(const float *x, int64_t anyWidth, Rotary rotary, float *out) {
  const int64_t width = fixedWidth ? fixedWidth : anyWidth, dim = fixedDim ? fixedDim : rotary.dim;
  auto *angles = DynamicShared<float>(); // cosines, then sines
  LetTheNextBegin();
  int half = int(dim / 2), lane = threadIdx.x % 32, heads = int(width / dim);
  float position = float(rotary.positions[blockIdx.x]);
  for (int i = threadIdx.x; i < half; i += threads) {
    float sine, cosine;
    sincosf(position * rotary.frequencies[i], &sine, &cosine);
    angles[i] = cosine * rotary.factor;
    angles[half + i] = sine * rotary.factor;
  }
  WaitForTheOneBefore(); // the angles are those of the batch, which was there before
  __syncthreads();
  for (int head = int(blockIdx.y) * threads / 32 + threadIdx.x / 32; head < heads; head += int(gridDim.y) * threads / 32) {
    const float *from = x + blockIdx.x * width + head * dim;
    float *to = out + blockIdx.x * width + head * dim;
    float scale = 1;
    if (rotary.norm) {
      float sum = 0;
      for (int i = lane; i < dim; i += 32)
        sum = fmaf(from[i], from[i], sum);
      scale = 1.0f / sqrtf(BlockSum<32>(sum, nullptr) / float(dim) + rotary.epsilon);
    }
    for (int i = lane; i < half; i += 32) {
      float a = from[i] * scale, b = from[half + i] * scale;
      if (rotary.norm)
        a *= rotary.norm[i], b *= rotary.norm[half + i];
      // Rounded in one way, whatever the kernel is compiled for.
      to[i] = fmaf(a, angles[i], -__fmul_rn(b, angles[half + i]));
      to[half + i] = fmaf(b, angles[i], __fmul_rn(a, angles[half + i]));
    }
  }
}

template <int fixedDim, int fixedWidth>
void RotaryEmbedding(cudaStream_t stream, const float *x, int64_t count, int64_t width, const Rotary &rotary, float *out) {
  if (count == 0)
    return;
  // Few rows: a warp has one head only.
  int64_t heads = width / rotary.dim, parts = count < 64 ? (heads + threads / 32 - 1) / (threads / 32) : 1;
  LaunchChained(RotaryKernel<fixedDim, fixedWidth>, dim3(unsigned(count), unsigned(parts)), threads,
                size_t(rotary.dim) * sizeof(float), stream, x, width, rotary, out);
}

} // namespace compressc::cuda::rows
