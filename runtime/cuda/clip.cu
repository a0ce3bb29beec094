// The search for each group's range. Groups of up to 128 columns on tensor cores: the errors of 16 rows are the rows of
// a product with the group's block of G, in bf16; larger groups, and all where there is no bf16, one row at a time in
// fp32.
#include "calibration.h"
#include "half.cuh"
#include "launch.cuh"
#include "ptx.cuh"
#include "quantizer.cuh"

namespace compressc::cuda {
namespace {

constexpr int warps = 4, tileRows = 16, tilesPerWarp = 4;
constexpr int rowsPerBlock = warps * tileRows * tilesPerWarp;
constexpr int largestTile = 128;

__constant__ float ratios[10] = {1.0f, 0.95f, 0.9f, 0.85f, 0.8f, 0.75f, 0.7f, 0.65f, 0.6f, 0.55f};

/// The best of the ranges that clipTile of the CPU tries, in its order, for `rows` rows at once.
/// `errors(low, high, out)` computes δᵀ·G·δ.
template <int rows> struct Ranges {
  float low[rows], high[rows], before[rows], best[rows];

  template <typename Errors> __device__ void search(bool symmetric, Errors errors) {
    float low0[rows], high0[rows], newLow[rows], newHigh[rows], found[rows];
    for (int r = 0; r < rows; ++r)
      low0[r] = low[r], high0[r] = high[r];
    errors(low, high, best);
    for (int r = 0; r < rows; ++r)
      before[r] = best[r];
    auto consider = [&] {
      errors(newLow, newHigh, found);
#pragma unroll
      for (int r = 0; r < rows; ++r)
        if (found[r] < best[r])
          best[r] = found[r], low[r] = newLow[r], high[r] = newHigh[r];
    };
    float keptLow[rows], keptHigh[rows];
#pragma unroll 1
    for (int i = 1; i < (symmetric ? 10 : 30); ++i) {
      bool lower = i >= 10 && i < 20, upper = i >= 20;
      float ratio = ratios[i % 10];
      if (i == 10 || i == 20)
#pragma unroll
        for (int r = 0; r < rows; ++r)
          keptLow[r] = low[r], keptHigh[r] = high[r];
#pragma unroll
      for (int r = 0; r < rows; ++r) {
        float largest = __fmul_rn(fmaxf(-low0[r], high0[r]), ratio);
        newLow[r] = symmetric ? fmaxf(low0[r], -largest) : upper ? keptLow[r] : __fmul_rn(low0[r], ratio);
        newHigh[r] = symmetric ? fminf(high0[r], largest) : lower ? keptHigh[r] : __fmul_rn(high0[r], ratio);
      }
      consider();
    }
  }
};

__device__ __forceinline__ double kept(bool symmetric, float low0, float high0, float low, float high) {
  double extent = symmetric ? fmaxf(-low0, high0) : double(high0) - low0;
  double rest = symmetric ? fmaxf(-low, high) : double(high) - low;
  return extent > 0 ? rest / extent : 1;
}

__device__ __forceinline__ float delta(float value, Quantizer quantizer, float inverse, float maxCode) {
  return fmaf(NearLevel(value, quantizer, inverse, maxCode), quantizer.scale, -value);
}

__device__ __forceinline__ void storeSums(double before, double after, double kept, double *partial) {
  before = BlockSum<warps * 32>(before), after = BlockSum<warps * 32>(after), kept = BlockSum<warps * 32>(kept);
  if (threadIdx.x == 0) {
    int64_t part = int64_t(blockIdx.y) * gridDim.x + blockIdx.x;
    partial[3 * part] = before, partial[3 * part + 1] = after, partial[3 * part + 2] = kept;
  }
}

/// A block has some rows of one group, a warp 16 of them at a time. As in a product's operands, a lane has the rows
/// lane / 4 and 8 more, and of every 16 columns 2 (lane % 4) … + 1 and 8 more. `steps` * 16 columns; those that the
/// group lacks are 0.
template <int steps>
__global__ void __launch_bounds__(warps * 32) ClipTilesKernel(Matrix w, const float *gram, int group, QuantizerFormat format,
                                                              float *out, double *partial, int64_t *bad) {
  if (!IsForThisGpu<__nv_bfloat16>())
    return;
  constexpr int width = steps * 16, stride = width + 8;
  __shared__ __nv_bfloat16 shared[width * stride];
  int64_t first = int64_t(blockIdx.y) * group;
  for (int i = threadIdx.x; i < width * width; i += warps * 32) {
    int row = i / width, column = i % width;
    float value = row < group && column < group ? gram[(first + row) * w.columns + first + column] : 0.0f;
    shared[row * stride + column] = __float2bfloat16_rn(value);
  }
  __syncthreads();
  int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  float maxCode = format.maxCode();
  double before = 0, after = 0, keptSum = 0;
#pragma unroll 1
  for (int part = 0; part < tilesPerWarp; ++part) {
    int64_t row0 = int64_t(blockIdx.x) * rowsPerBlock + (part * warps + threadIdx.x / 32) * tileRows;
    if (row0 >= w.rows)
      break;
    float v[steps][4][2];
    Ranges<2> ranges;
    ranges.low[0] = ranges.low[1] = ranges.high[0] = ranges.high[1] = 0;
#pragma unroll
    for (int s = 0; s < steps; ++s)
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          int64_t row = row0 + g + i % 2 * 8;
          int column = s * 16 + i / 2 * 8 + t * 2 + j;
          float value = 0;
          if (row < w.rows && column < group)
            value = PlainAt(w.data, w.dtype, row * w.columns + first + column);
          if (!IsFinite(value))
            NoteBad(bad, row * w.columns + first + column);
          v[s][i][j] = value;
          ranges.low[i % 2] = fminf(ranges.low[i % 2], value);
          ranges.high[i % 2] = fmaxf(ranges.high[i % 2], value);
        }
#pragma unroll
    for (int r = 0; r < 2; ++r)
#pragma unroll
      for (int step = 1; step <= 2; step *= 2) {
        ranges.low[r] = fminf(ranges.low[r], __shfl_xor_sync(~0u, ranges.low[r], step));
        ranges.high[r] = fmaxf(ranges.high[r], __shfl_xor_sync(~0u, ranges.high[r], step));
      }
    float low0[2] = {ranges.low[0], ranges.low[1]}, high0[2] = {ranges.high[0], ranges.high[1]};

    auto errors = [&](const float(&low)[2], const float(&high)[2], float(&found)[2]) {
      Quantizer quantizers[2] = {ChooseQuantizer(low[0], high[0], format), ChooseQuantizer(low[1], high[1], format)};
      float inverse[2] = {1.0f / quantizers[0].scale, 1.0f / quantizers[1].scale};
      uint32_t a[steps][4];
#pragma unroll
      for (int s = 0; s < steps; ++s)
#pragma unroll
        for (int i = 0; i < 4; ++i)
          a[s][i] = Pack<__nv_bfloat16>(delta(v[s][i][0], quantizers[i % 2], inverse[i % 2], maxCode),
                                        delta(v[s][i][1], quantizers[i % 2], inverse[i % 2], maxCode));
      found[0] = found[1] = 0;
      // G is symmetric: twice what lies beside the diagonal, once what lies on it.
#pragma unroll
      for (int block = 0; block < steps; ++block)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const __nv_bfloat16 *from = shared + (block * 16 + half * 8 + g) * stride + t * 2;
          auto b = [&](int s, int high) { return *reinterpret_cast<const uint32_t *>(from + s * 16 + high * 8); };
          float c[4] = {};
#pragma unroll
          for (int s = 0; s < block; ++s)
            MultiplyTiles<__nv_bfloat16>(c, a[s], b(s, 0), b(s, 1));
#pragma unroll
          for (int i = 0; i < 4; ++i)
            c[i] *= 2;
          MultiplyTiles<__nv_bfloat16>(c, a[block], b(block, 0), b(block, 1));
#pragma unroll
          for (int r = 0; r < 2; ++r) {
            float2 pair = Unpack<__nv_bfloat16>(a[block][half * 2 + r]);
            found[r] = fmaf(c[2 * r], pair.x, found[r]);
            found[r] = fmaf(c[2 * r + 1], pair.y, found[r]);
          }
        }
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        found[r] += __shfl_xor_sync(~0u, found[r], 1);
        found[r] += __shfl_xor_sync(~0u, found[r], 2);
      }
    };
    ranges.search(format.symmetric, errors);

#pragma unroll
    for (int s = 0; s < steps; ++s)
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          int64_t row = row0 + g + i % 2 * 8;
          int column = s * 16 + i / 2 * 8 + t * 2 + j;
          if (row < w.rows && column < group)
            out[row * w.columns + first + column] = fminf(fmaxf(v[s][i][j], ranges.low[i % 2]), ranges.high[i % 2]);
        }
    for (int r = 0; r < 2; ++r)
      if (t == 0 && row0 + g + r * 8 < w.rows) {
        before += ranges.before[r];
        after += ranges.best[r];
        keptSum += kept(format.symmetric, low0[r], high0[r], ranges.low[r], ranges.high[r]);
      }
  }
  storeSums(before, after, keptSum, partial);
}

