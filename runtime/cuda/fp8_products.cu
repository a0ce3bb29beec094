// Products of many rows in e4m3, by warpgroups (wgmma), for compute capability 9.0.
//
// A block has 256 rows of x and 128 of weights. Its last two warpgroups multiply 64 rows of weights each, a block of 128
// columns after the other: the weights are the left operand, in registers. Bulk copies bring both to a ring of stages, as
// they lie in memory (fp8.cu, fp8_weights.cu). The sums of a whole tile go to shared memory in 16 bits, from where the first
// warpgroup writes them while the next tile is multiplied.
//
// A group's scale belongs to a row of the weight and to 128 columns or more, so that the sums, which the tensor cores add
// to, are brought from the last group's scale to the next one's before its products; what is left at the end is the last.
// Both are done in halves of the rows of x, so that the threads have one half while the tensor cores have the other.
#include "activate.cuh"
#include "bulk_copy.cuh"
#include "fours.cuh"
#include "fp8.h"
#include "launch.cuh"
#include "wgmma.cuh"

namespace compressc::cuda {
namespace {

constexpr int multipliers = Fp8Weights::units, threads = (1 + multipliers) * 128;
constexpr int weightRows = Fp8Weights::tileRows, stages = 3;
constexpr int tileRows = Fp8Rows::tileRows, xBytes = tileRows * fp8Block;
constexpr int writers = 3; // of the first warpgroup's warps; a thread of the other one has the stages filled
constexpr int tokenTilesTogether = 12; // of 132 multiprocessors that are at work together

/// What a block has in shared memory, from the first multiple of 1024 bytes on.
struct Shared {
  uint8_t x[stages][xBytes];
  Fp8Weights::Block weights[stages];
  uint16_t out[tileRows][weightRows]; // bf16 on their way: rows of 128 columns, or with a gate of 64
  float scales[stages][tileRows], lastScales[stages][weightRows]; // of x and the weights, with a tile's last block
  uint64_t filled[stages], used[stages], gathered, written; // barriers
};
constexpr int sharedBytes = int(sizeof(Shared)) + 1024;

/// A product as the kernel has it. With a gate every 8 rows of it are followed by the weight's 8.
struct Fp8Product {
  StreamedProduct of;
  Fp8Weights weights;
  int tokenTiles;

