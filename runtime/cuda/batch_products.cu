// Products of 5 to 64 rows by 4-bit weights. The rows of x are the tensor cores' right operand in 16 bits; a block has 128
// rows of a weight, 16 for each warp, and its warps share x, of which some chunks' columns lie in shared memory. Blocks get
// equal shares of all chunks of all rows of weights; a second launch adds the parts of each row, in order, and does what
// follows.
#include "batch_warpgroups.h"
#include "cluster_products.h"
#include "stream_products.cuh"

namespace compressc::cuda {
namespace {

using namespace streamed;

constexpr int blockWarps = 8, blockRows = blockWarps * tileRows, stages = 3;
/// Chunks of a stage, for so many tiles of 8 rows of x.
__host__ __device__ constexpr int stepOf(int tiles) { return tiles == 2 ? 4 : 2; }

/// The matrices of all products, gates behind their products' weights, and how they are shared out.
struct Matrices {
  Matrix each[2 * mostMatrices];
  int64_t sumsAt[2 * mostMatrices]; // of a part: where its sums [rows of x, rows of the weight] begin
  int firstBlock[2 * mostMatrices + 1]; // of 128 rows
  int count;
  int64_t partSize; // sums of all matrices
  int steps, share; // of 128 rows; of a block of the grid

  __host__ __device__ int firstShareOf(int block) const { return block * steps / share; }
  __host__ __device__ int partsOf(int block) const { return ((block + 1) * steps - 1) / share - firstShareOf(block) + 1; }
};

/// How x is prepared, in 16 bits: for each chunk the lanes' eighths one after the other, in each of them all rows, in each
/// the four lanes; pairs of columns are 0 4, 1 5, 2 6 and 3 7. To chunks belong the sums of their columns, fp32.
template <typename Half, int columns> struct PairedHalves {
  static __device__ __forceinline__ void put(const float (&v)[8], bool exists, int row, int column, int rows, uint8_t *x, uint8_t *of) {
    constexpr int perLane = columns / 4, eights = perLane / 8, lanes = columns / 8;
    uint4 packed = {Pack<Half>(v[0], v[4]), Pack<Half>(v[1], v[5]), Pack<Half>(v[2], v[6]), Pack<Half>(v[3], v[7])};
    float2 a = Unpack<Half>(packed.x), b = Unpack<Half>(packed.y), c = Unpack<Half>(packed.z), d = Unpack<Half>(packed.w);
    float sum = ((a.x + a.y) + (b.x + b.y)) + ((c.x + c.y) + (d.x + d.y)); // of what was rounded
#pragma unroll
    for (int step = lanes / 2; step; step /= 2)
      sum += __shfl_xor_sync(~0u, sum, step);
    if (!exists)
      return;
    int chunk = column / columns, t = column % columns / perLane, eight = column % perLane / 8;
    reinterpret_cast<uint4 *>(x)[((chunk * eights + eight) * rows + row) * 4 + t] = packed;
    if (column % columns == 0)
      reinterpret_cast<float *>(of)[chunk * rows + row] = sum;
  }
};

/// sum += a chunk times x. Codes are multiplied as they are with an offset, and what is too much in that, offset and zero
/// times the sum of x, goes in fp32.
template <typename Half, typename Format, int tiles>
__device__ __forceinline__ void add(float (&sum)[tiles][4], const typename Format::Chunk &chunk, const typename Format::Groups &groups,
                                    const uint4 *x, const float *sums, int lane) {
  constexpr uint32_t mask = 0x000f000fu;
  const uint32_t from = codesFrom<Half>;
  float part[tiles][4] = {};
#pragma unroll
  for (int i = 0; i < Format::words; ++i) {
    uint32_t low = chunk.low[i], high = chunk.high[i];
    uint32_t first[4] = {AndOr<mask>(low, from), AndOr<mask>(high, from), AndOr<mask>(low >> 4, from), AndOr<mask>(high >> 4, from)};
    uint32_t second[4] = {AndOr<mask>(low >> 8, from), AndOr<mask>(high >> 8, from), AndOr<mask>(low >> 12, from),
                          AndOr<mask>(high >> 12, from)};
#pragma unroll
    for (int n = 0; n < tiles; ++n) {
      uint4 columns = x[(i * tiles + n) * 32 + lane];
      MultiplyTiles<Half>(part[n], first, columns.x, columns.y);
      MultiplyTiles<Half>(part[n], second, columns.z, columns.w);
    }
  }
  int shift = lane / 4 * 4; // tiles begin at multiples of 8 rows, and so do the zeros' words
  float lowOffset = -codeOffset<Half> - float(int(chunk.lowZero >> shift & 15));
  float highOffset = -codeOffset<Half> - float(int(chunk.highZero >> shift & 15));
  float lowScale = Format::scaleOf(chunk.lowScale, groups), highScale = Format::scaleOf(chunk.highScale, groups);
#pragma unroll
  for (int n = 0; n < tiles; ++n) {
    float2 all = *reinterpret_cast<const float2 *>(sums + n * 8 + lane % 4 * 2);
#pragma unroll
    for (int i = 0; i < 4; ++i)
      sum[n][i] = fmaf(fmaf(i < 2 ? lowOffset : highOffset, i % 2 ? all.y : all.x, part[n][i]), i < 2 ? lowScale : highScale, sum[n][i]);
  }
}

/// Of x, and of its sums.
template <int columns, int tiles> constexpr int stageColumns = stepOf(tiles) * tiles * 8 * columns * 2;
template <int columns, int tiles> constexpr int stageBytes = stageColumns<columns, tiles> + stepOf(tiles) * tiles * 8 * 4;

/// `tiles`: of 8 rows of x.
template <typename Half, typename Format, int tiles>
__global__ void __launch_bounds__(blockWarps * 32, 2)
BatchKernel(const Half *x, int rows, int depth, Matrices matrices, typename Format::Groups groups, float *parts) {
  if (!IsForThisGpu<Half>())
    return;
  constexpr int padded = tiles * 8, step = stepOf(tiles);
  constexpr int xBytes = stageColumns<Format::columns, tiles>, allBytes = stageBytes<Format::columns, tiles>;
  LetTheNextBegin();
  auto *memory = DynamicShared<uint8_t>();
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32, chunks = depth / Format::columns, steps = matrices.steps;
  const int first = int(blockIdx.x) * matrices.share, left = min(matrices.share, matrices.firstBlock[matrices.count] * steps - first);
  int block = first / steps, at = first - block * steps; // of 128 rows, and the step in it
  const auto *sumsOfX = reinterpret_cast<const float *>(x + int64_t(padded) * depth);

  int copied = 0, copiedStep = at, copiedStage = 0;
  auto copyX = [&] { // a group of copies, empty at the end
    if (copied < left) {
      int chunk = copiedStep * step, count = min(step, chunks - chunk);
      uint32_t to = SharedAddress(memory) + uint32_t(copiedStage * allBytes);
      const auto *from = reinterpret_cast<const uint8_t *>(x) + int64_t(chunk) * (Format::columns * padded * 2);
      for (int i = int(threadIdx.x) * 16; i < count * padded * Format::columns * 2; i += blockWarps * 32 * 16)
        CopyAsync(to + uint32_t(i), from + i, true);
      if (int(threadIdx.x) * 4 < count * padded)
        CopyAsync(to + uint32_t(xBytes) + threadIdx.x * 16, sumsOfX + chunk * padded + threadIdx.x * 4, true);
      ++copied;
      copiedStep = copiedStep + 1 == steps ? 0 : copiedStep + 1;
      copiedStage = copiedStage + 1 == stages ? 0 : copiedStage + 1;
    }
    EndGroupOfCopies();
  };
  typename Format::Source source;
  auto moveTo = [&](int block) {
    int which = rangeOf(matrices.firstBlock, matrices.count, block);
    source.moveTo(matrices.each[which], groups, (block - matrices.firstBlock[which]) * blockRows + warp * tileRows, 0, lane);
  };
  typename Format::Chunk chunk[step];
  moveTo(block);
#pragma unroll
  for (int i = 0; i < step; ++i)
    if (at * step + i < chunks)
      source.load(chunk[i], groups, 0, at * step + i);
  WaitForTheOneBefore();
  for (int stage = 0; stage < stages - 1; ++stage)
    copyX();

  float sum[tiles][4] = {};
  int stage = 0;
  for (int done = 1; done <= left; ++done) {
    WaitForCopies<stages - 2>();
    __syncthreads(); // and all have read the stage that is written next
    copyX();
    const uint8_t *xs = memory + stage * allBytes;
    stage = stage + 1 == stages ? 0 : stage + 1;
    bool ends = at + 1 == steps; // of these rows
    int next = ends ? 0 : at + 1;
    if (ends && done < left)
      moveTo(block + 1);
#pragma unroll
    for (int i = 0; i < step; ++i) {
      if (at * step + i < chunks)
        add<Half, Format, tiles>(sum, chunk[i], groups, reinterpret_cast<const uint4 *>(xs + i * padded * Format::columns * 2),
                                 reinterpret_cast<const float *>(xs + xBytes) + i * padded, lane);
      if (done < left && next * step + i < chunks)
        source.load(chunk[i], groups, 0, next * step + i);
    }
    at = next;
    if (!ends && done < left)
      continue;
    int which = rangeOf(matrices.firstBlock, matrices.count, block);
    int64_t width = matrices.each[which].rows;
    int64_t column = int64_t(block - matrices.firstBlock[which]) * blockRows + warp * tileRows + lane / 4;
    float *to = parts + int64_t(int(blockIdx.x) - matrices.firstShareOf(block)) * matrices.partSize + matrices.sumsAt[which];
#pragma unroll
    for (int n = 0; n < tiles; ++n)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        int row = n * 8 + lane % 4 * 2 + i % 2;
        if (row < rows && column + i / 2 * 8 < width)
          to[row * width + column + i / 2 * 8] = sum[n][i];
        sum[n][i] = 0;
      }
    ++block;
  }
  WaitForCopies<0>(); // groups without copies, but groups
}

/// Adds the parts of each product's sums, and what follows. Grid: columns of the widest product, rows of x, products.
__global__ void __launch_bounds__(256) FinishKernel(Products products, Matrices matrices, const float *parts) {
  LetTheNextBegin();
  WaitForTheOneBefore();
  int which = int(blockIdx.z), matrix = 0;
  for (int i = 0; i < which; ++i)
    matrix += products.each[i].gate.data ? 2 : 1;
  const StreamedProduct &product = products.each[which];
  int64_t column = int64_t(blockIdx.x) * 256 + threadIdx.x, at = int64_t(blockIdx.y) * product.w.rows + column;
  if (column >= product.w.rows)
    return;
  auto sumOf = [&](int of) {
    int count = matrices.partsOf(matrices.firstBlock[of] + int(column) / blockRows);
    const float *from = parts + matrices.sumsAt[of] + at;
    float sum = 0;
    for (int part = 0; part < count; ++part)
      sum += from[part * matrices.partSize];
    return sum;
  };
  float sum = sumOf(matrix);
  if (product.gate.data)
    AnyEpilogue::finish<true>(product, column, at, sum, sumOf(matrix + 1));
  else
    AnyEpilogue::finish<false>(product, column, at, sum, 0);
}

/// Column tiles of the kernel for so many rows.
int tilesFor(int64_t rows) { return rows <= 16 ? 2 : rows <= 32 ? 4 : 8; }

Matrices matricesOf(int64_t rows, const StreamedProduct *products, int count) {
  Matrices matrices{};
  auto add = [&](const Matrix &w) {
    int i = matrices.count++;
    matrices.each[i] = w;
    matrices.sumsAt[i] = matrices.partSize;
    matrices.partSize += rows * w.rows;
    matrices.firstBlock[i + 1] = matrices.firstBlock[i] + int((w.rows + blockRows - 1) / blockRows);
  };
  for (int i = 0; i < count; ++i) {
    add(products[i].w);
    if (products[i].gate.data)
      add(products[i].gate);
  }
  // Two blocks for each multiprocessor, with equal shares, but not of less than 4 chunks.
  int chunks = int(products[0].w.columns) / (WordsOf(products[0].w) * 32);
  int blocks = 2 * Multiprocessors();
  int step = stepOf(tilesFor(rows));
  matrices.steps = (chunks + step - 1) / step;
  int all = matrices.firstBlock[matrices.count] * matrices.steps;
  matrices.share = std::max((all + blocks - 1) / blocks, std::min(4 / step, matrices.steps));
  return matrices;
}

int64_t bytesOfX(int64_t rows, int64_t depth) { return (int64_t(StreamScratchBytes(tilesFor(rows) * 8, depth)) + 255) / 256 * 256; }

template <typename Half, typename Format, int tiles>
void launch(cudaStream_t stream, const StreamedRows &x, const StreamedProduct *list, int count, void *scratch) {
  int depth = int(list[0].w.columns);
  Matrices matrices = matricesOf(x.rows, list, count);
  int all = matrices.firstBlock[matrices.count] * matrices.steps, blocks = (all + matrices.share - 1) / matrices.share;
  auto *kernel = BatchKernel<Half, Format, tiles>;
  static OncePerDevice raise;
  raise([&] { cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, stages * stageBytes<Format::columns, tiles>); });
  auto *prepared = static_cast<uint8_t *>(scratch);
  auto *parts = reinterpret_cast<float *>(prepared + bytesOfX(x.rows, depth));
  LaunchChained(PrepareKernel<PairedHalves<Half, Format::columns>>, dim3(unsigned(x.rows)), threadsOfX, 0, stream, x, depth, tiles * 8,
                prepared);
  LaunchChained(kernel, dim3(unsigned(blocks)), blockWarps * 32, size_t(stages * stageBytes<Format::columns, tiles>), stream,
                reinterpret_cast<const Half *>(prepared), x.rows, depth, matrices, Format::groupsOf(list[0].w), parts);
  Products products{};
  int64_t widest = 0;
  for (int i = 0; i < count; ++i) {
    Add(products, list[i]);
    widest = std::max(widest, list[i].w.rows);
  }
  LaunchChained(FinishKernel, dim3(unsigned((widest + 255) / 256), unsigned(x.rows), unsigned(count)), 256, 0, stream, products,
                matrices, parts);
}

