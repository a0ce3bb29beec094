// Products of up to 16 rows, as generation needs them: each weight is read once, as it lies in the checkpoint, at
// the speed of the memory. The weights are the tensor cores' left operand, 16 rows of them at a time, and the rows of
// x the right one, so one row costs what eight do.
//
// A block computes 16 columns of the result. Its warps share out the depth; each asks for several chunks before it
// uses the first, which keeps enough bytes on their way. Within a chunk the order of the columns is free, as long as
// weights and x agree: every lane takes neighbouring ones, so that it reads 16 bytes at once.
#include "activate.cuh"
#include "fours.cuh"
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

/// Where a lane finds the two rows of a weight that it has, and how many columns of x go with a chunk.
///
/// 4-bit codes: `words` of 8 in each chunk, which lies in one group. Half i of a word's bytes pairs the columns i and
/// i + 4, in weights and in x alike.
template <int words_, typename Scale> struct FourBits {
  static constexpr int words = words_, columns = words * 32, ahead = words == 4 ? 4 : 8;
  static constexpr bool scaled = true;
  const uint8_t *low, *high;
  const Scale *lowScales, *highScales;
  const uint32_t *lowZeros, *highZeros; // null: 8
  int lowShift, highShift, chunksPerGroup;

  __device__ __forceinline__ FourBits(const Matrix &w, int64_t row, int lane) {
    int64_t other = min(row + 8, w.rows - 1), groups = w.columns / w.group;
    row = min(row, w.rows - 1);
    low = w.data + row * w.rowBytes + lane % 4 * words * 4;
    high = w.data + other * w.rowBytes + lane % 4 * words * 4;
    lowScales = static_cast<const Scale *>(w.scales) + row * groups;
    highScales = static_cast<const Scale *>(w.scales) + other * groups;
    lowZeros = w.zeros ? w.zeros + row / 8 * groups : nullptr;
    highZeros = w.zeros ? w.zeros + other / 8 * groups : nullptr;
    lowShift = int(row % 8 * 4), highShift = int(other % 8 * 4);
    chunksPerGroup = w.group / columns;
  }

  /// As loaded: nothing may wait for it before the other chunks are asked for.
  struct Chunk {
    uint32_t low[words], high[words], lowZero, highZero;
    Scale lowScale, highScale;
  };
  __device__ __forceinline__ void load(Chunk &chunk, int index) const {
    loadOnce(chunk.low, low + index * (columns / 2));
    loadOnce(chunk.high, high + index * (columns / 2));
    int group = chunksPerGroup == 1 ? index : index / chunksPerGroup;
    chunk.lowScale = lowScales[group];
    chunk.highScale = highScales[group];
    chunk.lowZero = lowZeros ? lowZeros[group] : 0x88888888u;
    chunk.highZero = lowZeros ? highZeros[group] : 0x88888888u;
  }

  /// A chunk in use.
  struct Values {
    uint32_t low[words], high[words], lowZero, highZero; // zeros: pairs of 128 + zero
    float lowScale, highScale;
  };
  __device__ __forceinline__ Values use(const Chunk &chunk) const {
    Values values;
#pragma unroll
    for (int i = 0; i < words; ++i)
      values.low[i] = chunk.low[i], values.high[i] = chunk.high[i];
    uint32_t lowZero = chunk.lowZero >> lowShift & 15, highZero = chunk.highZero >> highShift & 15;
    values.lowZero = 0x43004300u | lowZero | lowZero << 16;
    values.highZero = 0x43004300u | highZero | highZero << 16;
    values.lowScale = asFloat(chunk.lowScale), values.highScale = asFloat(chunk.highScale);
    return values;
  }
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  /// Step `step` of words * 2: the codes minus their zeros, which bf16 holds exactly.
  static __device__ __forceinline__ void fragment(uint32_t (&a)[4], const Values &values, int step) {
    uint32_t low = values.low[step / 2] >> (step % 2 * 8), high = values.high[step / 2] >> (step % 2 * 8);
    a[0] = subtract((low & 0x000f000fu) | 0x43004300u, values.lowZero);
    a[1] = subtract((high & 0x000f000fu) | 0x43004300u, values.highZero);
    a[2] = subtract((low >> 4 & 0x000f000fu) | 0x43004300u, values.lowZero);
    a[3] = subtract((high >> 4 & 0x000f000fu) | 0x43004300u, values.highZero);
  }
#endif
  /// x of the columns of word `step / 2`: natural neighbours, to be paired as the codes are.
  static __device__ __forceinline__ void pairs(uint32_t &b0, uint32_t &b1, const uint32_t *x, int step) {
    const uint32_t *eight = x + step / 2 * 4;
    uint32_t low = eight[step % 2], high = eight[2 + step % 2]; // (2s, 2s+1) and (2s+4, 2s+5)
    b0 = __byte_perm(low, high, 0x5410);
    b1 = __byte_perm(low, high, 0x7632);
  }

private:
  static __device__ __forceinline__ float asFloat(float v) { return v; }
  static __device__ __forceinline__ float asFloat(__half v) { return __half2float(v); }
  static __device__ __forceinline__ float asFloat(__nv_bfloat16 v) { return __bfloat162float(v); }
};

