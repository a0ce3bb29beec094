// Products of few rows, up to 4 by 4-bit weights and 16 by others, as generation needs them: each weight is read once,
// as it lies in the checkpoint, at the speed of the memory. The weights are the tensor cores' left operand, 16 rows of
// them at a time (a tile), and the rows of x the right one, so one row costs what four do, or eight.
//
// A block stays for many tiles. It is two teams of warps, each with tiles of its own, whose warps share out the depth; a
// warp goes through its chunks of all the tiles, and always has the next few on their way to registers. Sums are added
// over the warps for several tiles together. Within a chunk the order of the columns is free, as long as weights and x
// agree: every lane takes neighbouring ones, so that it reads 16 bytes at once.
//
// Emitted programs compile the kernel for their shapes, formats and what follows the products (program.cuh); the
// prebuilt ones (stream_products.cu) take those from their arguments. The arithmetic is the same.
#pragma once

#include "activate.cuh"
#include "weight_chunks.cuh"
#include <algorithm>

namespace compressc::cuda::streamed {

constexpr int teams = 2, warps = threadsOfX / 32 / teams; // of a team
constexpr int mostMatrices = 4, mostTogether = 4;

struct Products {
  StreamedProduct each[mostMatrices];
  int firstTile[mostMatrices + 1]; // of 16 rows
  int count;
};

/// What a block has in shared memory: x, and behind it the warps' sums of tiles.
struct Shared {
  int sumsAt;
  int together, turns; // tiles whose sums are added at once; 2: the next ones begin meanwhile
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

/// The warps' sums of tiles: [turn, tile, team, matrix, warp, row of x, row of the weight].
struct PartialSums {
  static constexpr int stride = tileRows + 1;
  float *data;
  int together, parts, rows;