/// What multiplies so many rows the fastest.
enum class Kernel : uint8_t { Clusters, Warpgroups, Warps };
Kernel kernelFor(int64_t rows, const StreamedProduct *products, int count) {
  if (CanMultiplyInClusters(rows, products, count))
    return Kernel::Clusters;
  return CanMultiplyBatchWarpgroups(rows, products, count) ? Kernel::Warpgroups : Kernel::Warps;
}

} // namespace

bool CanMultiplyBatch(int64_t rows, const StreamedProduct *products, int count) {
  const Matrix &first = products[0].w;
  bool fits = rows <= 32 || DeviceAttribute(cudaDevAttrComputeCapabilityMajor) >= 8; // the stages, in a T4's shared memory
  if (count > mostMatrices || rows > mostBatchRows || !fits)
    return false;
  for (int i = 0; i < count; ++i)
    for (const Matrix *w : {&products[i].w, &products[i].gate})
      if (w->data && (w->dtype != DType::Packed || WordsOf(*w) == 0 || !SameForm(*w, first)))
        return false;
  return true;
}

int64_t BatchScratchBytes(int64_t rows, const StreamedProduct *products, int count) {
  switch (kernelFor(rows, products, count)) {
  case Kernel::Clusters: return ClusterScratchBytes(rows, products);
  case Kernel::Warpgroups: return BatchWarpgroupsScratchBytes(rows, products, count);
  case Kernel::Warps: break;
  }
  Matrices matrices = matricesOf(rows, products, count);
  int most = 1;
  for (int block = 0; block < matrices.firstBlock[matrices.count]; ++block)
    most = std::max(most, matrices.partsOf(block));
  return bytesOfX(rows, products[0].w.columns) + most * matrices.partSize * 4;
}

int BatchCounters(int64_t rows, const StreamedProduct *products, int count) {
  return kernelFor(rows, products, count) == Kernel::Warpgroups ? BatchWarpgroupsCounters(rows, products, count) : 0;
}

void MultiplyBatch(cudaStream_t stream, const StreamedRows &x, const StreamedProduct *products, int count, DType half, void *scratch,
                   int32_t *counters) {
  switch (kernelFor(x.rows, products, count)) {
  case Kernel::Clusters: return MultiplyInClusters(stream, x, products, count, half, scratch);
  case Kernel::Warpgroups: return MultiplyBatchWarpgroups(stream, x, products, count, half, scratch, counters);
  case Kernel::Warps: break;
  }
  WithHalf(half, [&](auto type) {
    using Half = decltype(type);
    WithWords(products[0].w, [&](auto words) {
      using Format = FourBits<decltype(words)::value, AnyScale>;
      switch (tilesFor(x.rows)) {
      case 2: return launch<Half, Format, 2>(stream, x, products, count, scratch);
      case 4: return launch<Half, Format, 4>(stream, x, products, count, scratch);
      default: return launch<Half, Format, 8>(stream, x, products, count, scratch);
      }
    });
  });
}

} // namespace compressc::cuda
