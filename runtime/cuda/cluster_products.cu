// Products of 5 to 16 rows by 4-bit weights of a few thousand rows, for compute capability 9.0.
//
// A cluster of blocks has some rows of a weight (a tile) to itself, and its warps share out the columns. Each warp copies the
// codes that it multiplies to shared memory for itself, and the part of x, so that warps wait for each other only at the end.
// There the sums of a block's warps are added, each block of the cluster gets the others' sums of some of the rows, adds them,
// in order, and does what follows: nothing but the results is written to memory.
#include "cluster.cuh"
#include "cluster_products.h"
#include "stream_products.cuh"
#include "wgmma.cuh"

namespace compressc::cuda {
namespace {

using namespace streamed;

constexpr int blockWarps = 8, threads = blockWarps * 32, mostClusterBlocks = 4;
/// Columns that a warp multiplies at once, and bytes of their codes. More stages of them are slower: their copies keep x waiting.
constexpr int unitColumns = 128, unitBytes = unitColumns / 2, stages = 2;
/// float2s from 8 rows of a group to those of the next one: lanes that write neighbouring groups use different banks.
constexpr int formStride = 9;

/// What a warp, and a block, has in shared memory. `rowTiles`: 16 rows each of a tile; `columnTiles`: 8 rows each of x.
template <int rowTiles, int columnTiles> struct Sizes {
  static constexpr int rows = rowTiles * tileRows, stage = rows * unitBytes, warp = stages * stage,
                       x = columnTiles * 8 * unitColumns * 2;
  static constexpr int fragments = rowTiles * columnTiles; // of sums: four of each lane. They take the place of codes.
  static_assert(fragments * 512 <= warp);
};

/// All tiles of all products. Half of a gated product's rows are the gate's: of 16 rows, 8 are the weight's.
struct Tiles {
  StreamedProduct each[mostMatrices];
  int first[mostMatrices + 1];
  int count;
  int rowTiles, clusterBlocks;
  int groups; // of a row, that a block needs

