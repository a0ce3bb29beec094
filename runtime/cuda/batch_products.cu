// Products of 17 to 64 rows by 4-bit weights. Weights are read as products of fewer rows read them (weight_chunks.cuh),
// but a block's warps have different rows of the weight and share the rows of x, of which a chunk's columns lie in
// shared memory beside the weights'. The depth is split among blocks where there are too few of them; a second launch
// adds the parts in order and does what follows.
#include "stream_products.cuh"

namespace compressc::cuda {
namespace {

using namespace streamed;

constexpr int blockWarps = 8, blockRows = blockWarps * tileRows, stages = 4;

/// The matrices of all products, gates behind their products' weights.
struct Matrices {
  Matrix each[2 * mostMatrices];
  int64_t sumsAt[2 * mostMatrices]; // of a part: where its sums [rows of x, rows of the weight] begin
  int firstBlock[2 * mostMatrices + 1];
  int count;
  int64_t partSize; // sums of all matrices
};

template <typename Format> __host__ __device__ constexpr int chunkBytesOfX(int rows) {
  return rows * Format::columns * 2 + (rows * int(sizeof(ChunkOfX)) + 15) / 16 * 16;
}

/// Grid: blocks of 128 rows of the matrices, parts of the depth. `tiles`: of 4 rows of x.
template <typename Format, int tiles>
__global__ void __launch_bounds__(blockWarps * 32, 2) BatchKernel(const uint8_t *x, int rows, int depth, Matrices matrices, typename Format::Groups groups, float *parts) {
  LetTheNextBegin();
  auto *memory = DynamicShared<uint8_t>();
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int which = 0;
  while (which + 1 < matrices.count && int(blockIdx.x) >= matrices.firstBlock[which + 1])
    ++which;
  const Matrix &w = matrices.each[which];
  int firstRow = (int(blockIdx.x) - matrices.firstBlock[which]) * blockRows + warp * tileRows;
  int chunks = depth / Format::columns;
  int begin = int(int64_t(chunks) * blockIdx.y / gridDim.y), end = int(int64_t(chunks) * (blockIdx.y + 1) / gridDim.y);

  typename Format::Source source;
  source.moveTo(w, groups, firstRow, lane);
  const typename Format::template Place<tiles> place(rows, lane);
  const auto *ofX = reinterpret_cast<const ChunkOfX *>(x + int64_t(rows) * depth * 2);
  int xBytes = rows * Format::columns * 2, stageBytes = chunkBytesOfX<Format>(rows) + blockWarps * Format::slotBytes;
  auto copyWeights = [&](int chunk, int stage) {
    source.copy(SharedAddress(memory) + uint32_t(stage * stageBytes + warp * Format::slotBytes), groups, chunk, lane);
  };
  auto copyX = [&](int chunk, int stage) {
    uint32_t to = SharedAddress(memory) + uint32_t(stage * stageBytes + blockWarps * Format::slotBytes);
    const uint8_t *from = x + int64_t(chunk) * xBytes;
    for (int i = int(threadIdx.x) * 16; i < xBytes; i += blockWarps * 32 * 16)
      CopyAsync<16>(to + uint32_t(i), from + i, true);
    if (int(threadIdx.x) < rows)
      CopyAsync<8>(to + uint32_t(xBytes) + threadIdx.x * 8, ofX + int64_t(chunk) * rows + threadIdx.x, true);
  };
  // The first weights do not wait for x.
  for (int stage = 0; stage < stages - 1; ++stage)
    if (begin + stage < end)
      copyWeights(begin + stage, stage);
  WaitForTheOneBefore();
  for (int stage = 0; stage < stages - 1; ++stage) {
    if (begin + stage < end)
      copyX(begin + stage, stage);
    EndGroupOfCopies();
  }

  float sum[tiles][2] = {};
  int stage = 0;
  for (int chunk = begin; chunk < end; ++chunk, stage = (stage + 1) % stages) {
    WaitForCopies<stages - 2>();
    __syncthreads(); // and all have read the stage that is written next
    if (int next = chunk + stages - 1; next < end) {
      copyWeights(next, (stage + stages - 1) % stages);
      copyX(next, (stage + stages - 1) % stages);
    }
    EndGroupOfCopies();
    const uint8_t *from = memory + stage * stageBytes, *xs = from + blockWarps * Format::slotBytes;
    typename Format::Chunk codes;
    Format::read(codes, from + warp * Format::slotBytes, groups, chunk, lane);
    Format::add(sum, codes, place, xs, reinterpret_cast<const ChunkOfX *>(xs + xBytes), lane);
  }
  WaitForCopies<0>(); // groups without copies, but groups

  float *to = parts + int64_t(blockIdx.y) * matrices.partSize + matrices.sumsAt[which];
#pragma unroll
  for (int n = 0; n < tiles; ++n)
#pragma unroll
    for (int i = 0; i < 2; ++i)
      if (int row = Format::rowOfX(n, i, lane), column = firstRow + Format::rowOfTile(i, lane); row < rows && column < w.rows)
        to[row * w.rows + column] = sum[n][i];
}

/// Adds the parts of each product's sums, and what follows. Grid: columns of the widest product, rows of x, products.
__global__ void __launch_bounds__(256) FinishKernel(Products products, Matrices matrices, const float *parts, int count) {
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
    float sum = 0;
    for (int part = 0; part < count; ++part)
      sum += parts[part * matrices.partSize + matrices.sumsAt[of] + at];
    return sum;
  };
  float sum = sumOf(matrix);
  if (product.gate.data)
    AnyEpilogue::finish<true>(product, column, at, sum, sumOf(matrix + 1));
  else
    AnyEpilogue::finish<false>(product, column, at, sum, 0);
}

/// Parts of the depth for so many blocks of rows: two blocks for each multiprocessor, but no part below 8 chunks.
int partsOf(int blocks, int64_t depth) {
  int multiprocessors = std::max(DeviceAttribute(cudaDevAttrMultiProcessorCount), 1);
  return int(std::clamp<int64_t>(2 * multiprocessors / blocks, 1, std::max<int64_t>(depth / 128 / 8, 1)));
}

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
  return matrices;
}