  __host__ __device__ __forceinline__ int tiles() const { return weights.tiles * tokenTiles; }
  /// Tiles that are computed together share as much as they can.
  __device__ __forceinline__ void find(int tile, int &rowTile, int &tokenTile) const {
    int first = tile / (tokenTilesTogether * weights.tiles) * tokenTilesTogether, rest = tile - first * weights.tiles;
    int together = min(tokenTilesTogether, tokenTiles - first);
    rowTile = rest / together;
    tokenTile = first + rest % together;
  }
};

/// A barrier's phases, one after the other, for those who wait.
struct Phases {
  uint32_t barrier, parity = 0;
  __device__ __forceinline__ void wait() {
    WaitForPhase(barrier, parity);
    parity ^= 1;
  }
};

/// The stages, one after the other, and the parity of their phases.
struct Ring {
  int stage = 0;
  uint32_t parity = 0;
  __device__ __forceinline__ void next() {
    if (++stage == stages)
      stage = 0, parity ^= 1;
  }
};

/// A warp's arrival.
__device__ __forceinline__ void ArriveTogether(uint32_t barrier) {
  __syncwarp();
  if (threadIdx.x % 32 == 0)
    Arrive(barrier);
}

/// The thread that has x and the weights copied to the stages.
__device__ __forceinline__ void fillStages(Shared &shared, const Fp8Rows &x, const Fp8Product &product) {
  const int blocks = int(x.columns / fp8Block);
  Ring ring{0, 1}; // stages are free
  for (int tile = int(blockIdx.x); tile < product.tiles(); tile += int(gridDim.x)) {
    int rowTile, tokenTile;
    product.find(tile, rowTile, tokenTile);
    const uint8_t *from = x.codes + int64_t(tokenTile) * blocks * xBytes;
    const Fp8Weights::Block *weights = product.weights.blocks + int64_t(rowTile) * blocks;
    for (int block = 0; block < blocks; ++block, from += xBytes, ++weights, ring.next()) {
      const uint32_t filled = SharedAddress(&shared.filled[ring.stage]);
      WaitForPhase(SharedAddress(&shared.used[ring.stage]), ring.parity);
      bool last = block + 1 == blocks;
      constexpr uint32_t lastBytes = sizeof shared.scales[0] + sizeof shared.lastScales[0];
      ArriveExpecting(filled, xBytes + sizeof *weights + (last ? lastBytes : 0));
      CopyBulk(SharedAddress(shared.x[ring.stage]), from, xBytes, filled);
      CopyBulk(SharedAddress(&shared.weights[ring.stage]), weights, sizeof *weights, filled);
      if (last) {
        CopyBulk(SharedAddress(shared.scales[ring.stage]), x.scales + tokenTile * tileRows, sizeof shared.scales[0], filled);
        CopyBulk(SharedAddress(shared.lastScales[ring.stage]), product.weights.scales + rowTile * weightRows, sizeof shared.lastScales[0],
                 filled);
      }
    }
  }
}

/// Where 8 columns of a row of the output lie in shared memory: no two lanes that write, or that read, meet in a bank.
template <bool gated> __device__ __forceinline__ uint16_t *place(Shared &shared, int token, int eight) {
  constexpr int columns = gated ? weightRows / 2 : weightRows;
  return &shared.out[0][0] + token * columns + (eight ^ token % 8) * 8;
}

/// One of the warps that write finished tiles: adds biases and residuals.
template <typename Out, bool gated>
__device__ __forceinline__ void write(Shared &shared, const Fp8Rows &x, const Fp8Product &product, int writer) {
  constexpr int columns = gated ? weightRows / 2 : weightRows, perRow = columns / 4, rowsAtOnce = 32 / perRow, unrolled = 4;
  const StreamedProduct &of = product.of;
  const int width = int(of.w.rows), lane = int(threadIdx.x) % 32, inTile = lane % perRow * 4;
  Phases gathered{SharedAddress(&shared.gathered)};
  for (int tile = int(blockIdx.x); tile < product.tiles(); tile += int(gridDim.x)) {
    int rowTile, tokenTile;
    product.find(tile, rowTile, tokenTile);
    const int column = rowTile * columns + inTile, begin = tokenTile * tileRows, end = min(tileRows, int(x.rows) - begin);
    float4 bias = {0, 0, 0, 0};
    if (!gated && of.bias && column < width)
      bias = Get4(of.bias + column);
    gathered.wait();
    constexpr int step = writers * rowsAtOnce;
    for (int first = writer * rowsAtOnce + lane / perRow; first < end && column < width; first += step * unrolled) {
      float4 v[unrolled], added[unrolled];
#pragma unroll
      for (int i = 0; i < unrolled; ++i) {
        int token = first + i * step;
        if (token >= end)
          break;
        v[i] = Get4(reinterpret_cast<const __nv_bfloat16 *>(place<gated>(shared, token, inTile / 8)) + inTile % 8);
        if (!gated && of.residual && of.residual != of.out)
          added[i] = Get4(of.residual + int64_t(begin + token) * width + column);
        else
          added[i] = {0, 0, 0, 0};
      }
#pragma unroll
      for (int i = 0; i < unrolled; ++i) {
        int token = first + i * step;
        if (token >= end)
          break;
        int64_t at = int64_t(begin + token) * width + column;
        if constexpr (!gated) {
          v[i] = {v[i].x + bias.x + added[i].x, v[i].y + bias.y + added[i].y, v[i].z + bias.z + added[i].z,
                  v[i].w + bias.w + added[i].w};
          if (of.residual == of.out) { // nothing waits for it
            AddTo4(static_cast<float *>(of.out) + at, v[i]);
            continue;
          }
        }
        Put4(static_cast<Out *>(of.out) + at, v[i]);
      }
    }
    ArriveTogether(SharedAddress(&shared.written));
  }
}

/// How a gate is applied, if there is one.
template <Activation kind> struct Gated {
  static __device__ __forceinline__ float value(float gate, float up) { return Activate<kind>(gate) * up; }
};
struct Plain {};

/// Puts a warpgroup's sums, whose last groups' scales are `last`, to where they are written from. `scales`: of x.
template <typename Gate>
__device__ __forceinline__ void gather(Shared &shared, const StreamedProduct &of, const float (&sum)[2][64], const float (&last)[2],
                                       const float *scales, int which, int rowTile) {
  constexpr bool gated = !std::is_same_v<Gate, Plain>;
  constexpr int atOnce = gated ? 4 : 2; // times 8 tokens
  const int lane = int(threadIdx.x) % 32, warp = int(threadIdx.x) % 128 / 32;
  float gateBias = 0, upBias = 0;
  if (int row = (rowTile * multipliers + which) * 32 + warp * 8 + lane / 4; gated && row < int(of.w.rows)) {
    gateBias = of.gateBias ? of.gateBias[row] : 0.0f;
    upBias = of.bias ? of.bias[row] : 0.0f;
  }
#pragma unroll
  for (int begin = 0; begin < tileRows / 8; begin += atOnce) {
    uint32_t out[4]; // 8 columns by 8 tokens each
#pragma unroll
    for (int n = 0; n < atOnce; ++n) {
      const float *of4 = sum[(begin + n) / (tileRows / 16)] + (begin + n) % (tileRows / 16) * 4;
      float2 x = *reinterpret_cast<const float2 *>(scales + (begin + n) * 8 + lane % 4 * 2);
      float low[2] = {last[0] * x.x, last[0] * x.y}, high[2] = {last[1] * x.x, last[1] * x.y};
      if constexpr (gated) {
        out[n] = Pack<__nv_bfloat16>(Gate::value(fmaf(of4[0], low[0], gateBias), fmaf(of4[2], high[0], upBias)),
                                     Gate::value(fmaf(of4[1], low[1], gateBias), fmaf(of4[3], high[1], upBias)));
      } else {
        out[2 * n] = Pack<__nv_bfloat16>(of4[0] * low[0], of4[1] * low[1]);
        out[2 * n + 1] = Pack<__nv_bfloat16>(of4[2] * high[0], of4[3] * high[1]);
      }
    }
    int matrix = lane / 8; // whose rows' addresses this lane has
    int token = (begin + (gated ? matrix : matrix / 2)) * 8 + lane % 8;
    int eight = gated ? which * 4 + warp : which * 8 + warp * 2 + matrix % 2;
    StoreTransposed(SharedAddress(place<gated>(shared, token, eight)), out);
  }
}

/// A warpgroup that multiplies, number `which` of them.
template <bool gated>
__device__ __forceinline__ void multiply(Shared &shared, const Fp8Rows &x, const Fp8Product &product, int which) {
  const int blocks = int(x.columns / fp8Block);
  const int thread = int(threadIdx.x) % 128, row = which * 64 + thread / 32 * 16 + thread % 32 / 4; // the first of two
  Phases written{SharedAddress(&shared.written), 1};                                                // there is room
  Ring ring;
  int tile = int(blockIdx.x), block = 0;
  uint32_t operands[2][4][4];       // of this block and the next one, in turns
  float sum[2][64] = {}, change[2]; // sum: of the first and the second half of the rows of x
  auto load = [&](uint32_t(&to)[4][4]) { // what lies in the ring's stage
    WaitForPhase(SharedAddress(&shared.filled[ring.stage]), ring.parity);
    const auto &from = shared.weights[ring.stage];
#pragma unroll
    for (int i = 0; i < 4; ++i)
      Copy<4>(to[i], from.operands[which][i][thread]);
    change[0] = from.changes[row], change[1] = from.changes[row + 8];
  };
  auto rescale = [&](float(&half)[64]) {
#pragma unroll
    for (int i = 0; i < 64; ++i)
      half[i] *= change[i / 2 % 2];
  };
  auto finish = [&](int stage) {
    int rowTile, tokenTile;
    product.find(tile, rowTile, tokenTile);
    const float last[2] = {shared.lastScales[stage][row], shared.lastScales[stage][row + 8]};
    written.wait();
    auto gatherWith = [&](auto gate) {
      gather<decltype(gate)>(shared, product.of, sum, last, shared.scales[stage], which, rowTile);
    };
    if constexpr (gated)
      WithActivation(product.of.activation, [&](auto kind) { gatherWith(Gated<decltype(kind)::value>{}); });
    else
      gatherWith(Plain{});
    ArriveTogether(SharedAddress(&shared.gathered));
  };
  /// A block, of which `now` are the operands; whether there is one more. A tile's first change is 1.
  auto step = [&](const uint32_t(&now)[4][4], uint32_t(&next)[4][4]) {
    const int stage = ring.stage;
    const bool tileEnds = block + 1 == blocks, ends = tileEnds && tile + int(gridDim.x) >= product.tiles();
    auto products = [&](int half) {
      const uint32_t from = SharedAddress(shared.x[stage]) + half * (xBytes / 2);
      BeginProducts(sum[half]);
#pragma unroll
      for (int i = 0; i < 4; ++i)
        MultiplyE4M3Later(sum[half], now[i], SwizzledMatrix(from + i * 32, 0), block > 0 || i > 0);
      EndGroupOfProducts();
    };
    products(0);
    rescale(sum[1]);
    products(1);
    ring.next();
    WaitForProducts<1>(sum[0]);
    if (ends)
      change[0] = change[1] = 1;
    else
      load(next);
    rescale(sum[0]);
    WaitForProducts<0>(sum[1]);
    ++block;
    if (tileEnds) {
      finish(stage);
      tile += int(gridDim.x), block = 0;
    }
    ArriveTogether(SharedAddress(&shared.used[stage]));
    return !ends;
  };
  load(operands[0]);
  while (step(operands[0], operands[1]) && step(operands[1], operands[0])) {
  }
}

template <typename Out, bool gated>
__global__ void __launch_bounds__(threads, 1)
Fp8ProductKernel(const __grid_constant__ Fp8Rows x, const __grid_constant__ Fp8Product product) {
  if (!HasWarpgroupProducts())
    return;
  LetTheNextBegin();
  auto *memory = DynamicShared<uint8_t>();
  Shared &shared = *reinterpret_cast<Shared *>(memory + (1024 - SharedAddress(memory) % 1024) % 1024);
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < stages; ++stage) {
      InitBarrier(SharedAddress(&shared.filled[stage]), 1);
      InitBarrier(SharedAddress(&shared.used[stage]), multipliers * 4);
    }
    InitBarrier(SharedAddress(&shared.gathered), multipliers * 4);
    InitBarrier(SharedAddress(&shared.written), writers);
    ShowBarriers();
  }
  __syncthreads();
  WaitForTheOneBefore();
  int warp = __shfl_sync(~0u, int(threadIdx.x) / 32, 0);
  if (warp < 4) {
    ReleaseRegisters<56>();
    if (warp < writers)
      write<Out, gated>(shared, x, product, warp);
    else if (threadIdx.x % 32 == 0)
      fillStages(shared, x, product);
  } else {
    TakeRegisters<224>();
    multiply<gated>(shared, x, product, warp / 4 - 1);
  }
}

template <typename Out, bool gated>
void launch(cudaStream_t stream, const Fp8Rows &x, const Fp8Weights &weights, const StreamedProduct &product) {
  Fp8Product of{product, weights, int(Fp8Rows::padded(x.rows) / Fp8Rows::tileRows)};
  auto *kernel = Fp8ProductKernel<Out, gated>;
  static OncePerDevice raise; // a failure makes the launch fail, and that is reported
  raise([&] { cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, sharedBytes); });
  int blocks = std::min(of.tiles(), Multiprocessors());
  LaunchChained(kernel, dim3(unsigned(blocks)), threads, sharedBytes, stream, x, of);
}

} // namespace

void MultiplyInFp8(cudaStream_t stream, const Fp8Rows &x, const Fp8Weights &weights, const StreamedProduct &product) {
  if (!product.gate.data)
    launch<float, false>(stream, x, weights, product);
  else if (product.outType == DType::F32)
    launch<float, true>(stream, x, weights, product);
  else
    launch<__nv_bfloat16, true>(stream, x, weights, product);
}

} // namespace compressc::cuda