  int blocks() const { return first[count] * clusterBlocks; }
};

template <typename Half, typename Format, int rowTiles, int columnTiles>
__global__ void __launch_bounds__(threads, 1)
ClusterKernel(const Half *x, int rows, int depth, Tiles tiles, typename Format::Groups groups) {
  if (!HasWarpgroupProducts()) // compiled for 9.0 alone
    return;
  using Sizes = Sizes<rowTiles, columnTiles>;
  constexpr int words = Format::words, chunksOfUnit = 4 / words, fragments = Sizes::fragments;
  ArriveAtCluster();
  LetTheNextBegin();
  auto *memory = DynamicShared<uint8_t>();
  const int thread = int(threadIdx.x), lane = thread % 32, warp = thread / 32, blocks = tiles.clusterBlocks;
  const int rank = int(blockIdx.x) % blocks, tile = int(blockIdx.x) / blocks;
  // Of the block's units a warp has every eighth, so that the block's copies are neighbours.
  const int units = depth / unitColumns, firstUnit = units * rank / blocks, begin = firstUnit + warp,
            end = units * (rank + 1) / blocks;
  const int firstGroup = Format::groupIndex(groups, firstUnit * chunksOfUnit);
  uint8_t *codes = memory + warp * Sizes::warp, *xs = memory + blockWarps * Sizes::warp + warp * Sizes::x;
  // [8 rows, group, row]: the scale, and minus offset and zero.
  auto *forms = reinterpret_cast<float2 *>(memory + blockWarps * (Sizes::warp + Sizes::x));
  auto *received = reinterpret_cast<float4 *>(forms + rowTiles * 2 * tiles.groups * formStride); // [block, its part of the sums]

  const int which = rangeOf(tiles.first, tiles.count, tile);
  const StreamedProduct &product = tiles.each[which];
  const bool gated = product.gate.data;
  const Matrix &low = product.w, &high = gated ? product.gate : low; // of 16 rows of a tile, the first 8 and the others
  const int rowsApart = gated ? 8 : 16, firstRow = (tile - tiles.first[which]) * rowTiles * rowsApart, rowCount = int(low.rows);
  const int firstHigh = firstRow + (gated ? 0 : 8);

  const uint8_t *fromLow = low.data + int64_t(firstRow + lane / 4) * low.rowBytes + begin * unitBytes + lane % 4 * 16;
  const uint8_t *fromHigh = high.data + int64_t(firstHigh + lane / 4) * low.rowBytes + begin * unitBytes + lane % 4 * 16;
  const int apart = rowsApart * int(low.rowBytes);
  int toCopy = max(end - begin + blockWarps - 1, 0) / blockWarps, copiedStage = 0;
  uint32_t exist = 0; // which of the lane's rows do
#pragma unroll
  for (int m = 0; m < rowTiles; ++m) {
    exist |= uint32_t(firstRow + lane / 4 + m * rowsApart < rowCount) << m * 2;
    exist |= uint32_t(firstHigh + lane / 4 + m * rowsApart < rowCount) << (m * 2 + 1);
  }
  auto copyCodes = [&] {
    if (toCopy-- > 0) {
      uint32_t to = SharedAddress(codes) + uint32_t(copiedStage * Sizes::stage + lane * 16);
#pragma unroll
      for (int m = 0; m < rowTiles; ++m) {
        CopyAsync(to + m * 1024, fromLow + m * apart, exist >> m * 2 & 1);
        CopyAsync(to + m * 1024 + 512, fromHigh + m * apart, exist >> (m * 2 + 1) & 1);
      }
      fromLow += blockWarps * unitBytes, fromHigh += blockWarps * unitBytes;
      copiedStage = copiedStage + 1 == stages ? 0 : copiedStage + 1;
    }
    EndGroupOfCopies();
  };

  // Where 8 columns of a row of x lie: both lanes that write and those that read at the same time use different banks.
  auto placeOf = [&](int piece, int row) {
    int bits = words == 4   ? (piece / 8 ^ piece / 2) % 2 * 4 + piece / 4 % 2 * 2 + piece % 2
               : words == 2 ? piece / 2 % 4 * 2 + piece % 2
                            : piece % 4 * 2 + piece / 4 % 2;
    return (piece * columnTiles * 8 + (row ^ bits)) * 16;
  };
  uint4 loaded[columnTiles * 4]; // 16 lanes have a row of a unit
  auto loadX = [&](int unit) {
    if (unit < end)
#pragma unroll
      for (int i = 0; i < columnTiles * 4; ++i)
        loaded[i] =
            *reinterpret_cast<const uint4 *>(x + min(i * 2 + lane / 16, rows - 1) * depth + unit * unitColumns + lane % 16 * 8);
  };
  // Those of codes that are 16 bits apart come beside each other.
  auto storeX = [&] {
#pragma unroll
    for (int i = 0; i < columnTiles * 4; ++i) {
      uint4 v = loaded[i];
      *reinterpret_cast<uint4 *>(xs + placeOf(lane % 16, i * 2 + lane / 16)) = {
          __byte_perm(v.x, v.z, 0x5410), __byte_perm(v.x, v.z, 0x7632), __byte_perm(v.y, v.w, 0x5410),
          __byte_perm(v.y, v.w, 0x7632)};
    }
  };

  // Scales and zeros of each row and group: a warp has every eighth row, its lanes groups.
  uint32_t scaleBits[rowTiles * 2], zeroWords[rowTiles * 2];
  auto loadForms = [&](int group) {
    int at = min(firstGroup + group, groups.perRow - 1);
#pragma unroll
    for (int i = 0; i < rowTiles * 2; ++i) {
      const Matrix &w = i % 2 ? high : low;
      int row = min((i % 2 ? firstHigh : firstRow) + i / 2 * rowsApart + warp, rowCount - 1);
      scaleBits[i] = ScaleBitsAt(w.scales, groups.scaleType, row * groups.perRow + at);
      zeroWords[i] = w.zeros ? w.zeros[row / 8 * groups.perRow + at] : 0x88888888u;
    }
  };
  auto storeForms = [&](int group) {
    if (group < tiles.groups)
#pragma unroll
      for (int i = 0; i < rowTiles * 2; ++i) // tiles begin at multiples of 8 rows, and so do the zeros' words
        forms[(i * tiles.groups + group) * formStride + warp] = {ScaleOf(scaleBits[i], groups.scaleType),
                                                                 -codeOffset<Half> - float(int(zeroWords[i] >> warp * 4 & 15))};
  };

  float sum[rowTiles][columnTiles][4] = {};
  auto multiply = [&](const uint8_t *stage, int unit) {
    constexpr uint32_t mask = 0x000f000fu, one = std::is_same_v<Half, __half> ? 0x3c003c00u : 0x3f803f80u;
    const uint32_t from = codesFrom<Half>, ones[4] = {one, one, one, one};
#pragma unroll
    for (int c = 0; c < chunksOfUnit; ++c) {
      int group = Format::groupIndex(groups, unit * chunksOfUnit + c) - firstGroup;
      uint32_t codes[rowTiles][2][words];
#pragma unroll
      for (int m = 0; m < rowTiles; ++m)
#pragma unroll
        for (int h = 0; h < 2; ++h)
          Copy<words>(codes[m][h], stage + (m * 16 + h * 8 + lane / 4) * unitBytes + (c * 4 + lane % 4) * words * 4);
      float part[rowTiles][columnTiles][4] = {}, ofX[columnTiles][4] = {}; // ofX: sums of x's columns, the same in all rows
#pragma unroll
      for (int w = 0; w < words; ++w) {
        uint4 columns[columnTiles];
#pragma unroll
        for (int n = 0; n < columnTiles; ++n) {
          columns[n] = *reinterpret_cast<const uint4 *>(xs + placeOf((c * 4 + lane % 4) * words + w, n * 8 + lane / 4));
          MultiplyTiles<Half>(ofX[n], ones, columns[n].x, columns[n].y);
          MultiplyTiles<Half>(ofX[n], ones, columns[n].z, columns[n].w);
        }
#pragma unroll
        for (int m = 0; m < rowTiles; ++m) {
          uint32_t first[4], second[4];
#pragma unroll
          for (int j = 0; j < 4; ++j) {
            uint32_t word = codes[m][j % 2][w];
            first[j] = AndOr<mask>(word >> j / 2 * 4, from), second[j] = AndOr<mask>(word >> (8 + j / 2 * 4), from);
          }
#pragma unroll
          for (int n = 0; n < columnTiles; ++n) {
            MultiplyTiles<Half>(part[m][n], first, columns[n].x, columns[n].y);
            MultiplyTiles<Half>(part[m][n], second, columns[n].z, columns[n].w);
          }
        }
      }
#pragma unroll
      for (int m = 0; m < rowTiles; ++m)
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          float2 form = forms[((m * 2 + h) * tiles.groups + group) * formStride + lane / 4];
#pragma unroll
          for (int n = 0; n < columnTiles; ++n)
#pragma unroll
            for (int j = h * 2; j < h * 2 + 2; ++j)
              sum[m][n][j] = fmaf(fmaf(form.y, ofX[n][j], part[m][n][j]), form.x, sum[m][n][j]);
        }
    }
  };

