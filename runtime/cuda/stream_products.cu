// Products of up to 16 rows, as generation needs them: each weight is read once, as it lies in the checkpoint, at
// the speed of the memory. The weights are the tensor cores' left operand, 16 rows of them at a time (a tile), and
// the rows of x the right one, so one row costs what eight do.
//
// A block stays for many tiles. Its warps share out the depth; each goes through its chunks of all the tiles, and
// always has the next few on their way. Within a chunk the order of the columns is free, as long as weights and x
// agree: every lane takes neighbouring ones, so that it reads 16 bytes at once.
#include "activate.cuh"
#include "fours.cuh"
#include "launch.cuh"
#include "load.cuh"
#include "ptx.cuh"
#include <algorithm>

namespace compressc::cuda {
namespace {

constexpr int warps = 8, tileRows = 16, mostMatrices = 4;

template <typename Half> using Two = std::conditional_t<std::is_same_v<Half, __half>, __half2, __nv_bfloat162>;
/// A pair of the number whose last bits count ones: with a code in them it is 128 + code in bf16, 1024 + code in fp16.
template <typename Half> constexpr uint32_t codesFrom = std::is_same_v<Half, __half> ? 0x64006400u : 0x43004300u;

template <typename Half> __device__ __forceinline__ uint32_t subtract(uint32_t a, uint32_t b) {
  Two<Half> difference = __hsub2(*reinterpret_cast<Two<Half> *>(&a), *reinterpret_cast<Two<Half> *>(&b));
  return *reinterpret_cast<uint32_t *>(&difference);
}

/// Where a lane finds the two rows of a weight that it has in a tile: lane / 4 and 8 more.
///
/// 4-bit codes: `words` of 8 in each chunk, which lies in one group. Half i of a word's bytes pairs the columns i and
/// i + 4, in weights and in x alike.
template <typename Half_, int words_, typename Scale> struct FourBits {
  using Half = Half_;
  static constexpr int words = words_, columns = words * 32, ahead = words == 4 ? 4 : 8, blocks = 2; // of a multiprocessor
  static constexpr bool paired = true, stays = true;
  const uint8_t *low, *high;
  const Scale *lowScales, *highScales;
  const uint32_t *lowZeros, *highZeros; // null: 8
  int chunksPerGroup;

  __device__ __forceinline__ void moveTo(const Matrix &w, int64_t row, int lane) {
    row += lane / 4;
    int64_t other = min(row + 8, w.rows - 1), groups = w.columns / w.group; // of rows that are not there nothing is stored
    row = min(row, w.rows - 1);
    low = w.data + row * w.rowBytes + lane % 4 * words * 4;
    high = w.data + other * w.rowBytes + lane % 4 * words * 4;
    lowScales = static_cast<const Scale *>(w.scales) + row * groups;
    highScales = static_cast<const Scale *>(w.scales) + other * groups;
    lowZeros = w.zeros ? w.zeros + row / 8 * groups : nullptr;
    highZeros = w.zeros ? w.zeros + other / 8 * groups : nullptr;
    chunksPerGroup = w.group / columns;
  }

  /// As loaded: nothing may wait for it before the other chunks are asked for.
  struct Chunk {
    uint32_t low[words], high[words], lowZero, highZero;
    Scale lowScale, highScale;
  };
  __device__ __forceinline__ void load(Chunk &chunk, int index) const {
    LoadOnce(chunk.low, low + index * (columns / 2));
    LoadOnce(chunk.high, high + index * (columns / 2));
    int group = chunksPerGroup == 1 ? index : index / chunksPerGroup;
    chunk.lowScale = lowScales[group];
    chunk.highScale = highScales[group];
    chunk.lowZero = lowZeros ? lowZeros[group] : 0x88888888u;
    chunk.highZero = lowZeros ? highZeros[group] : 0x88888888u;
  }

  /// sum += the chunk times x, of which `x` are the lane's columns.
  template <int tiles>
  static __device__ __forceinline__ void add(float (&sum)[tiles][4], const Chunk &chunk, const uint32_t (&x)[tiles][columns / 8], int lane) {
    int shift = lane / 4 * 4; // tiles begin at multiples of 8 rows, and so do the zeros' words
    constexpr uint32_t from = codesFrom<Half>;
    uint32_t lowZero = from | (chunk.lowZero >> shift & 15) * 0x10001u, highZero = from | (chunk.highZero >> shift & 15) * 0x10001u;
    float part[tiles][4] = {};
#pragma unroll
    for (int step = 0; step < words * 2; ++step) {
      uint32_t low = chunk.low[step / 2] >> (step % 2 * 8), high = chunk.high[step / 2] >> (step % 2 * 8);
      // The codes minus their zeros, which either type holds exactly.
      uint32_t a[4] = {subtract<Half>((low & 0x000f000fu) | from, lowZero), subtract<Half>((high & 0x000f000fu) | from, highZero),
                       subtract<Half>((low >> 4 & 0x000f000fu) | from, lowZero),
                       subtract<Half>((high >> 4 & 0x000f000fu) | from, highZero)};
#pragma unroll
      for (int n = 0; n < tiles; ++n)
        MultiplyTiles<Half>(part[n], a, x[n][step * 2], x[n][step * 2 + 1]);
    }
    float lowScale = ToFloat(chunk.lowScale), highScale = ToFloat(chunk.highScale);
#pragma unroll
    for (int n = 0; n < tiles; ++n)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        sum[n][i] = fmaf(part[n][i], i < 2 ? lowScale : highScale, sum[n][i]);
  }
};

/// Weights of 16 bits: 8 neighbours in each chunk. bf16 becomes fp16 where that is computed in.
template <typename Half_, typename Weight> struct Plain {
  using Half = Half_;
  static constexpr int columns = 32, ahead = 3, blocks = 4;
  static constexpr bool paired = false, stays = false; // its tiles are large: a block for each keeps the memory busy
  const uint8_t *low, *high;

  __device__ __forceinline__ void moveTo(const Matrix &w, int64_t row, int lane) {
    row += lane / 4;
    low = w.data + min(row, w.rows - 1) * w.rowBytes + lane % 4 * 16;
    high = w.data + min(row + 8, w.rows - 1) * w.rowBytes + lane % 4 * 16;
  }
  struct Chunk {
    uint32_t low[4], high[4];
  };
  __device__ __forceinline__ void load(Chunk &chunk, int index) const {
    LoadOnce(chunk.low, low + index * (columns * 2));
    LoadOnce(chunk.high, high + index * (columns * 2));
  }
  template <int tiles>
  static __device__ __forceinline__ void add(float (&sum)[tiles][4], const Chunk &chunk, const uint32_t (&x)[tiles][columns / 8], int) {
#pragma unroll
    for (int step = 0; step < 2; ++step) {
      uint32_t a[4] = {operand(chunk.low[step * 2]), operand(chunk.high[step * 2]), operand(chunk.low[step * 2 + 1]),
                       operand(chunk.high[step * 2 + 1])};
#pragma unroll
      for (int n = 0; n < tiles; ++n)
        MultiplyTiles<Half>(sum[n], a, x[n][step * 2], x[n][step * 2 + 1]);
    }
  }

private:
  static __device__ __forceinline__ uint32_t operand(uint32_t pair) {
    if constexpr (std::is_same_v<Half, Weight>) {
      return pair;
    } else {
      float2 values = Unpack<Weight>(pair);
      return Pack<Half>(values.x, values.y);
    }
  }
};

struct Products {
  StreamedProduct each[mostMatrices];
  int firstTile[mostMatrices + 1]; // of 16 rows
  int count;
};

/// Adds the warps' sums of a tile and what follows the product.
template <int tiles, bool gated>
__device__ __forceinline__ void finishTile(const Products &products, int tile, int rows,
                                           const float (&sums)[gated ? 2 : 1][warps][tiles * 8][tileRows + 1]) {
  int which = 0;
  while (which + 1 < products.count && tile >= products.firstTile[which + 1])
    ++which;
  const StreamedProduct &product = products.each[which];
  int64_t row = int64_t(tile - products.firstTile[which]) * tileRows;
  for (int i = threadIdx.x; i < rows * tileRows; i += warps * 32) {
    int m = i / tileRows, n = i % tileRows;
    if (row + n >= product.w.rows)
      continue;
    float sum = 0;
#pragma unroll
    for (int part = 0; part < warps; ++part)
      sum += sums[0][part][m][n];
    if (product.bias)
      sum += product.bias[row + n];
    if constexpr (gated) {
      float gate = 0;
#pragma unroll
      for (int part = 0; part < warps; ++part)
        gate += sums[1][part][m][n];
      if (product.gateBias)
        gate += product.gateBias[row + n];
      sum *= Activate(product.activation, gate);
    }
    int64_t at = int64_t(m) * product.w.rows + row + n;
    if (product.residual)
      sum += product.residual[at];
    PutAt(product.out, product.outType, at, sum);
  }
}

/// Rows of x in 16 bits, normalised if there is a norm, eight columns in the order of `paired`: 0 4 1 5 2 6 3 7.
template <bool paired, typename Half>
__device__ __forceinline__ void prepare(const StreamedRows &x, int row, int depth, Half *to) {
  __shared__ float sums[warps];
  const float *wide = static_cast<const float *>(x.data) + int64_t(row) * depth;
  const Half *narrow = static_cast<const Half *>(x.data) + int64_t(row) * depth;
  float factor = 1;
  if (x.norm) {
    float sum = 0;
    for (int i = threadIdx.x * 4; i < depth; i += warps * 128) {
      float4 v = Get4(wide + i);
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
    factor = 1.0f / sqrtf(sum / float(depth) + x.epsilon);
    __syncthreads();
  }
  for (int i = threadIdx.x * 8; i < depth; i += warps * 256) {
    float4 v[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      v[half] = x.type == DType::F32 ? Get4(wide + i + half * 4) : Get4(narrow + i + half * 4);
      if (x.norm) {
        float4 w = Get4(x.norm + i + half * 4);
        v[half] = {v[half].x * factor * w.x, v[half].y * factor * w.y, v[half].z * factor * w.z, v[half].w * factor * w.w};
      }
    }
    Put4(to + i, paired ? float4{v[0].x, v[1].x, v[0].y, v[1].y} : v[0]);
    Put4(to + i + 4, paired ? float4{v[0].z, v[1].z, v[0].w, v[1].w} : v[1]);
  }
}

template <bool paired, typename Half> __global__ void __launch_bounds__(warps * 32) PrepareKernel(StreamedRows x, int depth, Half *to) {
  prepare<paired>(x, int(blockIdx.x), depth, to + int64_t(blockIdx.x) * depth);
}

/// With `prepared` x is what PrepareKernel made of it, else every block prepares it for itself.
template <typename Format, int tiles, bool gated>
__global__ void __launch_bounds__(warps * 32, tiles == 1 ? Format::blocks : 2)
StreamKernel(StreamedRows source, const typename Format::Half *prepared, Products products) {
  using Half = typename Format::Half;
  if (!IsForThisGpu<Half>())
    return;
  constexpr int parts = gated ? 2 : 1, perLane = Format::columns / 4; // matrices of a tile; columns of x
  auto *own = DynamicShared<Half>();
  __shared__ float sums[2][parts][warps][tiles * 8][tileRows + 1]; // of two tiles in turn
  LetTheNextBegin();
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, rows = source.rows;
  int depth = int(products.each[0].w.columns), tileCount = products.firstTile[products.count];
  // A warp without a chunk of its own repeats one for nothing.
  int chunks = depth / Format::columns, begin = chunks * warp / warps, end = chunks * (warp + 1) / warps;
  bool idle = begin == end;
  if (idle)
    begin = min(begin, chunks - 1), end = begin + 1;
  int perPart = end - begin, myTiles = (tileCount - 1 - int(blockIdx.x)) / int(gridDim.x) + 1, total = myTiles * parts * perPart;

  // Where loading is, ahead of where the sums are.
  struct {
    int tile, part, chunk;
    Format rows;
  } next{int(blockIdx.x), 0, begin, {}};
  auto moveNext = [&] {
    int which = 0;
    while (which + 1 < products.count && next.tile >= products.firstTile[which + 1])
      ++which;
    const StreamedProduct &product = products.each[which];
    next.rows.moveTo(gated && next.part ? product.gate : product.w, int64_t(next.tile - products.firstTile[which]) * tileRows, lane);
  };
  moveNext();
  auto fetch = [&](typename Format::Chunk &chunk) {
    next.rows.load(chunk, next.chunk);
    if (++next.chunk < end)
      return;
    next.chunk = begin;
    if (++next.part == parts)
      next.part = 0, next.tile += int(gridDim.x);
    if (next.tile < tileCount)
      moveNext();
  };
  typename Format::Chunk chunk[Format::ahead];
#pragma unroll
  for (int u = 0; u < Format::ahead; ++u)
    if (u < total)
      fetch(chunk[u]);
  WaitForTheOneBefore();

  const Half *x = prepared;
  if (!prepared) {
    for (int row = 0; row < rows; ++row)
      prepare<Format::paired>(source, row, depth, own + row * depth);
    __syncthreads();
    x = own;
  }

  int tile = int(blockIdx.x), part = 0, at = begin, turn = 0;
  float sum[tiles][4] = {};
  uint32_t xs[tiles][perLane / 2] = {}; // rows that are not there stay 0
  for (int first = 0; first < total; first += Format::ahead)
#pragma unroll
    for (int u = 0; u < Format::ahead; ++u) {
      if (first + u >= total)
        break;
#pragma unroll
      for (int n = 0; n < tiles; ++n)
        if (n * 8 + g < rows) {
          const Half *from = x + (n * 8 + g) * depth + at * Format::columns + lane % 4 * perLane;
#pragma unroll
          for (int i = 0; i < perLane / 2; i += 4) {
            uint4 v = *reinterpret_cast<const uint4 *>(from + i * 2);
            xs[n][i] = v.x, xs[n][i + 1] = v.y, xs[n][i + 2] = v.z, xs[n][i + 3] = v.w;
          }
        }
      Format::add(sum, chunk[u], xs, lane);
      if (first + u + Format::ahead < total)
        fetch(chunk[u]);
      if (++at < end)
        continue;
      // A matrix of the tile is done.
      at = begin;
#pragma unroll
      for (int n = 0; n < tiles; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          sums[turn][part][warp][n * 8 + lane % 4 * 2 + i % 2][g + i / 2 * 8] = idle ? 0.0f : sum[n][i];
          sum[n][i] = 0;
        }
      if (++part < parts)
        continue;
      part = 0;
      __syncthreads();
      finishTile<tiles, gated>(products, tile, rows, sums[turn]);
      tile += int(gridDim.x);
      turn ^= 1;
    }
}

/// How many blocks of a kernel the device holds at once.
template <typename Kernel> int residentBlocks(Kernel *kernel, size_t shared) {
  int blocks = 1;
  cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, warps * 32, shared);
  return std::max(DeviceAttribute(cudaDevAttrMultiProcessorCount), 1) * std::max(blocks, 1);
}

template <typename Format, bool gated>
void launch(cudaStream_t stream, const StreamedRows &x, const Products &products, void *scratch) {
  using Half = typename Format::Half;
  auto *prepared = static_cast<Half *>(scratch);
  int depth = int(products.each[0].w.columns);
  size_t shared = size_t(x.rows) * size_t(depth) * sizeof(Half);
  // x lies beside the sums of two tiles in the 48 KiB that a block has without asking for more.
  size_t sums = sizeof(float) * 2 * (gated ? 2 : 1) * warps * (x.rows <= 8 ? 8 : 16) * (tileRows + 1);
  size_t mostShared = std::min<size_t>(28 << 10, (47 << 10) - sums);
  bool prepares = !Format::stays || shared > mostShared;
  if (prepares) {
    Launch(PrepareKernel<Format::paired, Half>, unsigned(x.rows), warps * 32, 0, stream, x, depth, prepared);
    shared = 0;
  }
  auto *kernel = x.rows <= 8 ? StreamKernel<Format, 1, gated> : StreamKernel<Format, 2, gated>;
  int tileCount = products.firstTile[products.count];
  unsigned blocks = unsigned(Format::stays ? std::min(tileCount, residentBlocks(kernel, shared)) : tileCount);
  LaunchChained(kernel, dim3(blocks), warps * 32, shared, stream, x, prepares ? prepared : nullptr, products);
}

template <typename Format>
void launch(cudaStream_t stream, const StreamedRows &x, const Products &products, bool gated, void *scratch) {
  if (gated)
    launch<Format, true>(stream, x, products, scratch);
  else
    launch<Format, false>(stream, x, products, scratch);
}

template <typename Half, int words>
void launchPacked(cudaStream_t stream, const StreamedRows &x, const Products &products, bool gated, void *scratch) {
  switch (products.each[0].w.scaleType) {
  case DType::F32: return launch<FourBits<Half, words, float>>(stream, x, products, gated, scratch);
  case DType::F16: return launch<FourBits<Half, words, __half>>(stream, x, products, gated, scratch);
  default: return launch<FourBits<Half, words, __nv_bfloat16>>(stream, x, products, gated, scratch);
  }
}

template <typename Half>
void launch(cudaStream_t stream, const StreamedRows &x, const Products &products, int words, bool gated, void *scratch) {
  switch (words) {
  case 1: return launchPacked<Half, 1>(stream, x, products, gated, scratch);
  case 2: return launchPacked<Half, 2>(stream, x, products, gated, scratch);
  case 4: return launchPacked<Half, 4>(stream, x, products, gated, scratch);
  default:
    if (std::is_same_v<Half, __half> && products.each[0].w.dtype == DType::F16)
      return launch<Plain<Half, Half>>(stream, x, products, gated, scratch);
    return launch<Plain<Half, __nv_bfloat16>>(stream, x, products, gated, scratch);
  }
}

/// Words of codes that a lane takes from a chunk, 8 of plain weights; 0: another kernel's.
int wordsOf(const Matrix &w) {
  if (w.dtype == DType::BF16 || w.dtype == DType::F16)
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

bool CanStream(const StreamedProduct &product, DType half) {
  if (product.w.dtype == DType::F16 && half == DType::BF16)
    return false; // bits would be lost
  return wordsOf(product.w) != 0 && (!product.gate.data || sameForm(product.w, product.gate));
}

void StreamProducts(cudaStream_t stream, const StreamedRows &x, const StreamedProduct *products, int count, DType half, void *scratch) {
  for (int begin = 0, end; begin < count; begin = end) {
    // Neighbours of one form go together.
    bool gated = products[begin].gate.data != nullptr;
    Products part{};
    for (end = begin; end < count && part.count < mostMatrices && (end == begin || (!gated && !products[end].gate.data && sameForm(products[end].w, products[begin].w))); ++end) {
      part.each[part.count] = products[end];
      part.firstTile[part.count + 1] = part.firstTile[part.count] + int((products[end].w.rows + tileRows - 1) / tileRows);
      ++part.count;
    }
    WithHalf(half, [&](auto type) { launch<decltype(type)>(stream, x, part, wordsOf(products[begin].w), gated, scratch); });
  }
}

} // namespace compressc::cuda
