// Products of up to 16 rows, as generation needs them: each weight is read once, as it lies in the checkpoint, at
// the speed of the memory. The weights are the tensor cores' left operand, 16 rows of them at a time (a tile), and
// the rows of x the right one, so one row costs what eight do.
//
// A block stays for many tiles. Its warps share out the depth; each goes through its chunks of all the tiles, and
// always has the next few on their way. Within a chunk the order of the columns is free, as long as weights and x
// agree: every lane takes neighbouring ones, so that it reads 16 bytes at once.
//
// Emitted programs compile the kernel for their shapes, formats and what follows the products (program.cuh); the
// prebuilt ones (stream_products.cu) take those from their arguments. The arithmetic is the same.
#pragma once

#include "activate.cuh"
#include "fours.cuh"
#include "launch.cuh"
#include "load.cuh"
#include "ptx.cuh"
#include "rows.cuh"
#include <algorithm>

namespace compressc::cuda::streamed {

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
/// `group`: its columns, 0 where the weight tells.
template <typename Half_, int words_, typename Scale, int group = 0> struct FourBits {
  using Half = Half_;
  static constexpr int words = words_, columns = words * 32, ahead = words == 4 ? 4 : 8, blocks = 2; // of a multiprocessor
  static constexpr bool paired = true, stays = true;
  const uint8_t *low, *high;
  const Scale *lowScales, *highScales;
  const uint32_t *lowZeros, *highZeros; // null: 8
  int chunksPerGroup;

  __device__ __forceinline__ void moveTo(const Matrix &w, int64_t row, int lane) {
    row += lane / 4;
    int64_t other = min(row + 8, w.rows - 1), groups = w.columns / (group ? group : w.group); // of rows that are not there nothing is stored
    row = min(row, w.rows - 1);
    low = w.data + row * w.rowBytes + lane % 4 * words * 4;
    high = w.data + other * w.rowBytes + lane % 4 * words * 4;
    lowScales = static_cast<const Scale *>(w.scales) + row * groups;
    highScales = static_cast<const Scale *>(w.scales) + other * groups;
    lowZeros = w.zeros ? w.zeros + row / 8 * groups : nullptr;
    highZeros = w.zeros ? w.zeros + other / 8 * groups : nullptr;
    chunksPerGroup = (group ? group : w.group) / columns;
  }

  /// As loaded: nothing may wait for it before the other chunks are asked for.
  struct Chunk {
    uint32_t low[words], high[words], lowZero, highZero;
    Scale lowScale, highScale;
  };
  __device__ __forceinline__ void load(Chunk &chunk, int index) const {
    LoadOnce(chunk.low, low + index * (columns / 2));
    LoadOnce(chunk.high, high + index * (columns / 2));
    int chunks = group ? group / columns : chunksPerGroup, at = chunks == 1 ? index : index / chunks;
    chunk.lowScale = lowScales[at];
    chunk.highScale = highScales[at];
    chunk.lowZero = lowZeros ? lowZeros[at] : 0x88888888u;
    chunk.highZero = lowZeros ? highZeros[at] : 0x88888888u;
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

/// What follows the sums, as the products say: `column` of `rows` columns of the output, element `at`.
struct AnyEpilogue {
  template <bool gated>
  static __device__ __forceinline__ void finish(const StreamedProduct &product, int64_t column, int64_t at, float sum, float gate) {
    if (product.bias)
      sum += product.bias[column];
    if constexpr (gated) {
      if (product.gateBias)
        gate += product.gateBias[column];
      sum *= Activate(product.activation, gate);
    }
    if (product.residual)
      sum += product.residual[at];
    PutAt(product.out, product.outType, at, sum);
  }
};

/// Adds the warps' sums of a tile.
template <typename Epilogue, int tiles, bool gated>
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
    float sum = 0, gate = 0;
#pragma unroll
    for (int part = 0; part < warps; ++part)
      sum += sums[0][part][m][n];
    if constexpr (gated)
#pragma unroll
      for (int part = 0; part < warps; ++part)
        gate += sums[1][part][m][n];
    Epilogue::template finish<gated>(product, row + n, int64_t(m) * product.w.rows + row + n, sum, gate);
  }
}

/// Rows of x in 16 bits, normalised if there is a norm, eight columns in the order of `paired`: 0 4 1 5 2 6 3 7.
template <bool paired, typename Half>
__device__ __forceinline__ void prepare(const StreamedRows &x, int row, int depth, Half *to) {
  const float *wide = static_cast<const float *>(x.data) + int64_t(row) * depth;
  const Half *narrow = static_cast<const Half *>(x.data) + int64_t(row) * depth;
  float factor = x.norm ? rows::NormFactor<warps * 32>(wide, depth, x.epsilon) : 1.0f;
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

/// With `prepared` x is what PrepareKernel made of it, else every block prepares it for itself. `fixedDepth`: the
/// columns of x, 0 where the weights tell.
template <typename Format, typename Epilogue, int fixedDepth, int tiles, bool gated>
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
  int depth = fixedDepth ? fixedDepth : int(products.each[0].w.columns), tileCount = products.firstTile[products.count];
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
      finishTile<Epilogue, tiles, gated>(products, tile, rows, sums[turn]);
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

template <typename Format, typename Epilogue, int fixedDepth, bool gated>
void Launch(cudaStream_t stream, const StreamedRows &x, const Products &products, void *scratch) {
  using Half = typename Format::Half;
  auto *prepared = static_cast<Half *>(scratch);
  int depth = int(products.each[0].w.columns);
  size_t shared = size_t(x.rows) * size_t(depth) * sizeof(Half);
  // x lies beside the sums of two tiles in the 48 KiB that a block has without asking for more.
  size_t sums = sizeof(float) * 2 * (gated ? 2 : 1) * warps * (x.rows <= 8 ? 8 : 16) * (tileRows + 1);
  size_t mostShared = std::min<size_t>(28 << 10, (47 << 10) - sums);
  bool prepares = !Format::stays || shared > mostShared;
  if (prepares) {
    cuda::Launch(PrepareKernel<Format::paired, Half>, unsigned(x.rows), warps * 32, 0, stream, x, depth, prepared);
    shared = 0;
  }
  auto *kernel = x.rows <= 8 ? StreamKernel<Format, Epilogue, fixedDepth, 1, gated> : StreamKernel<Format, Epilogue, fixedDepth, 2, gated>;
  int tileCount = products.firstTile[products.count];
  unsigned blocks = unsigned(Format::stays ? std::min(tileCount, residentBlocks(kernel, shared)) : tileCount);
  LaunchChained(kernel, dim3(blocks), warps * 32, shared, stream, x, prepares ? prepared : nullptr, products);
}

/// Adds a product to those of one launch.
inline void Add(Products &products, const StreamedProduct &product) {
  products.each[products.count] = product;
  products.firstTile[products.count + 1] = products.firstTile[products.count] + int((product.w.rows + tileRows - 1) / tileRows);
  ++products.count;
}

} // namespace compressc::cuda::streamed
