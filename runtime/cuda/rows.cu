// Row-wise kernels: norms, elementwise arithmetic, rotary embedding. All arithmetic is fp32.
#include "activate.cuh"
#include "rows.cuh"

namespace compressc::cuda {
namespace {

using rows::BlockSum;

__global__ void __launch_bounds__(threads) LayerNormKernel(const float *x, const float *weight, const float *bias,
                                                           int64_t width, float epsilon, float *out) {
  __shared__ float shared[threads / 32];
  const float *from = x + blockIdx.x * width;
  float *to = out + blockIdx.x * width;
  float sum = 0;
  for (int64_t i = threadIdx.x; i < width; i += threads)
    sum += from[i];
  float mean = BlockSum<threads>(sum, shared) / float(width);
  sum = 0;
  for (int64_t i = threadIdx.x; i < width; i += threads)
    sum = fmaf(from[i] - mean, from[i] - mean, sum);
  float factor = 1.0f / sqrtf(BlockSum<threads>(sum, shared) / float(width) + epsilon);
  for (int64_t i = threadIdx.x; i < width; i += threads)
    to[i] = (from[i] - mean) * factor * weight[i] + (bias ? bias[i] : 0.0f);
}

template <Activation kind, typename In, typename Out>
void gated(cudaStream_t stream, const In *gate, const In *up, const float *gateBias, const float *upBias,
           int64_t rows, int64_t width, Out *out) {
  if (width % 4 == 0 && !gateBias && !upBias)
    return ForEach(stream, rows * width / 4, [=] __device__(int64_t i) {
      float4 g = Get4(gate + i * 4), u = Get4(up + i * 4);
      Put4(out + i * 4, {Activate<kind>(g.x) * u.x, Activate<kind>(g.y) * u.y, Activate<kind>(g.z) * u.z,
                         Activate<kind>(g.w) * u.w});
    });
  ForEach(stream, rows * width, [=] __device__(int64_t i) {
    float g = ToFloat(gate[i]), u = ToFloat(up[i]);
    if (gateBias)
      g += gateBias[i % width];
    if (upBias)
      u += upBias[i % width];
    Put(out + i, Activate<kind>(g) * u);
  });
}

template <typename In, typename Out>
void gatedOf(cudaStream_t stream, Activation kind, const In *gate, const In *up, const float *gateBias,
             const float *upBias, int64_t rows, int64_t width, Out *out) {
  switch (kind) {
  case Activation::Silu: return gated<Activation::Silu>(stream, gate, up, gateBias, upBias, rows, width, out);
  case Activation::Gelu: return gated<Activation::Gelu>(stream, gate, up, gateBias, upBias, rows, width, out);
  case Activation::GeluTanh: return gated<Activation::GeluTanh>(stream, gate, up, gateBias, upBias, rows, width, out);
  case Activation::Relu: return gated<Activation::Relu>(stream, gate, up, gateBias, upBias, rows, width, out);
  }
}

/// Calls f with the pointer as one of its type.
template <typename F> void typed(const void *data, DType type, F f) {
  if (type == DType::F32)
    f(static_cast<const float *>(data));
  else
    WithHalf(type, [&](auto half) { f(static_cast<const decltype(half) *>(data)); });
}
template <typename F> void typed(void *data, DType type, F f) {
  if (type == DType::F32)
    f(static_cast<float *>(data));
  else
    WithHalf(type, [&](auto half) { f(static_cast<decltype(half) *>(data)); });
}
/// bf16 and fp16 never meet.
template <typename A, typename B> constexpr bool meet = std::is_same_v<A, B> || std::is_same_v<A, float> || std::is_same_v<B, float>;

template <typename From, typename To>
void convert(cudaStream_t stream, const From *x, int64_t count, To *out) {
  if (count % 4 == 0)
    ForEach(stream, count / 4, [=] __device__(int64_t i) { Put4(out + i * 4, Get4(x + i * 4)); });
  else
    ForEach(stream, count, [=] __device__(int64_t i) { Put(out + i, ToFloat(x[i])); });
}

constexpr int scoreThreads = 512;

/// A block for each row, read once: every thread keeps the greatest of its logits and the sum relative to it.
__global__ void __launch_bounds__(scoreThreads) ScoreRowsKernel(const float *logits, int64_t width, const int32_t *rows,
                                                                const int32_t *columns, int64_t perRow, RowScore *scores,
                                                                float *out) {
  const float *row = logits + rows[blockIdx.x] * width;
  for (int64_t i = threadIdx.x; i < perRow; i += scoreThreads)
    out[blockIdx.x * perRow + i] = row[columns[blockIdx.x * perRow + i]];
  if (!scores)
    return;
  float greatest = -INFINITY, sum = 0;
  auto take = [&](float v) {
    if (v > greatest) {
      sum = sum * expf(greatest - v) + 1;
      greatest = v;
    } else {
      sum += v == -INFINITY ? 0.0f : expf(v - greatest); // NaN stays NaN
    }
  };
  if (width % 4 == 0) {
    const float4 *fours = reinterpret_cast<const float4 *>(row);
    for (int64_t i = threadIdx.x; i < width / 4; i += scoreThreads) {
      float4 v = fours[i];
      take(v.x), take(v.y), take(v.z), take(v.w);
    }
  } else {
    for (int64_t i = threadIdx.x; i < width; i += scoreThreads)
      take(row[i]);
  }
  __shared__ float tops[scoreThreads];
  __shared__ double sums[scoreThreads];
  tops[threadIdx.x] = greatest;
  sums[threadIdx.x] = sum;
  for (int half = scoreThreads / 2; half; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) {
      float a = tops[threadIdx.x], b = tops[threadIdx.x + half], top = fmaxf(a, b);
      double &mine = sums[threadIdx.x];
      double other = sums[threadIdx.x + half];
      // A part without any finite logit adds its sum: 0, or NaN.
      mine = (a == -INFINITY ? mine : mine * exp(double(a - top))) + (b == -INFINITY ? other : other * exp(double(b - top)));
      tops[threadIdx.x] = top;
    }
  }
  if (threadIdx.x == 0)
    scores[blockIdx.x] = {tops[0], sums[0]};
}

} // namespace