  for (int i = 0; i < stages - 1; ++i)
    copyCodes();
  loadForms(lane);
  WaitForTheOneBefore();
  loadX(begin);
  storeForms(lane);
  for (int group = lane + 32; group - lane < tiles.groups; group += 32) {
    loadForms(group);
    storeForms(group);
  }
  __syncthreads();
  for (int stage = 0, unit = begin; unit < end; unit += blockWarps) {
    WaitForCopies<stages - 2>();
    __syncwarp(); // and all have read the last unit
    storeX();
    copyCodes();
    loadX(unit + blockWarps);
    __syncwarp();
    multiply(codes + stage * Sizes::stage, unit);
    stage = stage + 1 == stages ? 0 : stage + 1;
  }
  WaitForCopies<0>(); // groups without copies, but groups

  __syncwarp();
#pragma unroll
  for (int m = 0; m < rowTiles; ++m)
#pragma unroll
    for (int n = 0; n < columnTiles; ++n)
      reinterpret_cast<float4 *>(codes)[(m * columnTiles + n) * 32 + lane] = {sum[m][n][0], sum[m][n][1], sum[m][n][2],
                                                                              sum[m][n][3]};
  __syncthreads();
  WaitForCluster(); // all its blocks run
  auto add = [&](const void *from, int count, int apart) {
    float4 all = *static_cast<const float4 *>(from);
    for (int i = 1; i < count; ++i) {
      float4 one = *reinterpret_cast<const float4 *>(static_cast<const uint8_t *>(from) + i * apart);
      all = {all.x + one.x, all.y + one.y, all.z + one.z, all.w + one.w};
    }
    return all;
  };
  const int ofBlock = fragments * 32 / blocks;
  if (thread < fragments * 32)
    StoreInCluster(received + rank * ofBlock + thread % ofBlock, thread / ofBlock,
                   add(memory + thread * 16, blockWarps, Sizes::warp));
  ArriveAtCluster();
  WaitForCluster();
  if (thread >= ofBlock)
    return;
  float4 all = add(received + thread, blocks, ofBlock * 16);
  float values[4] = {all.x, all.y, all.z, all.w};
  int fragment = rank * (fragments / blocks) + thread / 32, column = firstRow + fragment / columnTiles * rowsApart + lane / 4;
#pragma unroll
  for (int j = 0; j < 2; ++j) {
    int row = fragment % columnTiles * 8 + lane % 4 * 2 + j;
    if (row >= rows)
      break;
    int64_t at = int64_t(row) * rowCount + column;
    if (gated) {
      if (column < rowCount)
        AnyEpilogue::finish<true>(product, column, at, values[j], values[j + 2]);
    } else {
#pragma unroll
      for (int h = 0; h < 2; ++h)
        if (column + h * 8 < rowCount)
          AnyEpilogue::finish<false>(product, column + h * 8, at + h * 8, values[j + h * 2], 0);
    }
  }
}

/// x in 16 bits, row after row.
template <typename Half> struct PlainHalves {
  static __device__ __forceinline__ void put(const float (&v)[8], bool exists, int row, int column, int rows, uint8_t *x,
                                             uint8_t *behind) {
    if (exists)
      *reinterpret_cast<uint4 *>(x + row * ((behind - x) / rows) + column * 2) = {Pack<Half>(v[0], v[1]), Pack<Half>(v[2], v[3]),
                                                                                  Pack<Half>(v[4], v[5]), Pack<Half>(v[6], v[7])};
  }
};

/// In clusters of as many blocks as there is work, and room at the same time, for.
Tiles tilesOf(const StreamedProduct *products, int count, int rowTiles, int mostBlocks) {
  Tiles tiles{};
  tiles.rowTiles = rowTiles;
  for (; tiles.count < count; ++tiles.count) {
    const StreamedProduct &product = tiles.each[tiles.count] = products[tiles.count];
    int rows = rowTiles * (product.gate.data ? tileRows / 2 : tileRows);
    tiles.first[tiles.count + 1] = tiles.first[tiles.count] + int((product.w.rows + rows - 1) / rows);
  }
  const Matrix &w = products[0].w;
  const int units = int(w.columns) / unitColumns;
  tiles.clusterBlocks = mostBlocks;
  while (tiles.clusterBlocks > 1 && (tiles.blocks() > Multiprocessors() || tiles.clusterBlocks * blockWarps > units))
    tiles.clusterBlocks /= 2;
  for (int rank = 0; rank < tiles.clusterBlocks; ++rank) {
    int begin = units * rank / tiles.clusterBlocks * unitColumns, end = units * (rank + 1) / tiles.clusterBlocks * unitColumns;
    tiles.groups = std::max(tiles.groups, int((end - 1) / w.group - begin / w.group + 1));
  }
  return tiles;
}

/// Tiles of 64 rows, or of 48 where these keep more multiprocessors busy; those have no clusters.
Tiles tilesOf(const StreamedProduct *products, int count) {
  Tiles large = tilesOf(products, count, 4, mostClusterBlocks), small = tilesOf(products, count, 3, 1);
  return small.blocks() > large.blocks() && small.blocks() <= Multiprocessors() ? small : large;
}

template <int rowTiles, int columnTiles> size_t sharedBytes(const Tiles &tiles) {
  using Sizes = Sizes<rowTiles, columnTiles>;
  return size_t(blockWarps * (Sizes::warp + Sizes::x) + rowTiles * 2 * tiles.groups * formStride * 8 + Sizes::fragments * 512);
}
constexpr size_t mostShared = 227 << 10;

template <typename Half, typename Format, int rowTiles, int columnTiles>
void launch(cudaStream_t stream, const StreamedRows &x, const StreamedProduct *products, const Tiles &tiles, void *scratch) {
  int depth = int(products[0].w.columns);
  auto *kernel = ClusterKernel<Half, Format, rowTiles, columnTiles>;
  static OncePerDevice raise;
  raise([&] { cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(mostShared)); });
  const void *from = x.data;
  constexpr DType half = std::is_same_v<Half, __half> ? DType::F16 : DType::BF16;
  if (x.norm || x.type != half) {
    from = scratch;
    LaunchChained(PrepareKernel<PlainHalves<Half>>, dim3(unsigned(x.rows)), threadsOfX, 0, stream, x, depth, x.rows,
                  static_cast<uint8_t *>(scratch));
  }
  LaunchCluster(kernel, unsigned(tiles.blocks()), unsigned(tiles.clusterBlocks), threads,
                sharedBytes<rowTiles, columnTiles>(tiles), stream, static_cast<const Half *>(from), x.rows, depth, tiles,
                Format::groupsOf(products[0].w));
}

} // namespace

