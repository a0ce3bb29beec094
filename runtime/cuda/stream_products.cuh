// Products of up to 16 rows, as generation needs them: each weight is read once, as it lies in the checkpoint, at
// the speed of the memory. The weights are the tensor cores' left operand, 16 rows of them at a time (a tile), and
// the rows of x the right one, so one row costs what four do, or eight.
//
// A block stays for many tiles. The warps of a team share out the depth; each goes through its chunks of all the team's
// tiles, and always has the next few on their way to shared memory. Sums are added over the warps for several tiles
// together.
// Within a chunk the order of the columns is free, as long as weights and x agree: every lane takes neighbouring ones,
// so that it reads 16 bytes at once. Where launches overlap (sm_90), a block takes half of a multiprocessor: the next
// launch's first weights are on their way while this one ends.
//
// Emitted programs compile the kernel for their shapes, formats and what follows the products (program.cuh); the
// prebuilt ones (stream_products.cu) take those from their arguments. The arithmetic is the same.
#pragma once

#include "activate.cuh"
#include "weight_chunks.cuh"
#include <algorithm>

namespace compressc::cuda::streamed {

constexpr int teams = 2, warps = threadsOfX / 32 / teams; // a team of warps has a tile
constexpr int mostMatrices = 4, mostTogether = 4;
constexpr int step = 2; // chunks that are copied and waited for together

struct Products {
  StreamedProduct each[mostMatrices];
  int firstTile[mostMatrices + 1]; // of 16 rows
  int count;
};

/// What a block has in shared memory, one behind the other: slots for chunks, x, and the warps' sums of tiles.
struct Shared {
  int slots; // of each warp, each for a step: 2 or 1
  int xAt, sumsAt;
  int together, turns; // tiles of each team whose sums are added at once; 2: the next ones begin meanwhile
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

