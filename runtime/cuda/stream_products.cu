// Products of up to 16 rows, as generation needs them: each weight is read once, as it lies in the checkpoint, at
// the speed of the memory. The weights are the tensor cores' left operand, 16 rows of them at a time, and the rows of
// x the right one, so one row costs what eight do.
//
// A block computes 16 columns of the result. Its warps share out the depth; each asks for several chunks before it
// uses the first, which keeps enough bytes on their way. Within a chunk the order of the columns is free, as long as
// weights and x agree: every lane takes neighbouring ones, so that it reads 16 bytes at once.
#include "activate.cuh"
#include "load.cuh"

namespace compressc::cuda {
namespace {

constexpr int warps = 8, tileRows = 16, mostMatrices = 4;

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
/// c[16, 8] += a[16, 16] * b[16, 8].
__device__ __forceinline__ void multiply(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
__device__ __forceinline__ uint32_t subtract(uint32_t a, uint32_t b) {
  __nv_bfloat162 difference = __hsub2(*reinterpret_cast<__nv_bfloat162 *>(&a), *reinterpret_cast<__nv_bfloat162 *>(&b));
  return *reinterpret_cast<uint32_t *>(&difference);
}
#endif

/// Neighbouring words of memory that is read once.
template <int words> __device__ __forceinline__ void loadOnce(uint32_t (&to)[words], const void *from) {
  if constexpr (words == 4) {
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "l"(from));
  } else if constexpr (words == 2) {
    asm volatile("ld.global.nc.L1::no_allocate.v2.u32 {%0,%1}, [%2];" : "=r"(to[0]), "=r"(to[1]) : "l"(from));
  } else {
    asm volatile("ld.global.nc.L1::no_allocate.u32 %0, [%1];" : "=r"(to[0]) : "l"(from));
  }
}

/// 4-bit codes: a lane has `words` of 8 in each chunk. Half i of a word's bytes pairs the columns i and i + 4, in
/// weights and in x alike. A chunk lies in one group.
template <int words_> struct FourBits {
  static constexpr int words = words_, columns = words * 32, ahead = words == 4 ? 4 : words == 2 ? 6 : 8;
  static constexpr bool scaled = true;
  struct Chunk {
    uint32_t low[words], high[words]; // of the rows lane / 4 and 8 more
    float lowScale, highScale;
    uint32_t lowZero, highZero; // pairs of 128 + zero
  };
  static __device__ __forceinline__ void load(Chunk &chunk, const Matrix &w, int64_t row, int chunkIndex, int lane) {
    int64_t at = (int64_t(chunkIndex) * columns + lane % 4 * words * 8) / 2;
    int64_t other = min(row + 8, w.rows - 1);
    row = min(row, w.rows - 1);
    loadOnce(chunk.low, w.data + row * w.rowBytes + at);
    loadOnce(chunk.high, w.data + other * w.rowBytes + at);
    int64_t groups = w.columns / w.group, group = int64_t(chunkIndex) * columns / w.group;
    chunk.lowScale = PlainAt(w.scales, w.scaleType, row * groups + group);
    chunk.highScale = PlainAt(w.scales, w.scaleType, other * groups + group);
    uint32_t low = 8, high = 8;
    if (w.zeros) {
      low = w.zeros[row / 8 * groups + group] >> (row % 8 * 4) & 15;
      high = w.zeros[other / 8 * groups + group] >> (other % 8 * 4) & 15;
    }
    chunk.lowZero = 0x43004300u | low | low << 16;
    chunk.highZero = 0x43004300u | high | high << 16;
  }
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  /// Step `step` of words * 2: the codes minus their zeros, which bf16 holds exactly.
  static __device__ __forceinline__ void fragment(uint32_t (&a)[4], const Chunk &chunk, int step) {
    uint32_t low = chunk.low[step / 2] >> (step % 2 * 8), high = chunk.high[step / 2] >> (step % 2 * 8);
    a[0] = subtract((low & 0x000f000fu) | 0x43004300u, chunk.lowZero);
    a[1] = subtract((high & 0x000f000fu) | 0x43004300u, chunk.highZero);
    a[2] = subtract((low >> 4 & 0x000f000fu) | 0x43004300u, chunk.lowZero);
    a[3] = subtract((high >> 4 & 0x000f000fu) | 0x43004300u, chunk.highZero);
  }
#endif
  /// x of the columns of word `step / 2`: natural neighbours, to be paired as the codes are.
  static __device__ __forceinline__ void pairs(uint32_t &b0, uint32_t &b1, const uint32_t *x, int step) {
    const uint32_t *eight = x + step / 2 * 4;
    uint32_t low = eight[step % 2], high = eight[2 + step % 2]; // (2s, 2s+1) and (2s+4, 2s+5)
    b0 = __byte_perm(low, high, 0x5410);
    b1 = __byte_perm(low, high, 0x7632);
  }
};

/// bf16 weights: a lane has 8 neighbours in each chunk.
struct Plain {
  static constexpr int columns = 32, ahead = 6;
  static constexpr bool scaled = false;
  struct Chunk {
    uint32_t low[4], high[4];
  };
  static __device__ __forceinline__ void load(Chunk &chunk, const Matrix &w, int64_t row, int chunkIndex, int lane) {
    int64_t at = (int64_t(chunkIndex) * columns + lane % 4 * 8) * 2;
    loadOnce(chunk.low, w.data + min(row, w.rows - 1) * w.rowBytes + at);
    loadOnce(chunk.high, w.data + min(row + 8, w.rows - 1) * w.rowBytes + at);
  }
  static __device__ __forceinline__ void fragment(uint32_t (&a)[4], const Chunk &chunk, int step) {
    a[0] = chunk.low[step * 2], a[1] = chunk.high[step * 2];
    a[2] = chunk.low[step * 2 + 1], a[3] = chunk.high[step * 2 + 1];
  }
  static __device__ __forceinline__ void pairs(uint32_t &b0, uint32_t &b1, const uint32_t *x, int step) {
    b0 = x[step * 2], b1 = x[step * 2 + 1];
  }
};

struct Products {
  StreamedProduct each[mostMatrices];
  int firstTile[mostMatrices + 1]; // of 16 rows
  int count;
};

/// The sum over the warp's part of the depth, for 8 * tiles rows of x.
template <typename Format, int tiles>
__device__ __forceinline__ void accumulate(float (&total)[tiles][4], const Matrix &w, int64_t row, const __nv_bfloat16 *x, int rows) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
  int chunks = int(w.columns / Format::columns);
  int begin = chunks * warp / warps, end = chunks * (warp + 1) / warps;
  for (int first = begin; first < end; first += Format::ahead) {
    typename Format::Chunk chunk[Format::ahead];
#pragma unroll
    for (int u = 0; u < Format::ahead; ++u)
      if (first + u < end)
        Format::load(chunk[u], w, row + g, first + u, lane);
#pragma unroll
    for (int u = 0; u < Format::ahead; ++u) {
      if (first + u >= end)
        break;
      float sum[tiles][4];
#pragma unroll
      for (int n = 0; n < tiles; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i)
          sum[n][i] = Format::scaled ? 0.0f : total[n][i];
      constexpr int perLane = Format::columns / 4; // columns of x
      uint32_t xs[tiles][perLane / 2];
#pragma unroll
      for (int n = 0; n < tiles; ++n) {
        const __nv_bfloat16 *from = x + int64_t(n * 8 + g) * w.columns + int64_t(first + u) * Format::columns + t * perLane;
#pragma unroll
        for (int i = 0; i < perLane / 2; i += 4) {
          uint4 v = n * 8 + g < rows ? *reinterpret_cast<const uint4 *>(from + i * 2) : uint4{0, 0, 0, 0};
          xs[n][i] = v.x, xs[n][i + 1] = v.y, xs[n][i + 2] = v.z, xs[n][i + 3] = v.w;
        }
      }
#pragma unroll
      for (int step = 0; step < Format::columns / 16; ++step) {
        uint32_t a[4];
        Format::fragment(a, chunk[u], step);
#pragma unroll
        for (int n = 0; n < tiles; ++n) {
          uint32_t b0, b1;
          Format::pairs(b0, b1, xs[n], step);
          multiply(sum[n], a, b0, b1);
        }
      }
#pragma unroll
      for (int n = 0; n < tiles; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i)
          if constexpr (Format::scaled)
            total[n][i] = fmaf(sum[n][i], i < 2 ? chunk[u].lowScale : chunk[u].highScale, total[n][i]);
          else
            total[n][i] = sum[n][i];
    }
  }
#endif
}

template <typename Format, int tiles, bool gated>
__global__ void __launch_bounds__(warps * 32) StreamKernel(const __nv_bfloat16 *x, int rows, Products products) {
  int which = 0;
  while (which + 1 < products.count && int(blockIdx.x) >= products.firstTile[which + 1])
    ++which;
  const StreamedProduct &product = products.each[which];
  int64_t row = int64_t(int(blockIdx.x) - products.firstTile[which]) * tileRows;
  __shared__ float parts[gated ? 2 : 1][warps][tiles * 8][tileRows + 1];
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  auto share = [&](int part, const float (&total)[tiles][4]) {
#pragma unroll
    for (int n = 0; n < tiles; ++n)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        parts[part][warp][n * 8 + lane % 4 * 2 + i % 2][lane / 4 + i / 2 * 8] = total[n][i];
  };
  float total[tiles][4] = {};
  accumulate<Format, tiles>(total, product.w, row, x, rows);
  share(0, total);
  if constexpr (gated) {
    float other[tiles][4] = {};
    accumulate<Format, tiles>(other, product.gate, row, x, rows);
    share(1, other);
  }
  __syncthreads();
  for (int i = threadIdx.x; i < tiles * 8 * tileRows; i += warps * 32) {
    int m = i / tileRows, n = i % tileRows;
    if (m >= rows || row + n >= product.w.rows)
      continue;
    float sum = 0;
#pragma unroll
    for (int part = 0; part < warps; ++part)
      sum += parts[0][part][m][n];
    if (product.bias)
      sum += product.bias[row + n];
    if constexpr (gated) {
      float gate = 0;
#pragma unroll
      for (int part = 0; part < warps; ++part)
        gate += parts[1][part][m][n];
      if (product.gateBias)
        gate += product.gateBias[row + n];
      sum *= Activate(product.activation, gate);
    }
    int64_t at = int64_t(m) * product.w.rows + row + n;
    if (product.residual)
      sum += product.residual[at];
    if (product.outType == DType::BF16)
      static_cast<__nv_bfloat16 *>(product.out)[at] = __float2bfloat16(sum);
    else
      static_cast<float *>(product.out)[at] = sum;
  }
}

template <typename Format, bool gated>
void launch(cudaStream_t stream, const __nv_bfloat16 *x, int rows, const Products &products) {
  unsigned blocks = unsigned(products.firstTile[products.count]);
  if (rows <= 8)
    StreamKernel<Format, 1, gated><<<blocks, warps * 32, 0, stream>>>(x, rows, products);
  else
    StreamKernel<Format, 2, gated><<<blocks, warps * 32, 0, stream>>>(x, rows, products);
}

template <typename Format>
void launch(cudaStream_t stream, const __nv_bfloat16 *x, int rows, const Products &products, bool gated) {
  if (gated)
    launch<Format, true>(stream, x, rows, products);
  else
    launch<Format, false>(stream, x, rows, products);
}

/// Words of codes that a lane takes from a chunk; 0: another kernel's.
int wordsOf(const Matrix &w) {
  if (w.dtype == DType::BF16)
    return w.columns % 32 == 0 && w.rowBytes % 16 == 0 ? 8 : 0;
  if (w.dtype != DType::Packed || w.bits != 4)
    return 0;
  for (int words : {4, 2, 1})
    if (w.group % (words * 32) == 0)
      return words;
  return 0;
}

} // namespace