/// bf16 weights: 8 neighbours in each chunk.
struct Plain {
  static constexpr int columns = 32, ahead = 6;
  static constexpr bool scaled = false;
  const uint8_t *low, *high;

  __device__ __forceinline__ Plain(const Matrix &w, int64_t row, int lane) {
    low = w.data + min(row, w.rows - 1) * w.rowBytes + lane % 4 * 16;
    high = w.data + min(row + 8, w.rows - 1) * w.rowBytes + lane % 4 * 16;
  }
  struct Chunk {
    uint32_t low[4], high[4];
  };
  using Values = Chunk;
  __device__ __forceinline__ void load(Chunk &chunk, int index) const {
    loadOnce(chunk.low, low + index * (columns * 2));
    loadOnce(chunk.high, high + index * (columns * 2));
  }
  __device__ __forceinline__ const Chunk &use(const Chunk &chunk) const { return chunk; }
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

/// The sum over the warp's part of the depth, for 8 * tiles rows of x, [rows, w.columns].
template <typename Format, int tiles>
__device__ __forceinline__ void accumulate(float (&total)[tiles][4], const Matrix &w, int64_t row, const __nv_bfloat16 *x, int rows) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
  int chunks = int(w.columns / Format::columns);
  int begin = chunks * warp / warps, end = chunks * (warp + 1) / warps;
  const Format format(w, row + g, lane);
  for (int first = begin; first < end; first += Format::ahead) {
    typename Format::Chunk chunk[Format::ahead];
#pragma unroll
    for (int u = 0; u < Format::ahead; ++u)
      format.load(chunk[u], min(first + u, end - 1));
#pragma unroll
    for (int u = 0; u < Format::ahead; ++u) {
      if (first + u >= end)
        break;
      const auto &values = format.use(chunk[u]);
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
        const __nv_bfloat16 *from = x + int64_t(n * 8 + g) * w.columns + (first + u) * Format::columns + t * perLane;
#pragma unroll
        for (int i = 0; i < perLane / 2; i += 4) {
          uint4 v = n * 8 + g < rows ? *reinterpret_cast<const uint4 *>(from + i * 2) : uint4{0, 0, 0, 0};
          xs[n][i] = v.x, xs[n][i + 1] = v.y, xs[n][i + 2] = v.z, xs[n][i + 3] = v.w;
        }
      }
#pragma unroll
      for (int step = 0; step < Format::columns / 16; ++step) {
        uint32_t a[4];
        Format::fragment(a, values, step);
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
            total[n][i] = fmaf(sum[n][i], i < 2 ? values.lowScale : values.highScale, total[n][i]);
          else
            total[n][i] = sum[n][i];
    }
  }
#endif
}