  __device__ __forceinline__ float *at(int turn, int tile, int part, int warp) const {
    return data + (((turn * together * teams + tile) * parts + part) * warps + warp) * rows * stride;
  }
  /// Of a tile of each team.
  static int bytes(int parts, int rows) { return int(sizeof(float)) * teams * parts * warps * rows * stride; }
};

__device__ __forceinline__ int productOf(const Products &products, int tile) {
  return rangeOf(products.firstTile, products.count, tile);
}

/// Adds the sums that `active` warps have of each team's `count` tiles, the first of which is `tile`; the others lie a grid
/// of teams apart.
template <typename Epilogue, bool gated>
__device__ __forceinline__ void finishTiles(const Products &products, int tile, int count, int turn, const PartialSums &sums, int active) {
  int rows = sums.rows;
  for (int i = threadIdx.x; i < count * teams * rows * tileRows; i += threadsOfX) {
    int n = i % tileRows, rest = i / tileRows, index = rest / rows, m = rest - index * rows;
    int of = tile + index % teams + index / teams * int(gridDim.x) * teams;
    if (of >= products.firstTile[products.count])
      continue;
    int which = productOf(products, of);
    const StreamedProduct &product = products.each[which];
    int64_t column = int64_t(of - products.firstTile[which]) * tileRows + n;
    if (column >= product.w.rows)
      continue;
    float sum = 0, gate = 0;
    for (int warp = 0; warp < active; ++warp) {
      sum += sums.at(turn, index, 0, warp)[m * PartialSums::stride + n];
      if constexpr (gated)
        gate += sums.at(turn, index, 1, warp)[m * PartialSums::stride + n];
    }
    Epilogue::template finish<gated>(product, column, int64_t(m) * product.w.rows + column, sum, gate);
  }
}

/// With `prepared` x is what PrepareKernel made of it, else every block prepares it for itself. `fixedDepth`: the
/// columns of x, 0 where the weights tell. `tiles`: column tiles of the products.
template <typename Format, typename Epilogue, int fixedDepth, int tiles, bool gated>
__global__ void __launch_bounds__(threadsOfX, 1)
StreamKernel(StreamedRows source, const uint8_t *prepared, Products products, typename Format::Groups groups, Shared shared) {
  constexpr int parts = gated ? 2 : 1, ahead = Format::ahead; // parts: matrices of a tile
  auto *memory = DynamicShared<uint8_t>();
  LetTheNextBegin();
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32 % warps, team = threadIdx.x / (warps * 32), rows = source.rows;
  const PartialSums partial{reinterpret_cast<float *>(memory + shared.sumsAt), shared.together, parts, rows};
  int depth = fixedDepth ? fixedDepth : int(products.each[0].w.columns), tileCount = products.firstTile[products.count];
  // Chunks of each warp; those that all have, where the compiler can know them.
  constexpr int each = fixedDepth % (warps * Format::columns) ? 0 : fixedDepth / (warps * Format::columns);
  int chunks = depth / Format::columns, active = min(warps, chunks), begin = each ? each * warp : chunks * min(warp, active) / active;
  const int count = each ? each : chunks * min(warp + 1, active) / active - begin;

  // Where the chunks lie that are loaded next, in place of those that are used.
  struct {
    int tile, part, chunk;
    typename Format::Source from;
  } next{count > 0 ? int(blockIdx.x) * teams + team : tileCount, 0, 0, {}};
  auto moveNext = [&] {
    int which = productOf(products, next.tile);
    const StreamedProduct &product = products.each[which];
    const Matrix &w = gated && next.part ? product.gate : product.w;
    next.from.moveTo(w, groups, (next.tile - products.firstTile[which]) * tileRows, begin, lane);
  };
  auto endOfLoads = [&] {
    next.chunk += ahead;
    if (next.chunk < count)
      return;
    next.chunk = 0;
    if (!gated || ++next.part == parts)
      next.part = 0, next.tile += int(gridDim.x) * teams;
    if (next.tile < tileCount)
      moveNext();
  };
  typename Format::Chunk chunk[ahead];
  if (next.tile < tileCount) {
    moveNext();
#pragma unroll
    for (int u = 0; u < ahead; ++u)
      if (u < count)
        next.from.load(chunk[u], groups, begin, u);
    endOfLoads();
  }
  WaitForTheOneBefore();

  if (!prepared) {
    for (int row = 0; row < rows; ++row)
      prepare<Format>(source, row, depth, rows, memory);
    __syncthreads();
  }

  const typename Format::template Place<tiles> place(rows, lane);
  int inSet = 0, turn = 0, firstOfSet = int(blockIdx.x) * teams, chunkBytes = rows * Format::columns * 2;
  for (int tile = firstOfSet; tile < tileCount; tile += int(gridDim.x) * teams) { // of the first team
    int mine = tile + team < tileCount ? count : 0;
#pragma unroll
    for (int part = 0; part < parts; ++part) {
      float sum[tiles][Format::sums] = {};
      for (int first = 0; first < mine; first += ahead) {
        bool more = next.tile < tileCount;
        auto add = [&](const uint8_t *x) {
          const auto *of = reinterpret_cast<const ChunkOfX *>(x + rows * depth * 2) + (begin + first) * rows;
          x += (begin + first) * chunkBytes;
#pragma unroll
          for (int u = 0; u < ahead; ++u) {
            if (first + u < count)
              Format::add(sum, chunk[u], groups, place, x + u * chunkBytes, of + u * rows, lane);
            if (more && next.chunk + u < count)
              next.from.load(chunk[u], groups, begin, next.chunk + u);
          }
        };
        if (prepared)
          add(prepared);
        else
          add(memory);
        if (more)
          endOfLoads();
      }
      float *to = partial.at(turn, inSet * teams + team, part, warp);
      if (mine > 0)
#pragma unroll
        for (int n = 0; n < tiles; ++n)
#pragma unroll
          for (int i = 0; i < Format::sums; ++i)
            if (int row = Format::rowOfX(n, i, lane); row < rows)
              to[row * PartialSums::stride + Format::rowOfTile(i, lane)] = sum[n][i];
    }
    if (++inSet < shared.together && tile + int(gridDim.x) * teams < tileCount)
      continue;
    __syncthreads();
    finishTiles<Epilogue, gated>(products, firstOfSet, inSet, turn, partial, active);
    firstOfSet += inSet * int(gridDim.x) * teams;
    inSet = 0;
    if (shared.turns == 2)
      turn ^= 1;
    else
      __syncthreads();
  }
}

/// How many blocks of a kernel the device holds at once.
template <typename Kernel> int residentBlocks(Kernel *kernel, size_t shared) {
  int blocks = 1;
  cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, threadsOfX, shared);
  return Multiprocessors() * std::max(blocks, 1);
}

template <typename Format, typename Epilogue, int fixedDepth, bool gated>
void Launch(cudaStream_t stream, const StreamedRows &x, const Products &products, void *scratch) {
  int depth = int(products.each[0].w.columns), tileCount = products.firstTile[products.count];
  // x lies beside the partial sums, and what norms need, in the 48 KiB that a block has without asking for more.
  constexpr int most = 47 << 10;
  int sumBytes = PartialSums::bytes(gated ? 2 : 1, x.rows), xBytes = int((StreamScratchBytes(x.rows, depth) + 15) / 16 * 16);
  bool prepares = xBytes + sumBytes > most;
  Shared shared{prepares ? 0 : xBytes, 1, 1};
  if (int sets = (most - shared.sumsAt) / sumBytes; sets >= 2)
    shared.turns = 2, shared.together = std::min(sets / 2, mostTogether);
  size_t bytes = size_t(shared.sumsAt) + size_t(shared.turns * shared.together) * size_t(sumBytes);
  auto launch = [&](auto *kernel) {
    auto *to = static_cast<uint8_t *>(scratch);
    if (prepares)
      LaunchChained(PrepareKernel<Format>, dim3(unsigned(x.rows)), threadsOfX, 0, stream, x, depth, x.rows, to);
    int blocks = std::min((tileCount + teams - 1) / teams, residentBlocks(kernel, bytes));
    LaunchChained(kernel, dim3(unsigned(blocks)), threadsOfX, bytes, stream, x, prepares ? to : nullptr, products,
                  Format::groupsOf(products.each[0].w), shared);
  };
  if constexpr (Format::rowsOfX < Format::mostRows)
    if (x.rows > Format::rowsOfX)
      return launch(StreamKernel<Format, Epilogue, fixedDepth, 2, gated>);
  launch(StreamKernel<Format, Epilogue, fixedDepth, 1, gated>);
}

/// Adds a product to those of one launch.
inline void Add(Products &products, const StreamedProduct &product) {
  products.each[products.count] = product;
  products.firstTile[products.count + 1] = products.firstTile[products.count] + int((product.w.rows + tileRows - 1) / tileRows);
  ++products.count;
}

} // namespace compressc::cuda::streamed