/// A warp has one row of one group, its error in shared memory.
__global__ void __launch_bounds__(warps * 32) ClipRowsKernel(Matrix w, const float *gram, int64_t group, QuantizerFormat format,
                                                             float *out, double *partial, int64_t *bad) {
  float *error = DynamicShared<float>() + threadIdx.x / 32 * group;
  int64_t first = int64_t(blockIdx.y) * group, row = int64_t(blockIdx.x) * warps + threadIdx.x / 32;
  int lane = threadIdx.x % 32;
  float maxCode = format.maxCode();
  double before = 0, after = 0, keptSum = 0;
  if (row < w.rows) {
    int64_t at = row * w.columns + first;
    Ranges<1> ranges;
    float low = 0, high = 0;
    for (int64_t k = lane; k < group; k += 32) {
      float value = PlainAt(w.data, w.dtype, at + k);
      if (!IsFinite(value))
        NoteBad(bad, at + k);
      low = fminf(low, value);
      high = fmaxf(high, value);
    }
    low = ranges.low[0] = WarpMin(low), high = ranges.high[0] = WarpMax(high);
    auto errors = [&](const float(&newLow)[1], const float(&newHigh)[1], float(&found)[1]) {
      Quantizer quantizer = ChooseQuantizer(newLow[0], newHigh[0], format);
      for (int64_t k = lane; k < group; k += 32)
        error[k] = delta(PlainAt(w.data, w.dtype, at + k), quantizer, 1.0f / quantizer.scale, maxCode);
      __syncwarp();
      float sum = 0;
      for (int64_t j = lane; j < group; j += 32) {
        const float *column = gram + first * w.columns + first + j;
        float part = 0;
        for (int64_t i = 0; i < group; ++i)
          part = fmaf(error[i], column[i * w.columns], part);
        sum = fmaf(part, error[j], sum);
      }
      found[0] = WarpSum(sum);
      __syncwarp();
    };
    ranges.search(format.symmetric, errors);
    for (int64_t k = lane; k < group; k += 32)
      out[at + k] = fminf(fmaxf(PlainAt(w.data, w.dtype, at + k), ranges.low[0]), ranges.high[0]);
    if (lane == 0) {
      before = ranges.before[0], after = ranges.best[0];
      keptSum = kept(format.symmetric, low, high, ranges.low[0], ranges.high[0]);
    }
  }
  storeSums(before, after, keptSum, partial);
}