/// x normalised and rounded, to shared memory.
__device__ __forceinline__ void normalise(const StreamedRows &x, int depth, __nv_bfloat16 *to) {
  __shared__ float sums[warps];
  const float *from = static_cast<const float *>(x.data);
  for (int m = 0; m < x.rows; ++m, from += depth, to += depth) {
    float sum = 0;
    for (int i = threadIdx.x * 4; i < depth; i += warps * 128) {
      float4 v = Get4(from + i);
      sum = fmaf(v.x, v.x, fmaf(v.y, v.y, fmaf(v.z, v.z, fmaf(v.w, v.w, sum))));
    }
#pragma unroll
    for (int step = 16; step; step /= 2)
      sum += __shfl_xor_sync(~0u, sum, step);
    if (threadIdx.x % 32 == 0)
      sums[threadIdx.x / 32] = sum;
    __syncthreads();
    sum = 0;
#pragma unroll
    for (int i = 0; i < warps; ++i)
      sum += sums[i];
    float factor = 1.0f / sqrtf(sum / float(depth) + x.epsilon);
    for (int i = threadIdx.x * 4; i < depth; i += warps * 128) {
      float4 v = Get4(from + i), w = Get4(x.norm + i);
      Put4(to + i, {v.x * factor * w.x, v.y * factor * w.y, v.z * factor * w.z, v.w * factor * w.w});
    }
    __syncthreads();
  }
}

template <typename Format, int tiles, bool gated>
__global__ void __launch_bounds__(warps * 32) StreamKernel(StreamedRows source, Products products) {
  extern __shared__ __align__(16) __nv_bfloat16 normed[];
  int rows = source.rows;
  const auto *x = static_cast<const __nv_bfloat16 *>(source.data);
  if (source.norm) {
    normalise(source, int(products.each[0].w.columns), normed);
    x = normed;
  }
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
void launch(cudaStream_t stream, const StreamedRows &x, const Products &products) {
  unsigned blocks = unsigned(products.firstTile[products.count]);
  size_t shared = x.norm ? size_t(x.rows * products.each[0].w.columns) * sizeof(__nv_bfloat16) : 0;
  if (x.rows <= 8)
    StreamKernel<Format, 1, gated><<<blocks, warps * 32, shared, stream>>>(x, products);
  else
    StreamKernel<Format, 2, gated><<<blocks, warps * 32, shared, stream>>>(x, products);
}

template <typename Format>
void launch(cudaStream_t stream, const StreamedRows &x, const Products &products, bool gated) {
  if (gated)
    launch<Format, true>(stream, x, products);
  else
    launch<Format, false>(stream, x, products);
}

template <int words> void launchPacked(cudaStream_t stream, const StreamedRows &x, const Products &products, bool gated) {
  switch (products.each[0].w.scaleType) {
  case DType::F32: return launch<FourBits<words, float>>(stream, x, products, gated);
  case DType::F16: return launch<FourBits<words, __half>>(stream, x, products, gated);
  default: return launch<FourBits<words, __nv_bfloat16>>(stream, x, products, gated);
  }
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

bool sameForm(const Matrix &a, const Matrix &b) {
  return wordsOf(a) == wordsOf(b) && a.dtype == b.dtype && (a.dtype != DType::Packed || a.scaleType == b.scaleType);
}

} // namespace

bool CanStream(const StreamedProduct &product) {
  return wordsOf(product.w) != 0 && (!product.gate.data || sameForm(product.w, product.gate));
}

void StreamProducts(cudaStream_t stream, const StreamedRows &x, const StreamedProduct *products, int count) {
  for (int begin = 0, end; begin < count; begin = end) {
    // Neighbours of one form go together.
    bool gated = products[begin].gate.data != nullptr;
    Products part{};
    for (end = begin; end < count && part.count < mostMatrices && (end == begin || (!gated && !products[end].gate.data && sameForm(products[end].w, products[begin].w))); ++end) {
      part.each[part.count] = products[end];
      part.firstTile[part.count + 1] = part.firstTile[part.count] + int((products[end].w.rows + tileRows - 1) / tileRows);
      ++part.count;
    }
    switch (wordsOf(products[begin].w)) {
    case 1: launchPacked<1>(stream, x, part, gated); break;
    case 2: launchPacked<2>(stream, x, part, gated); break;
    case 4: launchPacked<4>(stream, x, part, gated); break;
    default: launch<Plain>(stream, x, part, gated); break;
    }
  }
}

} // namespace compressc::cuda