void ScoreRows(cudaStream_t stream, const float *logits, int64_t width, const int32_t *rows, int64_t count,
               const int32_t *columns, int64_t perRow, RowScore *scores, float *out) {
  if (count > 0)
    Launch(ScoreRowsKernel, unsigned(count), scoreThreads, 0, stream, logits, width, rows, columns, perRow, scores, out);
}

void SelectRows(cudaStream_t stream, const float *x, int64_t width, const int32_t *rows, int64_t count, float *out) {
  ForEach(stream, count * width, [=] __device__(int64_t i) { out[i] = x[rows[i / width] * width + i % width]; });
}

void RmsNorm(cudaStream_t stream, const float *x, int64_t count, int64_t width, const float *weight, int64_t run,
             float epsilon, void *out, DType type) {
  typed(out, type, [&](auto *to) { rows::RmsNorm<0>(stream, x, count * width / run, weight, run, epsilon, to); });
}

void LayerNorm(cudaStream_t stream, const float *x, int64_t rows, int64_t width, const float *weight,
               const float *bias, float epsilon, float *out) {
  if (rows > 0)
    Launch(LayerNormKernel, unsigned(rows), threads, 0, stream, x, weight, bias, width, epsilon, out);
}

void Convert(cudaStream_t stream, const void *x, DType from, int64_t count, void *out, DType to) {
  typed(x, from, [&](const auto *source) {
    typed(out, to, [&](auto *target) {
      if constexpr (meet<std::decay_t<decltype(*source)>, std::decay_t<decltype(*target)>>)
        convert(stream, source, count, target);
    });
  });
}

void Add(cudaStream_t stream, const float *a, const float *b, int64_t count, float *out) {
  ForEach(stream, count, [=] __device__(int64_t i) { out[i] = a[i] + b[i]; });
}

void Scale(cudaStream_t stream, float factor, int64_t count, float *values) {
  ForEach(stream, count, [=] __device__(int64_t i) { values[i] *= factor; });
}

void Mul(cudaStream_t stream, const float *a, const float *b, int64_t count, float *out) {
  ForEach(stream, count, [=] __device__(int64_t i) { out[i] = a[i] * b[i]; });
}

void GatedActivation(cudaStream_t stream, Activation kind, const void *gate, const void *up, DType type,
                     const float *gateBias, const float *upBias, int64_t rows, int64_t width, void *out, DType outType) {
  typed(gate, type, [&](const auto *g) {
    using In = decltype(g);
    typed(out, outType, [&](auto *to) {
      if constexpr (meet<std::decay_t<decltype(*g)>, std::decay_t<decltype(*to)>>)
        gatedOf(stream, kind, g, static_cast<In>(up), gateBias, upBias, rows, width, to);
    });
  });
}

void AddBias(cudaStream_t stream, const float *bias, const float *residual, int64_t rows, int64_t width, float *out) {
  ForEach(stream, rows * width,
          [=] __device__(int64_t i) { out[i] = bias[i % width] + (residual ? residual[i] : 0.0f); });
}

void RotaryEmbedding(cudaStream_t stream, const float *x, int64_t count, int64_t width, const Rotary &rotary, float *out) {
  rows::RotaryEmbedding<0, 0>(stream, x, count, width, rotary, out);
}

} // namespace compressc::cuda
