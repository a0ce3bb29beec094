// Products of 5 to 64 rows by 4-bit weights, by products of warpgroups (wgmma), for compute capability 9.0.
//
// A warpgroup multiplies 64 rows of a weight, the left operand, in registers, by x, the right one, in shared memory. The
// four warpgroups of a block are row groups times depth groups: a tile is 64 rows of the weight for each row group, and a
// step is 256 or 128 columns for each depth group. All that a step reads comes by asynchronous copies to a ring of stages,
// codes as they lie in memory, x, arranged by a launch before, as the tensor cores read it. Blocks get equal shares of the
// steps of all tiles, or whole tiles; the last block that is done with a tile adds the parts of its sums, in order, and does
// what follows.
#include "batch_warpgroups.h"
#include "bulk_copy.cuh"
#include "stream_products.cuh"
#include "wgmma.cuh"

namespace compressc::cuda {
namespace {

using namespace streamed;

constexpr int warpgroups = 4, threads = warpgroups * 128, groupRows = 64;

/// Columns of a warpgroup's step: 256 cost fewer barriers, where there is room for two stages of x and of the scales of
/// groups.
constexpr int columnsOf(int width, int rowGroups, int words) {
  return rowGroups == 1 && (width == 64 || (width == 32 && words == 1)) ? 128 : 256;
}

/// `width`: rows of x that the products have room for.
template <typename Format, int width, int rowGroups> struct Ring {
  static constexpr int depthGroups = warpgroups / rowGroups;
  static constexpr int columns = columnsOf(width, rowGroups, Format::words), rowBytes = columns / 2, chunks = columns / Format::columns;
  static constexpr int xBytes = depthGroups * width * columns * 2;
  /// Of all warpgroups: codes, and for each chunk the scales of their rows and the zeros.
  static constexpr int codeBytes = warpgroups * groupRows * rowBytes, scaleBytes = warpgroups * groupRows * 4;
  static constexpr int chunkBytes = scaleBytes + scaleBytes / 8, stageBytes = xBytes + codeBytes + chunks * chunkBytes;
  /// Behind the stages: sums of depth groups on their way to the first one.
  static constexpr int sumBytes = (depthGroups - 1) * rowGroups * groupRows * width * 4, most = (226 << 10) - sumBytes;
  static constexpr int stages = most / stageBytes < 10 ? most / stageBytes : 10, sumsAt = stages * stageBytes;
  static constexpr int arrivalsAt = sumsAt + sumBytes, bytes = arrivalsAt + stages * int(sizeof(uint64_t));
  static_assert(stages > 1);
};

/// All tiles of all products, and how they are shared out. A gated product's tile is half the weight's, half the gate's.
struct Tiles {
  StreamedProduct each[mostMatrices];
  int first[mostMatrices + 1];
  int count;
  int steps, share; // of a tile; of a block