bool CanStream(const StreamedProduct &product) {
  int words = wordsOf(product.w);
  if (!product.gate.data || words == 0)
    return words != 0;
  return product.gate.dtype == product.w.dtype && wordsOf(product.gate) != 0;
}

void StreamProducts(cudaStream_t stream, const void *x, int rows, const StreamedProduct *products, int count) {
  for (int begin = 0, end; begin < count; begin = end) {
    // Neighbours of one form go together; of two groupings, the finer one fits both.
    bool gated = products[begin].gate.data != nullptr;
    int words = gated ? min(wordsOf(products[begin].w), wordsOf(products[begin].gate)) : wordsOf(products[begin].w);
    Products part{};
    for (end = begin; end < count && part.count < mostMatrices && (end == begin || (!gated && !products[end].gate.data && wordsOf(products[end].w) == words)); ++end) {
      part.each[part.count] = products[end];
      part.firstTile[part.count + 1] = part.firstTile[part.count] + int((products[end].w.rows + tileRows - 1) / tileRows);
      ++part.count;
    }
    const auto *from = static_cast<const __nv_bfloat16 *>(x);
    switch (words) {
    case 1: launch<FourBits<1>>(stream, from, rows, part, gated); break;
    case 2: launch<FourBits<2>>(stream, from, rows, part, gated); break;
    case 4: launch<FourBits<4>>(stream, from, rows, part, gated); break;
    default: launch<Plain>(stream, from, rows, part, gated); break;
    }
  }
}

} // namespace compressc::cuda
