// Weight expressions: packing, conversion, scaling. All bits are those of the CPU.
#include "calibration.h"
#include "for_each.cuh"
#include "quantizer.cuh"
#include "transpose.cuh"

namespace compressc::cuda {
namespace {

__device__ __forceinline__ void StorePlain(void *out, DType type, int64_t i, float v) {
  if (type == DType::F32)
    static_cast<float *>(out)[i] = v;
  else if (type == DType::F16)
    static_cast<__half *>(out)[i] = __float2half_rn(v);
  else
    static_cast<__nv_bfloat16 *>(out)[i] = __float2bfloat16_rn(v);
}

/// A warp for each group: its quantiser.
template <int vector>
__global__ void __launch_bounds__(threads) QuantizersKernel(Matrix w, QuantizerFormat format, int64_t group, void *scales,
                                                            float2 *quantizers, int64_t *bad) {
  int64_t groups = w.columns / group, at = (int64_t(blockIdx.x) * threads + threadIdx.x) / 32;
  if (at >= w.rows * groups)
    return;
  int64_t row = at / groups, first = at % groups * group;
  int lane = threadIdx.x % 32;
  float low = 0, high = 0;
  for (int64_t k = lane * vector; k < group; k += 32 * vector) {
    float v[vector];
    LoadPlain<vector>(w, row, first + k, v);
#pragma unroll
    for (int i = 0; i < vector; ++i) {
      if (!IsFinite(v[i]))
        NoteBad(bad, row * w.columns + first + k + i);
      low = fminf(low, v[i]);
      high = fmaxf(high, v[i]);
    }
  }
  Quantizer quantizer = ChooseQuantizer(WarpMin(low), WarpMax(high), format);
  if (lane != 0)
    return;
  if (!IsFinite(quantizer.scale))
    NoteBad(bad + 1, row);
  quantizers[at] = {quantizer.scale, quantizer.zero};
  StorePlain(scales, format.scaleType, at, quantizer.scale);
}

/// A thread for each word of codes; a code that lies in two words is computed twice.
__global__ void __launch_bounds__(threads) CodesKernel(Matrix w, QuantizerFormat format, int64_t group, const float2 *quantizers,
                                                       uint32_t *codes) {
  int64_t words = (w.columns * format.bits + 31) / 32, groups = w.columns / group;
  int64_t at = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (at >= w.rows * words)
    return;
  int64_t row = at / words, firstBit = at % words * 32;
  float maxCode = format.maxCode();
  uint32_t word = 0;
  for (int64_t k = firstBit / format.bits; k < w.columns && k * format.bits < firstBit + 32; ++k) {
    float2 pair = quantizers[row * groups + k / group];
    float level = Level(PlainAt(w.data, w.dtype, row * w.columns + k), {pair.x, pair.y}, maxCode);
    auto code = uint32_t(level + pair.y);
    int64_t shift = k * format.bits - firstBit;
    word |= shift >= 0 ? code << shift : code >> -shift;
  }
  codes[at] = word;
}

/// A thread for each word of zeros, which run down a column of groups.
__global__ void __launch_bounds__(threads) ZerosKernel(int64_t rows, int64_t groups, int bits, const float2 *quantizers,
                                                       uint32_t *zeros) {
  int64_t words = (rows * bits + 31) / 32, at = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (at >= words * groups)
    return;
  int64_t firstBit = at / groups * 32, group = at % groups;
  uint32_t word = 0;
  for (int64_t row = firstBit / bits; row < rows && row * bits < firstBit + 32; ++row) {
    auto zero = uint32_t(quantizers[row * groups + group].y);
    int64_t shift = row * bits - firstBit;
    word |= shift >= 0 ? zero << shift : zero >> -shift;
  }
  zeros[at] = word;
}

template <typename Loader>
__global__ void __launch_bounds__(threads) ConvertKernel(Matrix w, void *out, DType type, int64_t *bad) {
  int64_t octets = (w.columns + 7) / 8, at = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (at >= w.rows * octets)
    return;
  int64_t row = at / octets, column = at % octets * 8;
  float v[8];
  Loader::load(w, row, column, v);
#pragma unroll
  for (int i = 0; i < 8; ++i)
    if (column + i < w.columns) {
      if (!IsFinite(RoundToType(v[i], type)))
        NoteBad(bad, row * w.columns + column + i);
      StorePlain(out, type, row * w.columns + column + i, v[i]);
    }
}

template <typename T>
__global__ void __launch_bounds__(transposeThreads) TransposeKernel(const T *in, int64_t rows, int64_t columns, T *out) {
  TransposeTile(in, rows, columns, out, [](int64_t, int64_t) { return true; });
}

template <typename T> void transpose(cudaStream_t stream, const void *in, int64_t rows, int64_t columns, void *out) {
  constexpr int tile = transposeTile;
  dim3 grid(unsigned((columns + tile - 1) / tile), unsigned((rows + tile - 1) / tile));
  Launch(TransposeKernel<T>, grid, transposeThreads, 0, stream, static_cast<const T *>(in), rows, columns, static_cast<T *>(out));
}

} // namespace

void Quantize(cudaStream_t stream, const Matrix &w, const PackedOut &out, float *scratch, int64_t *bad) {
  QuantizerFormat format = formatOf(out.format);
  int64_t group = out.format.group, groups = w.columns / group, bits = format.bits;
  auto *quantizers = reinterpret_cast<float2 *>(scratch);
  WithVector(w, group, [&](auto vector) {
    Launch(QuantizersKernel<vector.value>, BlocksFor(w.rows * groups * 32), threads, 0, stream, w, format, group, out.scales,
                                                                                          quantizers, bad);
  });
  Launch(CodesKernel, BlocksFor(w.rows * ((w.columns * bits + 31) / 32)), threads, 0, stream, w, format, group, quantizers, out.codes);
  if (out.zeros)
    Launch(ZerosKernel, BlocksFor((w.rows * bits + 31) / 32 * groups), threads, 0, stream, w.rows, groups, int(bits), quantizers,
                                                                                     out.zeros);
}

void ConvertMatrix(cudaStream_t stream, const Matrix &w, void *out, DType type, int64_t *bad) {
  int64_t octets = w.rows * ((w.columns + 7) / 8);
  WithLoader(w, [&](auto loader) {
    Launch(ConvertKernel<decltype(loader)>, BlocksFor(octets), threads, 0, stream, w, out, type, bad);
  });
}

void ScaleColumns(cudaStream_t stream, const Matrix &w, const float *scales, float *out) {
  ForEach(stream, w.rows * w.columns, [=] __device__(int64_t i) {
    out[i] = __fmul_rn(PlainAt(w.data, w.dtype, i), scales[i % w.columns]);
  });
}

void ScaleRows(cudaStream_t stream, const Matrix &w, const float *scales, bool inverse, float *out) {
  ForEach(stream, w.rows * w.columns, [=] __device__(int64_t i) {
    float value = PlainAt(w.data, w.dtype, i), scale = scales[i / w.columns];
    out[i] = inverse ? __fdiv_rn(value, scale) : __fmul_rn(value, scale);
  });
}

void ExpandHeads(cudaStream_t stream, const float *x, int64_t width, int64_t headDim, int64_t repeat, float *out) {
  ForEach(stream, width * repeat, [=] __device__(int64_t i) {
    out[i] = x[i / (headDim * repeat) * headDim + i % headDim];
  });
}

void Transpose(cudaStream_t stream, const void *in, int64_t rows, int64_t columns, size_t size, void *out) {
  if (size == 2)
    transpose<uint16_t>(stream, in, rows, columns, out);
  else
    transpose<uint32_t>(stream, in, rows, columns, out);
}

} // namespace compressc::cuda