  __host__ __device__ int firstShareOf(int tile) const { return tile * steps / share; }
  __host__ __device__ int partsOf(int tile) const { return ((tile + 1) * steps - 1) / share - firstShareOf(tile) + 1; }
};

template <typename Half, typename Format, int width, int rowGroups>
__global__ void __launch_bounds__(threads, 1)
BatchWarpgroupsKernel(const uint8_t *x, int rows, int depth, Tiles tiles, typename Format::Groups groups, float *parts, int32_t *counters) {
  if (!HasWarpgroupProducts())
    return;
  using Ring = Ring<Format, width, rowGroups>;
  constexpr int stages = Ring::stages, words = Format::words, depthGroups = Ring::depthGroups, sums = width / 2;
  LetTheNextBegin();
  auto *memory = DynamicShared<uint8_t>();
  const int thread = int(threadIdx.x), lane = thread % 32, warp = thread / 32, chunks = depth / Format::columns, steps = tiles.steps;
  const int warpgroup = __shfl_sync(~0u, warp / 4, 0), rowGroup = warpgroup % rowGroups, depthGroup = warpgroup / rowGroups;
  const int first = int(blockIdx.x) * tiles.share, left = min(tiles.share, tiles.first[tiles.count] * steps - first);
  int tile = first / steps, step = first - tile * steps;
  // A thread copies 16 bytes of some rows of its warpgroup; some a row's scale, and some the zeros of 8 rows.
  const int member = thread % 128, scaleSize = groups.scaleType == DType::F32 ? 4 : 2;
  constexpr int pieces = Ring::rowBytes / 16, rowsAtOnce = 128 / pieces;
  const bool copiesScale = member < groupRows, copiesZeros = !copiesScale && member < groupRows + groupRows / 8;
  struct {
    int tile, step, left, stage;
    const uint8_t *codes, *form; // of its first row; a scale, or zeros, null if they are 8
    int rows;                    // that there are, of the warpgroup's
  } next{tile, step, left, 0, nullptr, nullptr, 0};
  auto moveTo = [&](int tile) {
    int which = rangeOf(tiles.first, tiles.count, tile);
    const StreamedProduct &product = tiles.each[which];
    int apart = product.gate.data ? rowGroups / 2 : rowGroups, row = ((tile - tiles.first[which]) * apart + rowGroup % apart) * groupRows;
    const Matrix &w = rowGroup < apart ? product.w : product.gate;
    next.codes = w.data + int64_t(row + member / pieces) * w.rowBytes + member % pieces * 16;
    next.rows = int(w.rows) - row;
    if (copiesScale)
      next.form = static_cast<const uint8_t *>(w.scales) + int64_t(row + member) * groups.perRow * scaleSize;
    else
      next.form = w.zeros ? reinterpret_cast<const uint8_t *>(w.zeros + int64_t(row / 8 + member % 8) * groups.perRow) : nullptr;
  };
  const int64_t apart = tiles.each[0].w.rowBytes * rowsAtOnce; // all weights have as many columns
  auto copyCodes = [&] {
    if (next.left == 0)
      return EndGroupOfCopies();
    int place = next.step * depthGroups + depthGroup;
    uint8_t *stage = memory + next.stage * Ring::stageBytes + Ring::xBytes;
    // Halves of every other row change places, so that lanes read of different banks.
    int row = member / pieces, piece = Ring::rowBytes == 128 ? member % pieces ^ row % 2 * 4 : member % pieces;
    uint32_t to = SharedAddress(stage) + uint32_t((warpgroup * groupRows + row) * Ring::rowBytes + piece * 16);
    const uint8_t *from = next.codes + place * Ring::rowBytes;
    bool exists = place * Ring::columns + member % pieces * 32 < depth;
#pragma unroll
    for (int i = 0; i < groupRows; i += rowsAtOnce, from += apart)
      CopyAsync(to + i * Ring::rowBytes, from, exists && row + i < next.rows);
    if (copiesScale || copiesZeros) {
      uint8_t *form = stage + Ring::codeBytes;
      form += copiesScale ? (warpgroup * groupRows + member) * 4 : Ring::scaleBytes + (warpgroup * (groupRows / 8) + member % 8) * 4;
#pragma unroll
      for (int i = 0; i < Ring::chunks; ++i, form += Ring::chunkBytes) {
        int chunk = place * Ring::chunks + i;
        auto at = reinterpret_cast<uintptr_t>(next.form) + Format::groupIndex(groups, chunk) * (copiesScale ? scaleSize : 4);
        if (next.form) // of a scale of 16 bits, the word that it lies in
          CopyWordAsync(SharedAddress(form), reinterpret_cast<const void *>(at / 4 * 4),
                        chunk < chunks && (copiesScale ? member : member % 8 * 8) < next.rows);
        else
          *reinterpret_cast<uint32_t *>(form) = 0x88888888u;
      }
    }
    EndGroupOfCopies();
    next.stage = next.stage + 1 == stages ? 0 : next.stage + 1;
    if (++next.step == steps)
      next.step = 0, ++next.tile;
    if (--next.left > 0 && next.step == 0)
      moveTo(next.tile);
  };

  constexpr int xStride = width / 8 * 128;
  const uint32_t arrivals = SharedAddress(memory) + uint32_t(Ring::arrivalsAt);
  int xStep = step, xLeft = left, xStage = 0;
  auto copyX = [&] { // by one thread
    if (xLeft == 0)
      return;
    uint32_t to = SharedAddress(memory) + uint32_t(xStage * Ring::stageBytes);
    ArriveExpecting(arrivals + xStage * 8, Ring::xBytes);
    CopyBulk(to, x + int64_t(xStep) * Ring::xBytes, Ring::xBytes, arrivals + xStage * 8);
    xStep = xStep + 1 == steps ? 0 : xStep + 1;
    xStage = xStage + 1 == stages ? 0 : xStage + 1;
    --xLeft;
  };

  float sum[sums] = {};
  auto multiply = [&](int stage, int step) {
    const uint32_t xAt = SharedAddress(memory) + uint32_t(stage * Ring::stageBytes + depthGroup * width * Ring::columns * 2);
    const uint64_t xs = PlainMatrix(__shfl_sync(~0u, xAt, 0), xStride, 128); // the same for all, which the compiler is told so
    const uint8_t *from = memory + stage * Ring::stageBytes + Ring::xBytes;
#pragma unroll
    for (int c = 0; c < Ring::chunks; ++c) {
      int chunk = (step * depthGroups + depthGroup) * Ring::chunks + c;
      if (chunk >= chunks)
        return;
      int column = c * words * 16 + lane % 4 * words * 4; // in bytes
      if constexpr (Ring::rowBytes == 128)
        column ^= lane / 4 % 2 * 64;
      const uint8_t *codes = from + (warp * tileRows + lane / 4) * Ring::rowBytes + column;
      uint32_t low[words], high[words];
      Copy<words>(low, codes);
      Copy<words>(high, codes + 8 * Ring::rowBytes);
      const auto *scales = reinterpret_cast<const uint32_t *>(from + Ring::codeBytes + c * Ring::chunkBytes) + warp * tileRows + lane / 4;
      uint32_t lowForm = scales[0], highForm = scales[8];
      uint2 zeros = *reinterpret_cast<const uint2 *>(from + Ring::codeBytes + c * Ring::chunkBytes + Ring::scaleBytes + warp * 8);
      constexpr uint32_t mask = 0x000f000fu;
      const uint32_t offset = codesFrom<Half>;
      int shift = lane / 4 * 4; // tiles begin at multiples of 8 rows, and so do the zeros' words
      uint32_t lowZero = offset + (zeros.x >> shift & 15) * 0x10001u, highZero = offset + (zeros.y >> shift & 15) * 0x10001u;
      float part[sums];
      uint32_t a[words][2][4];
#pragma unroll
      for (int i = 0; i < words; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          a[i][j / 2][j % 2 * 2] = SubtractPairs<Half>(AndOr<mask>(low[i] >> j * 4, offset), lowZero);
          a[i][j / 2][j % 2 * 2 + 1] = SubtractPairs<Half>(AndOr<mask>(high[i] >> j * 4, offset), highZero);
        }
        BeginProducts();
#pragma unroll
        for (int j = 0; j < 2; ++j)
          MultiplyLater<Half, width, false>(part, a[i][j], xs + ((c * words + i) * 4 + j * 2) * (xStride / 16), i + j > 0);
      }
      EndGroupOfProducts();
      int at = Format::groupIndex(groups, chunk), odd = (lane / 4 & groups.perRow) + at & 1;
      float lowScale, highScale;
      if (groups.scaleType == DType::F32) {
        lowScale = __uint_as_float(lowForm), highScale = __uint_as_float(highForm);
      } else {
        lowScale = Format::scaleOf(lowForm >> odd * 16 & 0xffff, groups);
        highScale = Format::scaleOf(highForm >> odd * 16 & 0xffff, groups);
      }
      WaitForProducts<0>(part);
#pragma unroll
      for (int i = 0; i < sums; ++i)
        sum[i] = fmaf(part[i], i / 2 % 2 ? highScale : lowScale, sum[i]);
    }
  };