bool CanMultiplyInClusters(int64_t rows, const StreamedProduct *products, int count) {
  const Matrix &w = products[0].w;
  if (!HasCapability90() || rows > 16 || w.columns % unitColumns != 0 || w.columns < unitColumns * blockWarps)
    return false;
  Tiles tiles = tilesOf(products, count);
  // Not on few multiprocessors; of more than 8 rows all blocks at once.
  bool fits = tiles.blocks() * 2 > Multiprocessors() && (rows <= 8 || tiles.blocks() <= Multiprocessors());
  return fits && sharedBytes<4, 2>(tiles) <= mostShared;
}

int64_t ClusterScratchBytes(int64_t rows, const StreamedProduct *products) { return rows * products[0].w.columns * 2; }

void MultiplyInClusters(cudaStream_t stream, const StreamedRows &x, const StreamedProduct *products, int count, DType half,
                        void *scratch) {
  Tiles tiles = tilesOf(products, count);
  WithHalf(half, [&](auto type) {
    using Half = decltype(type);
    WithWords(products[0].w, [&](auto words) {
      using Format = FourBits<decltype(words)::value, AnyScale>;
      if (x.rows <= 8 && tiles.rowTiles == 4)
        launch<Half, Format, 4, 1>(stream, x, products, tiles, scratch);
      else if (x.rows <= 8)
        launch<Half, Format, 3, 1>(stream, x, products, tiles, scratch);
      else if (tiles.rowTiles == 4)
        launch<Half, Format, 4, 2>(stream, x, products, tiles, scratch);
      else
        launch<Half, Format, 3, 2>(stream, x, products, tiles, scratch);
    });
  });
}

} // namespace compressc::cuda