  /// `tile`: of all teams'.
  __device__ __forceinline__ float *at(int turn, int tile, int part, int warp) const {
    return data + (((turn * together * teams + tile) * parts + part) * warps + warp) * rows * stride;
  }
  /// Of a tile of each team.
  static int bytes(int parts, int rows) { return int(sizeof(float)) * teams * parts * warps * rows * stride; }
};

__device__ __forceinline__ int productOf(const Products &products, int tile) {
  int which = 0;
  while (which + 1 < products.count && tile >= products.firstTile[which + 1])
    ++which;
  return which;
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
__global__ void __launch_bounds__(threadsOfX, tiles == 1 ? 2 : 1)
StreamKernel(StreamedRows source, const uint8_t *prepared, Products products, typename Format::Groups groups, Shared shared) {
  constexpr int parts = gated ? 2 : 1; // matrices of a tile
  auto *memory = DynamicShared<uint8_t>();
  LetTheNextBegin();
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32 % warps, team = threadIdx.x / (warps * 32), rows = source.rows;
  const PartialSums partial{reinterpret_cast<float *>(memory + shared.sumsAt), shared.together, parts, rows};
  int depth = fixedDepth ? fixedDepth : int(products.each[0].w.columns), tileCount = products.firstTile[products.count];
  int chunks = depth / Format::columns, active = min(warps, chunks);
  int begin = chunks * warp / active, end = warp < active ? chunks * (warp + 1) / active : begin;
  int firstTile = int(blockIdx.x) * teams + team, tileStride = int(gridDim.x) * teams;

  // Where copying is, ahead of where the sums are.
  struct {
    int tile, part, chunk, which, tilesLeft; // of the product that can be reached by advancing
    typename Format::Source source[parts];
  } next{begin < end ? firstTile : tileCount, 0, begin, 0, 0, {}};
  auto moveNext = [&] {
    next.which = productOf(products, next.tile);
    const StreamedProduct &product = products.each[next.which];
    int tile = next.tile - products.firstTile[next.which];
    next.source[0].moveTo(product.w, groups, tile * tileRows, lane);
    if constexpr (gated)
      next.source[parts - 1].moveTo(product.gate, groups, tile * tileRows, lane);
    next.tilesLeft = int(product.w.rows) / tileRows - tile;
  };
  if (next.tile < tileCount)
    moveNext();
  constexpr int stepBytes = step * Format::slotBytes;
  const uint8_t *slots = memory + int(threadIdx.x / 32) * shared.slots * stepBytes;
  auto copyNext = [&](uint32_t slot) { // a group of copies, empty at the end
    if (next.tile < tileCount) {
      auto copy = [&](const typename Format::Source &from) {
#pragma unroll
        for (int i = 0; i < step; ++i)
          if (next.chunk + i < end)
            from.copy(slot + uint32_t(i * Format::slotBytes), groups, next.chunk + i, lane);
      };
      if (gated && next.part)
        copy(next.source[parts - 1]);
      else
        copy(next.source[0]);
      next.chunk += step;
      if (next.chunk >= end) {
        next.chunk = begin;
        if (!gated || ++next.part == parts) {
          next.part = 0, next.tile += tileStride, next.tilesLeft -= tileStride;
          if (next.tilesLeft > 0) {
            int rowBytes = int(products.each[next.which].w.rowBytes);
#pragma unroll
            for (int i = 0; i < parts; ++i)
              next.source[i].advance(tileStride * tileRows, rowBytes, groups, lane);
          } else if (next.tile < tileCount) {
            moveNext();
          }
        }
      }
    }
    EndGroupOfCopies();
  };
  for (int slot = 0; slot < shared.slots; ++slot)
    copyNext(SharedAddress(slots) + uint32_t(slot * stepBytes));
  WaitForTheOneBefore();

  uint8_t *own = memory + shared.xAt;
  if (!prepared) {
    for (int row = 0; row < rows; ++row)
      prepare<Format>(source, row, depth, own);
    __syncthreads();
  }

  const typename Format::template Place<tiles> place(rows, lane);
  int slot = 0, inSet = 0, turn = 0, firstOfSet = int(blockIdx.x) * teams, chunkBytes = rows * Format::columns * 2;
  for (int tile = firstOfSet; tile < tileCount; tile += tileStride) { // of the first team
#pragma unroll
    for (int part = 0; part < parts; ++part) {
      float sum[tiles][Format::sums] = {};
      int last = tile + team < tileCount ? end : begin;
      for (int at = begin; at < last; at += step) {
        if (shared.slots == 2)
          WaitForCopies<1>();
        else
          WaitForCopies<0>();
        __syncwarp();
        const uint8_t *from = slots + slot * stepBytes;
        auto addTo = [&](const uint8_t *x) {
          const auto *of = reinterpret_cast<const ChunkOfX *>(x + rows * depth * 2) + at * rows;
          x += at * chunkBytes;
#pragma unroll
          for (int i = 0; i < step; ++i)
            if (at + i < end) {
              typename Format::Chunk chunk;
              Format::read(chunk, from + i * Format::slotBytes, groups, at + i, lane);
              Format::add(sum, chunk, place, x + i * chunkBytes, of + i * rows, lane);
            }
        };
        if (prepared)
          addTo(prepared);
        else
          addTo(own);
        __syncwarp(); // all have read the slot
        copyNext(SharedAddress(from));
        slot ^= shared.slots - 1;
      }
      float *to = partial.at(turn, inSet * teams + team, part, warp);
      if (begin < last)
#pragma unroll
        for (int n = 0; n < tiles; ++n)
#pragma unroll
          for (int i = 0; i < Format::sums; ++i)
            if (int row = Format::rowOfX(n, i, lane); row < rows)
              to[row * PartialSums::stride + Format::rowOfTile(i, lane)] = sum[n][i];
    }
    if (++inSet < shared.together && tile + tileStride < tileCount)
      continue;
    __syncthreads();
    finishTiles<Epilogue, gated>(products, firstOfSet, inSet, turn, partial, active);
    firstOfSet += inSet * tileStride;
    inSet = 0;
    if (shared.turns == 2)
      turn ^= 1;
    else
      __syncthreads();
  }
  WaitForCopies<0>(); // groups without copies, but groups
}

/// What a block of the device may take, and whether launches overlap.
struct Limits {
  int sharedBytes, multiprocessors;
};
inline Limits DeviceLimits() {
  int most = DeviceAttribute(cudaDevAttrMaxSharedMemoryPerBlockOptin);
  if (DeviceAttribute(cudaDevAttrComputeCapabilityMajor) >= 9) // two blocks, each with 1 KiB that it does not see
    most = std::min(most, DeviceAttribute(cudaDevAttrMaxSharedMemoryPerMultiprocessor) / 2 - 1024);
  return {most - 512, std::max(DeviceAttribute(cudaDevAttrMultiProcessorCount), 1)}; // norms have a little of their own
}

template <typename Format, typename Epilogue, int fixedDepth, bool gated>
void Launch(cudaStream_t stream, const StreamedRows &x, const Products &products, void *scratch) {
  int depth = int(products.each[0].w.columns), tileCount = products.firstTile[products.count];
  Limits limits = DeviceLimits();
  // A block for each multiprocessor, and as many tiles for one as for the other.
  int pairs = (tileCount + teams - 1) / teams, each = (pairs + limits.multiprocessors - 1) / limits.multiprocessors, blocks = (pairs + each - 1) / each;
  int sumBytes = PartialSums::bytes(gated ? 2 : 1, x.rows), left = limits.sharedBytes - sumBytes;
  constexpr int slotBytes = teams * warps * step * Format::slotBytes;
  Shared shared{2 * slotBytes <= left ? 2 : 1, 0, 0, 1, 1};
  shared.xAt = shared.slots * slotBytes;
  left -= shared.xAt;
  int xBytes = int((StreamScratchBytes(x.rows, depth) + 15) / 16 * 16);
  bool prepares = xBytes > left;
  if (prepares)
    xBytes = 0;
  shared.sumsAt = shared.xAt + xBytes;
  int sets = 1 + (left - xBytes) / sumBytes;
  if (sets >= 2)
    shared.turns = 2, shared.together = std::min({sets / 2, mostTogether, each});
  size_t bytes = size_t(shared.sumsAt) + size_t(shared.turns * shared.together) * size_t(sumBytes);

  auto launch = [&](auto *kernel, OncePerDevice &raise) {
    raise([&] {
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, limits.sharedBytes);
      // The largest, for all of them: blocks of two launches are together on a multiprocessor only if it need not change.
      cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout, cudaSharedmemCarveoutMaxShared);
    });
    auto *to = static_cast<uint8_t *>(scratch);
    if (prepares)
      LaunchChained(PrepareKernel<Format>, dim3(unsigned(x.rows)), threadsOfX, 0, stream, x, depth, to);
    LaunchChained(kernel, dim3(unsigned(blocks)), threadsOfX, bytes, stream, x, prepares ? to : nullptr, products,
                  Format::groupsOf(products.each[0].w), shared);
  };
  static OncePerDevice raise[3];
  if (x.rows <= Format::rowsOfX)
    launch(StreamKernel<Format, Epilogue, fixedDepth, 1, gated>, raise[0]);
  else if (x.rows <= 2 * Format::rowsOfX)
    launch(StreamKernel<Format, Epilogue, fixedDepth, 2, gated>, raise[1]);
  else if constexpr (Format::rowsOfX == 4)
    launch(StreamKernel<Format, Epilogue, fixedDepth, 4, gated>, raise[2]);
}

/// Adds a product to those of one launch.
inline void Add(Products &products, const StreamedProduct &product) {
  products.each[products.count] = product;
  products.firstTile[products.count + 1] = products.firstTile[products.count] + int((product.w.rows + tileRows - 1) / tileRows);
  ++products.count;
}

} // namespace compressc::cuda::streamed