  __shared__ bool last;
  auto finish = [&](int tile) {
    int which = rangeOf(tiles.first, tiles.count, tile), count = tiles.partsOf(tile);
    auto *shared = reinterpret_cast<float *>(memory + Ring::sumsAt);
    if constexpr (depthGroups > 1) {
      float *others = shared + thread % 128;
      if (depthGroup > 0)
#pragma unroll
        for (int i = 0; i < sums; ++i)
          others[(((depthGroup - 1) * rowGroups + rowGroup) * sums + i) * 128] = sum[i];
      __syncthreads();
      if (depthGroup == 0)
#pragma unroll
        for (int of = 0; of < depthGroups - 1; ++of)
#pragma unroll
          for (int i = 0; i < sums; ++i)
            sum[i] += others[((of * rowGroups + rowGroup) * sums + i) * 128];
    }
    // As the threads have them.
    constexpr int groupSums = sums * 128, tileSums = rowGroups * groupSums;
    int64_t partSize = int64_t(tiles.first[tiles.count]) * tileSums;
    // A tile that has no other parts stays in shared memory, where there is room, in the place of a depth group's sums.
    float *of = depthGroups > 1 && count == 1 ? shared : parts + int64_t(tile) * tileSums;
    if (depthGroup == 0) {
      float *to = of + int64_t(int(blockIdx.x) - tiles.firstShareOf(tile)) * partSize + rowGroup * groupSums + thread % 128;
#pragma unroll
      for (int i = 0; i < sums; ++i)
        to[i * 128] = sum[i];
    }
#pragma unroll
    for (int i = 0; i < sums; ++i)
      sum[i] = 0;
    if (count > 1)
      __threadfence();
    __syncthreads();
    if (count > 1) {
      if (thread == 0) {
        last = atomicAdd(counters + tile, 1) == count - 1;
        if (last)
          counters[tile] = 0; // for the next launch
      }
      __syncthreads();
      if (!last)
        return;
      __threadfence();
    }
    const StreamedProduct &product = tiles.each[which];
    bool gated = product.gate.data != nullptr;
    int apart = gated ? rowGroups / 2 : rowGroups, firstGroup = (tile - tiles.first[which]) * apart;
    auto added = [&](int at) { // four lanes' sums
      if (count == 1)
        return *reinterpret_cast<const float4 *>(of + at);
      float4 all = {0, 0, 0, 0};
      for (int begin = 0; begin < count; begin += 4) { // several at once, as each load of a part takes long
        float4 some[4];
#pragma unroll
        for (int i = 0; i < 4; ++i)
          some[i] = __ldcg(reinterpret_cast<const float4 *>(of + min(begin + i, count - 1) * partSize + at));
#pragma unroll
        for (int i = 0; i < 4; ++i)
          if (begin + i < count)
            all = {all.x + some[i].x, all.y + some[i].y, all.z + some[i].z, all.w + some[i].w};
      }
      return all;
    };
    for (int i = thread; i < apart * groupSums / 4; i += threads) {
      int group = i / (groupSums / 4), index = i / 32 % sums, quad = i % 32;
      int64_t column = (firstGroup + group) * groupRows + quad / 8 * tileRows + quad % 8 + index / 2 % 2 * 8;
      int row = index / 4 * 8 + index % 2;
      if (row >= rows || column >= product.w.rows)
        continue;
      float4 all = added(i * 4), gates = gated ? added(i * 4 + apart * groupSums) : all;
      float values[4] = {all.x, all.y, all.z, all.w}, gate[4] = {gates.x, gates.y, gates.z, gates.w};
#pragma unroll
      for (int t = 0; t < 4; ++t) {
        if (row + t * 2 >= rows)
          break;
        int64_t at = (row + t * 2) * product.w.rows + column;
        if (gated)
          AnyEpilogue::finish<true>(product, column, at, values[t], gate[t]);
        else
          AnyEpilogue::finish<false>(product, column, at, values[t], 0);
      }
    }
  };