int64_t bytesOfX(int64_t rows, int64_t depth) { return (int64_t(StreamScratchBytes(rows, depth)) + 255) / 256 * 256; }

template <typename Format, int tiles>
void launch(cudaStream_t stream, const StreamedRows &x, const StreamedProduct *list, int count, void *scratch) {
  int depth = int(list[0].w.columns);
  Matrices matrices = matricesOf(x.rows, list, count);
  int blocks = matrices.firstBlock[matrices.count], splits = partsOf(blocks, depth), bytes = stages * (chunkBytesOfX<Format>(x.rows) + blockWarps * Format::slotBytes);
  auto *kernel = BatchKernel<Format, tiles>;
  static OncePerDevice raise;
  raise([&] {
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, stages * (chunkBytesOfX<Format>(tiles * 4) + blockWarps * Format::slotBytes));
    cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout, cudaSharedmemCarveoutMaxShared);
  });
  auto *prepared = static_cast<uint8_t *>(scratch);
  auto *parts = reinterpret_cast<float *>(static_cast<uint8_t *>(scratch) + bytesOfX(x.rows, depth));
  LaunchChained(PrepareKernel<Format>, dim3(unsigned(x.rows)), threadsOfX, 0, stream, x, depth, prepared);
  LaunchChained(kernel, dim3(unsigned(blocks), unsigned(splits)), blockWarps * 32, size_t(bytes), stream, prepared, x.rows, depth, matrices,
                Format::groupsOf(list[0].w), parts);
  Products products{};
  int64_t widest = 0;
  for (int i = 0; i < count; ++i) {
    Add(products, list[i]);
    widest = std::max(widest, list[i].w.rows);
  }
  LaunchChained(FinishKernel, dim3(unsigned((widest + 255) / 256), unsigned(x.rows), unsigned(count)), 256, 0, stream, products, matrices, parts, splits);
}

} // namespace

bool CanMultiplyBatch(const StreamedProduct *products, int count) {
  // On a T4 the stages would not fit.
  const Matrix &first = products[0].w;
  if (count > mostMatrices || DeviceAttribute(cudaDevAttrComputeCapabilityMajor) < 8)
    return false;
  for (int i = 0; i < count; ++i)
    for (const Matrix *w : {&products[i].w, &products[i].gate})
      if (w->data && (w->dtype != DType::Packed || WordsOf(*w) == 0 || !SameForm(*w, first)))
        return false;
  return true;
}

int64_t BatchScratchBytes(int64_t rows, const StreamedProduct *products, int count) {
  Matrices matrices = matricesOf(rows, products, count);
  int64_t depth = products[0].w.columns;
  return bytesOfX(rows, depth) + partsOf(matrices.firstBlock[matrices.count], depth) * matrices.partSize * 4;
}

void MultiplyBatch(cudaStream_t stream, const StreamedRows &x, const StreamedProduct *products, int count, void *scratch) {
  auto with = [&](auto words) {
    using Format = FourBits<decltype(words)::value, AnyScale>;
    if (x.rows <= 32)
      launch<Format, 8>(stream, x, products, count, scratch);
    else
      launch<Format, 16>(stream, x, products, count, scratch);
  };
  switch (WordsOf(products[0].w)) {
  case 1: return with(std::integral_constant<int, 1>{});
  case 2: return with(std::integral_constant<int, 2>{});
  default: return with(std::integral_constant<int, 4>{});
  }
}

} // namespace compressc::cuda