__global__ void __launch_bounds__(256) TotalsKernel(const double *partial, int64_t parts, double *sums) {
  for (int c = 0; c < 3; ++c) {
    double sum = 0;
    for (int64_t i = threadIdx.x; i < parts; i += 256)
      sum += partial[3 * i + c];
    sum = BlockSum<256>(sum);
    if (threadIdx.x == 0)
      sums[c] = sum;
  }
}

bool inTiles(int64_t group, DType type) { return group <= largestTile && type == DType::BF16; }

dim3 gridFor(int64_t rows, int64_t columns, int64_t group, DType type) {
  int64_t perBlock = inTiles(group, type) ? rowsPerBlock : warps;
  return dim3(unsigned((rows + perBlock - 1) / perBlock), unsigned(columns / group));
}

} // namespace

int64_t ClipParts(int64_t rows, int64_t columns, int64_t group, DType type) {
  dim3 grid = gridFor(rows, columns, group, type);
  return int64_t(grid.x) * grid.y;
}

void Clip(cudaStream_t stream, const Matrix &w, const float *gram, const PackedFormat &packed, DType type, float *out,
          double *partial, double *sums, int64_t *bad) {
  int64_t group = packed.group;
  dim3 grid = gridFor(w.rows, w.columns, group, type);
  QuantizerFormat format = formatOf(packed);
  auto tiles = [&](auto steps) {
    Launch(ClipTilesKernel<steps.value>, grid, warps * 32, 0, stream, w, gram, int(group), format, out, partial, bad);
  };
  if (inTiles(group, type)) {
    if (group <= 32)
      tiles(std::integral_constant<int, 2>{});
    else if (group <= 64)
      tiles(std::integral_constant<int, 4>{});
    else
      tiles(std::integral_constant<int, 8>{});
  } else {
    int bytes = int(warps * group * int64_t(sizeof(float)));
    if (bytes > 48 << 10) // a failure makes the launch fail, and that is reported
      cudaFuncSetAttribute(ClipRowsKernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    Launch(ClipRowsKernel, grid, warps * 32, size_t(bytes), stream, w, gram, group, format, out, partial, bad);
  }
  Launch(TotalsKernel, 1, 256, 0, stream, partial, ClipParts(w.rows, w.columns, group, type), sums);
}

} // namespace compressc::cuda