  if (thread == 0) {
    for (int i = 0; i < stages; ++i)
      InitBarrier(arrivals + i * 8, 1);
    ShowBarriers();
  }
  __syncthreads();
  moveTo(tile);
  for (int i = 0; i < stages - 1; ++i)
    copyCodes();
  WaitForTheOneBefore();
  if (thread == 0)
    for (int i = 0; i < stages - 1; ++i)
      copyX();
  int stage = 0;
  uint32_t turn = 0;
  for (int done = 1; done <= left; ++done) {
    WaitForCopies<stages - 2>();
    __syncthreads(); // and all have read the stage that is written next
    if (thread == 0)
      copyX();
    copyCodes();
    WaitForPhase(arrivals + stage * 8, turn);
    multiply(stage, step);
    if (step + 1 == steps || done == left)
      finish(tile);
    step = step + 1 == steps ? 0 : step + 1, tile += step == 0;
    if (++stage == stages)
      stage = 0, turn ^= 1;
  }
  WaitForCopies<0>(); // groups without copies, but groups
}

/// x as the products read it: 128 columns after 128, of them the words of codes' pairs 0 4, 1 5, 2 6 and 3 7, one after the
/// other, each of them 8 rows of 16 bytes, after which come the next 8 rows.
template <typename Half, int words, int width> struct ArrangedHalves {
  static __device__ __forceinline__ void put(const float (&v)[8], bool exists, int row, int column, int, uint8_t *x, uint8_t *) {
    constexpr int unitColumns = 128;
    if (!exists)
      return;
    int place = column % unitColumns / 8, lane = place / words % 4, word = place / (words * 4) * words + place % words;
    uint8_t *to = x + int64_t(column / unitColumns) * (width * unitColumns * 2);
    to += (word * 4 * (width / 8) + row / 8) * 128 + row % 8 * 16 + lane * 4;
#pragma unroll
    for (int i = 0; i < 4; ++i)
      *reinterpret_cast<uint32_t *>(to + i * (width / 8) * 128) = Pack<Half>(v[i], v[i + 4]);
  }
};

/// So many rows of x are room for these.
int widthFor(int64_t rows) { return rows <= 16 ? 16 : rows <= 32 ? 32 : 64; }
/// Whether an equal share of the weights' rows, for each multiprocessor, is as many.
bool haveRows(const StreamedProduct *products, int count, int each) {
  int64_t rows = 0;
  for (int i = 0; i < count; ++i)
    rows += products[i].w.rows + (products[i].gate.data ? products[i].gate.rows : 0);
  return rows >= int64_t(each) * Multiprocessors();
}

/// With four of them x is read less often, with one there are fewer parts to add. A gate is beside its product's weight.
int rowGroupsFor(const StreamedProduct *products, int count) {
  for (int i = 0; i < count; ++i)
    if (products[i].gate.data)
      return 4;
  return haveRows(products, count, 128) ? 4 : 1;
}

Tiles tilesOf(int64_t rows, const StreamedProduct *products, int count) {
  int rowGroups = rowGroupsFor(products, count), depth = int(products[0].w.columns);
  Tiles tiles{};
  for (; tiles.count < count; ++tiles.count) {
    tiles.each[tiles.count] = products[tiles.count];
    int tileRows = (products[tiles.count].gate.data ? rowGroups / 2 : rowGroups) * groupRows;
    tiles.first[tiles.count + 1] = tiles.first[tiles.count] + int((products[tiles.count].w.rows + tileRows - 1) / tileRows);
  }
  int stepDepth = columnsOf(widthFor(rows), rowGroups, WordsOf(products[0].w)) * warpgroups / rowGroups;
  int blocks = Multiprocessors();
  tiles.steps = (depth + stepDepth - 1) / stepDepth;
  tiles.share = (tiles.first[count] * tiles.steps + blocks - 1) / blocks;
  // Whole tiles for fewer blocks, where that is at most a third more for each: then there are no parts to add.
  if (rowGroups == 1 && tiles.first[count] <= blocks && tiles.steps * 3 <= tiles.share * 4)
    tiles.share = tiles.steps;
  return tiles;
}

/// With what the last step reads behind it.
int64_t bytesOfX(int64_t rows, int64_t depth) {
  constexpr int most = 256 * warpgroups;
  return (depth + most - 1) / most * most * widthFor(rows) * 2;
}

template <typename Half, typename Format, int width, int rowGroups>
void launch(cudaStream_t stream, const StreamedRows &x, const StreamedProduct *products, int count, void *scratch,
            int32_t *counters) {
  constexpr int bytes = Ring<Format, width, rowGroups>::bytes;
  int depth = int(products[0].w.columns);
  Tiles tiles = tilesOf(x.rows, products, count);
  int all = tiles.first[count] * tiles.steps, blocks = (all + tiles.share - 1) / tiles.share;
  auto *kernel = BatchWarpgroupsKernel<Half, Format, width, rowGroups>;
  static OncePerDevice raise;
  raise([&] { cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes); });
  auto *prepared = static_cast<uint8_t *>(scratch);
  LaunchChained(PrepareKernel<ArrangedHalves<Half, Format::words, width>>, dim3(unsigned(x.rows)), threadsOfX, 0, stream, x, depth, width,
                prepared);
  LaunchChained(kernel, dim3(unsigned(blocks)), threads, bytes, stream, static_cast<const uint8_t *>(prepared), x.rows, depth, tiles,
                Format::groupsOf(products[0].w), reinterpret_cast<float *>(prepared + bytesOfX(x.rows, depth)), counters);
}

} // namespace

