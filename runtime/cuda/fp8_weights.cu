// Packed weights of up to 4 bits as products in e4m3 have them (fp8_products.cu).
#include "fp8.h"
#include "launch.cuh"
#include "load.cuh"
#include "ptx.cuh"

namespace compressc::cuda {
namespace {

constexpr int threads = 256, warps = threads / 32;
constexpr int zeroValues = 16;

/// Words with 32 codes, one after the other: codes 8i … 8i + 7, in 4 bits each.
template <int bits> __device__ __forceinline__ uint32_t EightCodes(const uint32_t (&words)[bits], int i) {
  if constexpr (bits == 4) {
    return words[i];
  } else if constexpr (bits == 2) {
    uint32_t v = words[i / 2] >> i % 2 * 16 & 0xffff;
    v = (v | v << 8) & 0x00ff00ff;
    v = (v | v << 4) & 0x0f0f0f0f;
    return (v | v << 2) & 0x33333333;
  } else {
    int at = i * 24;
    uint32_t v = words[at / 32] >> at % 32;
    if (at % 32 > 8)
      v |= words[at / 32 + 1] << (32 - at % 32);
    v = (v & 0xfff) | (v & 0xfff000) << 4;
    v = (v & 0x003f003f) | (v & 0x0fc00fc0) << 2;
    return (v & 0x07070707) | (v & 0x38383838) << 1;
  }
}

/// What a code less the zero is in e4m3, times 2^-9: there the numbers 0 to 15 are their own bits.
__device__ __forceinline__ uint8_t valueOf(int code, int zero) { return uint8_t(code < zero ? 0x80 | (zero - code) : code - zero); }

/// Eight codes by a zero's table.
__device__ __forceinline__ uint2 translated(uint32_t codes, uint4 table) {
  auto four = [&](uint32_t within, uint32_t half) {
    return SelectBytes(SelectBytes(table.x, table.y, within), SelectBytes(table.z, table.w, within), half);
  };
  uint32_t within = codes & 0x77777777u, half = (codes >> 1 & 0x44444444u) | 0x32103210u;
  return {four(within, half), four(within >> 16, half >> 16)};
}

/// A scale that sums can be brought to. None is 0: that becomes so small that its group is next to nothing.
__device__ __forceinline__ float Usable(float scale) { return fabsf(scale) < 0x1p-60f ? 0x1p-60f : scale; }

/// A warp has a slice of 16 rows of a tile, of which rows i * 8 … i * 8 + 7 are the gate's if there is one and i is 0, and a
/// block of columns; a thread rows lane / 4 and 8 more, and the quarter lane % 4 of the columns, which fp8.cu lays out alike.
template <int bits> __global__ void __launch_bounds__(threads) ExpandToFp8Kernel(StreamedProduct of, Fp8Weights to) {
  LetTheNextBegin();
  __shared__ uint4 tables[zeroValues];
  for (int i = int(threadIdx.x); i < zeroValues * 16; i += threads)
    reinterpret_cast<uint8_t *>(tables)[i] = valueOf(i % 16, i / 16);
  __syncthreads();
  const int blocks = int(of.w.columns / fp8Block), groups = int(of.w.columns / of.w.group), perGroup = of.w.group / fp8Block;
  const int number = int(blockIdx.x) * warps + int(threadIdx.x) / 32, slice = number / blocks, block = number % blocks;
  const int lane = int(threadIdx.x) % 32, tile = slice / 8, unit = slice / 4 % 2, group = block / perGroup;
  if (tile >= to.tiles)
    return;
  uint32_t words[2][bits], zeroes[2];
  float scale[2], before[2];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const Matrix &w = of.gate.data && i == 0 ? of.gate : of.w;
    int row = min((of.gate.data ? slice * 8 : slice * 16 + i * 8) + lane / 4, int(w.rows) - 1); // none: the last one's
    const uint8_t *at = w.data + int64_t(row) * w.rowBytes + (block * 4 + lane % 4) * (bits * 4);
    if constexpr (bits == 3)
      for (int word = 0; word < 3; ++word)
        Copy<1>(words[i] + word, at + word * 4);
    else
      LoadOnce(words[i], at);
    zeroes[i] = w.zeros ? uint32_t(ZeroAt(w, bits, row, group, groups)) : 1u << (bits - 1);
    scale[i] = Usable(ScaleOf(ScaleBitsAt(w.scales, w.scaleType, row * groups + group), w.scaleType));
    int last = max(block - 1, 0) / perGroup;
    before[i] = last == group ? scale[i] : Usable(ScaleOf(ScaleBitsAt(w.scales, w.scaleType, row * groups + last), w.scaleType));
  }
  WaitForTheOneBefore(); // which may still read what lies there
  uint4 table[2] = {tables[zeroes[0]], tables[zeroes[1]]};
  Fp8Weights::Block &out = to.blocks[int64_t(tile) * blocks + block];
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    uint2 low = translated(EightCodes<bits>(words[0], k), table[0]), high = translated(EightCodes<bits>(words[1], k), table[1]);
    *reinterpret_cast<uint4 *>(out.operands[unit][k][slice % 4 * 32 + lane]) = {low.x, high.x, low.y, high.y};
  }
  if (lane % 4 == 0) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      int row = slice % 8 * 16 + i * 8 + lane / 4;
      out.changes[row] = before[i] / scale[i];
      if (block + 1 == blocks)
        to.scales[tile * Fp8Weights::tileRows + row] = scale[i] * 512.0f; // 2^9: valueOf
    }
  }
}

bool fits(const Matrix &w) {
  return w.dtype == DType::Packed && w.bits <= 4 && w.columns % fp8Block == 0 && w.group % fp8Block == 0 && w.rows % 8 == 0 &&
         w.rowBytes % 16 == 0;
}

} // namespace

bool CanMultiplyInFp8(const StreamedProduct &product) {
  const Matrix &w = product.w, &gate = product.gate;
  bool hasOut = product.outType == DType::F32 || (gate.data && product.outType == DType::BF16);
  return hasOut && fits(w) && (!gate.data || (fits(gate) && gate.bits == w.bits && gate.group == w.group && gate.rows == w.rows));
}

void ExpandToFp8(cudaStream_t stream, const StreamedProduct &product, const Fp8Weights &to) {
  int64_t count = int64_t(to.tiles) * (Fp8Weights::tileRows / 16) * (product.w.columns / fp8Block);
  auto launch = [&](auto *kernel) {
    LaunchChained(kernel, dim3(unsigned((count + warps - 1) / warps)), threads, 0, stream, product, to);
  };
  switch (product.w.bits) {
  case 2: return launch(ExpandToFp8Kernel<2>);
  case 3: return launch(ExpandToFp8Kernel<3>);
  default: return launch(ExpandToFp8Kernel<4>);
  }
}

} // namespace compressc::cuda