bool CanMultiplyBatchWarpgroups(int64_t rows, const StreamedProduct *products, int count) {
  // Of 16 rows and weights of few, as 4096 on an H200, the products of warps are a twentieth faster.
  return HasCapability90() && (rows <= 8 || rows > 16 || haveRows(products, count, 32));
}

int64_t BatchWarpgroupsScratchBytes(int64_t rows, const StreamedProduct *products, int count) {
  Tiles tiles = tilesOf(rows, products, count);
  int most = 1;
  for (int tile = 0; tile < tiles.first[count]; ++tile)
    most = std::max(most, tiles.partsOf(tile));
  int64_t sums = int64_t(rowGroupsFor(products, count)) * groupRows * widthFor(rows);
  return bytesOfX(rows, products[0].w.columns) + int64_t(most) * tiles.first[count] * sums * 4;
}

int BatchWarpgroupsCounters(int64_t rows, const StreamedProduct *products, int count) {
  return tilesOf(rows, products, count).first[count];
}

void MultiplyBatchWarpgroups(cudaStream_t stream, const StreamedRows &x, const StreamedProduct *products, int count, DType half,
                             void *scratch, int32_t *counters) {
  WithHalf(half, [&](auto type) {
    using Half = decltype(type);
    auto with = [&](auto words, auto rowGroups) {
      using Format = FourBits<decltype(words)::value, AnyScale>;
      constexpr int groups = decltype(rowGroups)::value;
      switch (widthFor(x.rows)) {
      case 16: return launch<Half, Format, 16, groups>(stream, x, products, count, scratch, counters);
      case 32: return launch<Half, Format, 32, groups>(stream, x, products, count, scratch, counters);
      default: return launch<Half, Format, 64, groups>(stream, x, products, count, scratch, counters);
      }
    };
    WithWords(products[0].w, [&](auto words) {
      if (rowGroupsFor(products, count) == 1)
        with(words, std::integral_constant<int, 1>{});
      else
        with(words, std::integral_constant<int, 4>{});
    });
  });
}

} // namespace compressc::cuda
