// Products of many rows in e4m3 by packed weights of up to 4 bits, by warpgroups (wgmma), for compute capability 9.0.
//
// A block has 256 rows of x and 128 of weights, and a ring of stages of 128 columns each. Each warp of its first warpgroup
// fills a stage: x, which lies in memory as it shall there (fp8.cu), by one copy, and the weights, whose codes it turns into
// the e4m3 numbers that are the codes less their zeros, exactly, by a table of each zero's. The other two warpgroups
// multiply 64 rows of weights each; while one makes its sums ready, the other's products run.
//
// A group's scale belongs to a row of the weight and to 128 columns or more, so that the sums, which the tensor cores add
// to, are brought from the last group's scale to the next one's before its products; what is left at the end is the last.
#include "activate.cuh"
#include "bulk_copy.cuh"
#include "fours.cuh"
#include "fp8.h"
#include "launch.cuh"
#include "load.cuh"
#include "wgmma.cuh"

namespace compressc::cuda {
namespace {

constexpr int multipliers = 2, threads = (1 + multipliers) * 128;
constexpr int weightRows = multipliers * 64, stages = 4; // stages: warps that fill
constexpr int xBytes = Fp8Rows::tileRows * fp8Block, weightBytes = weightRows * fp8Block, stageBytes = xBytes + weightBytes;
constexpr int zeroValues = 16;
constexpr int tokenTilesTogether = 12; // of 132 multiprocessors that are at work together
constexpr int outTokens = 16;          // whose sums are written together

/// What a block has in shared memory, from the first multiple of 1024 bytes on.
struct Shared {
  uint8_t stage[stages][stageBytes]; // x, weights
  uint4 tables[zeroValues];
  float out[multipliers][4][outTokens][weightRows / multipliers]; // sums on their way, in turns
  uint64_t filled[stages], used[stages], turn[multipliers], gathered[multipliers][2]; // barriers
};
constexpr int sharedBytes = int(sizeof(Shared)) + 1024;

/// A product as the kernel has it. With a gate every 8 rows of it are followed by the weight's 8.
struct Fp8Product {
  StreamedProduct of;
  int rowTiles, tokenTiles;

  /// Tiles that are computed together share as much as they can.
  __device__ __forceinline__ void find(int tile, int &rowTile, int &tokenTile) const {
    int first = tile / (tokenTilesTogether * rowTiles) * tokenTilesTogether, rest = tile - first * rowTiles;
    int together = min(tokenTilesTogether, tokenTiles - first);
    rowTile = rest / together;
    tokenTile = first + rest % together;
  }
};

/// Words with 32 codes, one after the other: codes 8i … 8i + 7, in 4 bits each.
template <int bits> __device__ __forceinline__ uint32_t EightCodes(const uint32_t (&words)[bits], int i) {
  if constexpr (bits == 4) {
    return words[i];
  } else if constexpr (bits == 2) {
    uint32_t v = words[i / 2] >> i % 2 * 16 & 0xffff;
    v = (v | v << 8) & 0x00ff00ff;
    v = (v | v << 4) & 0x0f0f0f0f;
    return (v | v << 2) & 0x33333333;
  } else {
    int at = i * 24;
    uint32_t v = words[at / 32] >> at % 32;
    if (at % 32 > 8)
      v |= words[at / 32 + 1] << (32 - at % 32);
    v = (v & 0xfff) | (v & 0xfff000) << 4;
    v = (v & 0x003f003f) | (v & 0x0fc00fc0) << 2;
    return (v & 0x07070707) | (v & 0x38383838) << 1;
  }
}

/// What a code less the zero is in e4m3, times 2^-9: there the numbers 0 to 15 are their own bits.
__device__ uint8_t valueOf(int code, int zero) { return uint8_t(code < zero ? 0x80 | (zero - code) : code - zero); }

/// Eight codes by a zero's table.
__device__ __forceinline__ uint2 translated(uint32_t codes, uint4 table) {
  auto four = [&](uint32_t within, uint32_t half) {
    return SelectBytes(SelectBytes(table.x, table.y, within), SelectBytes(table.z, table.w, within), half);
  };
  uint32_t within = codes & 0x77777777u, half = (codes >> 1 & 0x44444444u) | 0x32103210u;
  return {four(within, half), four(within >> 16, half >> 16)};
}

/// A barrier's phases, one after the other, for those who wait.
struct Phases {
  uint32_t barrier, parity = 0;
  __device__ __forceinline__ void wait() {
    WaitForPhase(barrier, parity);
    parity ^= 1;
  }
};

/// How a gate is applied, if there is one.
template <Activation kind> struct Gated {
  static constexpr int columns = 32; // of the output, for a warpgroup
  static __device__ __forceinline__ float value(float gate, float up) { return Activate<kind>(gate) * up; }
};
struct Plain {
  static constexpr int columns = 64;
};

/// What follows the sums of warpgroup `which`, whose last groups' scales are `last`. `row` and `token` are where its tile
/// begins. Some tokens at a time go through shared memory, so that rows of the output are written in whole lines.
template <typename Out, typename Gate>
__device__ __forceinline__ void finish(Shared &shared, Phases (&gathered)[2], const StreamedProduct &of, const Fp8Rows &x,
                                       const float (&sum)[128], const float (&last)[2], int which, int row, int token) {
  constexpr bool gated = !std::is_same_v<Gate, Plain>;
  constexpr int perRow = Gate::columns / 4, tokensAtOnce = 128 / perRow; // threads, for a row of the output
  const int width = int(of.w.rows), thread = int(threadIdx.x) % 128, lane = thread % 32, warp = thread / 32;
  const int mine = gated ? warp * 8 + lane / 4 : warp * 16 + lane / 4; // of the first of this thread's sums' columns
  const int column = row + thread % perRow * 4;                        // that it writes
  float gateBias = 0, upBias = 0;
  float4 bias = {0, 0, 0, 0};
  if (gated) {
    gateBias = of.gateBias && row + mine < width ? of.gateBias[row + mine] : 0.0f;
    upBias = of.bias && row + mine < width ? of.bias[row + mine] : 0.0f;
  } else if (of.bias && column < width) {
    bias = {of.bias[column], of.bias[column + 1], of.bias[column + 2], of.bias[column + 3]};
  }
  // Four columns stay together, and no two lanes that write, or that read, meet in a bank.
  auto place = [](int token, int column) { return column ^ (token / 2 % 4 * 8); };
  auto gather = [&](int begin) {
    auto &out = shared.out[which][begin / outTokens % 4];
#pragma unroll
    for (int n = 0; n < outTokens / 8; ++n) {
      const float(&of4)[4] = *reinterpret_cast<const float(*)[4]>(sum + (begin / 8 + n) * 4);
      int at = n * 8 + lane % 4 * 2, to = place(at, mine);
      float2 scales = *reinterpret_cast<const float2 *>(x.scales + token + begin + at);
      float low[2] = {last[0] * scales.x, last[0] * scales.y}, high[2] = {last[1] * scales.x, last[1] * scales.y};
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        if constexpr (gated) {
          out[at + i][to] = Gate::value(fmaf(of4[i], low[i], gateBias), fmaf(of4[2 + i], high[i], upBias));
        } else {
          out[at + i][to] = of4[i] * low[i];
          out[at + i][to ^ 8] = of4[2 + i] * high[i];
        }
      }
    }
    __syncwarp();
    if (lane == 0)
      Arrive(gathered[begin / outTokens % 2].barrier);
  };
  auto write = [&](int begin) {
    auto &out = shared.out[which][begin / outTokens % 4];
#pragma unroll
    for (int i = 0; i < outTokens / tokensAtOnce; ++i) {
      int from = i * tokensAtOnce + thread / perRow, to = token + begin + from;
      if (to >= x.rows || column >= width)
        continue;
      float4 v = Get4(&out[from][place(from, thread % perRow * 4)]);
      int64_t at = int64_t(to) * width + column;
      if constexpr (!gated) {
        v = {v.x + bias.x, v.y + bias.y, v.z + bias.z, v.w + bias.w};
        if (of.residual == of.out) { // nothing waits for it
          AddTo4(static_cast<float *>(of.out) + at, v);
          continue;
        }
        if (of.residual) {
          float4 added = Get4(of.residual + at);
          v = {v.x + added.x, v.y + added.y, v.z + added.z, v.w + added.w};
        }
      }
      Put4(static_cast<Out *>(of.out) + at, v);
    }
  };
#pragma unroll
  for (int begin = 0; begin < Fp8Rows::tileRows + outTokens; begin += outTokens) {
    if (begin < Fp8Rows::tileRows)
      gather(begin);
    if (begin > 0) {
      int before = begin - outTokens; // when all have gathered it, they have written what was two turns earlier
      gathered[before / outTokens % 2].wait();
      write(before);
    }
  }
}

/// Has the residual's part of a tile come to the L2 cache, before all blocks ask for theirs at the same time.
__device__ __forceinline__ void expectResidual(const StreamedProduct &of, const Fp8Rows &x, int rowTile, int tokenTile, int lane) {
  constexpr int perLine = 32, lines = weightRows / perLine;
  for (int i = lane; i < Fp8Rows::tileRows * lines; i += 32) {
    int64_t token = int64_t(tokenTile) * Fp8Rows::tileRows + i / lines;
    int row = rowTile * weightRows + i % lines * perLine;
    if (token < x.rows && row < of.w.rows)
      PrefetchToL2(of.residual + token * of.w.rows + row);
  }
}

/// A scale that sums can be brought to. None is 0: that becomes so small that its group is next to nothing.
__device__ __forceinline__ float Usable(float scale) { return fabsf(scale) < 0x1p-60f ? 0x1p-60f : scale; }

/// A warp that fills a stage, with each fourth block of columns. Four lanes have the quarters of a row, eight rows at a time;
/// the zeros of the 128 rows are shared out among the lanes.
template <int bits, bool gated>
__device__ __forceinline__ void fill(Shared &shared, const Fp8Rows &x, const Fp8Product &product, int stage) {
  constexpr int steps = weightRows / 8, rowsOfLane = weightRows / 32;
  const int lane = threadIdx.x % 32, blocks = int(x.columns / fp8Block), tiles = product.rowTiles * product.tokenTiles;
  const Matrix &w = product.of.w, &own = gated && lane % 16 < 8 ? product.of.gate : w; // own: of the lane's zeros
  const int groups = int(w.columns / w.group), perGroup = w.group / fp8Block, last = int(w.rows) - 1;
  uint8_t *weights = shared.stage[stage] + xBytes;
  const uint32_t filled = SharedAddress(&shared.filled[stage]), used = SharedAddress(&shared.used[stage]);
  int tile = int(blockIdx.x), block = stage, foundTile = -1, rowTile = 0, tokenTile = 0;
  uint32_t parity = 1; // the stage is free
  while (true) {
    while (block >= blocks)
      block -= blocks, tile += int(gridDim.x);
    if (tile >= tiles)
      break;
    if (tile != foundTile)
      product.find(foundTile = tile, rowTile, tokenTile);

    // All that is read is asked for at once, before the stage is free. Of rows that are not there nothing is stored.
    int first = rowTile * (gated ? weightRows / 2 : weightRows);
    uint32_t codes[steps][bits];
#pragma unroll
    for (int i = 0; i < steps; ++i) {
      const Matrix &from = gated && i % 2 == 0 ? product.of.gate : w;
      int row = min(first + (gated ? i / 2 : i) * 8 + lane / 4, last);
      const uint8_t *at = from.data + uint64_t(uint32_t(row)) * uint32_t(from.rowBytes) + (block * 4 + lane % 4) * (bits * 4);
      if constexpr (bits == 3)
        for (int word = 0; word < 3; ++word)
          Copy<1>(codes[i] + word, at + word * 4);
      else
        LoadOnce(codes[i], at);
    }
    uint32_t zeroWords[rowsOfLane][2];
    int zeroShift[rowsOfLane];
#pragma unroll
    for (int j = 0; j < rowsOfLane; ++j) {
      int inTile = j * 32 + lane, row = min(first + (gated ? inTile / 16 * 8 + lane % 8 : inTile), last);
      zeroShift[j] = row * bits % 32;
      if (own.zeros) {
        const uint32_t *at = own.zeros + row * bits / 32 * groups + block / perGroup;
        zeroWords[j][0] = at[0];
        if (32 % bits && zeroShift[j] + bits > 32)
          zeroWords[j][1] = at[groups];
      }
    }
    if (!gated && product.of.residual && block == 0)
      expectResidual(product.of, x, rowTile, tokenTile, lane);

    WaitForPhase(used, parity);
    parity ^= 1;
    if (lane == 0)
      CopyBulk(SharedAddress(shared.stage[stage]), x.codes + (int64_t(tokenTile) * blocks + block) * xBytes, xBytes, filled);
    __syncwarp();
    uint32_t zeros = 0; // a byte for each of the lane's rows
#pragma unroll
    for (int j = 0; j < rowsOfLane; ++j) {
      uint32_t zero = 1u << (bits - 1);
      if (own.zeros) {
        zero = zeroWords[j][0] >> zeroShift[j];
        if (32 % bits && zeroShift[j] + bits > 32)
          zero |= zeroWords[j][1] << (32 - zeroShift[j]);
      }
      zeros |= (zero & ((1u << bits) - 1)) << (j * 8);
    }
    uint32_t zerosOf[4]; // of this lane's rows of the codes
#pragma unroll
    for (int i = 0; i < 4; ++i)
      zerosOf[i] = __shfl_sync(~0u, zeros, i * 8 + lane / 4);
#pragma unroll
    for (int four = 0; four < steps; four += 4) {
      uint4 table[4]; // before what is written, which they might be for all that the compiler knows
#pragma unroll
      for (int i = 0; i < 4; ++i)
        table[i] = shared.tables[zerosOf[i] >> (four * 2) & 255];
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          uint2 low = translated(EightCodes<bits>(codes[four + i], 2 * half), table[i]);
          uint2 high = translated(EightCodes<bits>(codes[four + i], 2 * half + 1), table[i]);
          uint8_t *to = weights + SwizzledChunk((four + i) * 8 + lane / 4, lane % 4 * 2 + half);
          *reinterpret_cast<uint4 *>(to) = {low.x, low.y, high.x, high.y};
        }
    }
    ShowToProducts();
    __syncwarp();
    if (lane == 0)
      Arrive(filled);
    block += stages;
  }
}

/// The other warpgroups, of which this is number `which`.
template <typename Out, bool gated>
__device__ __forceinline__ void multiply(Shared &shared, const Fp8Rows &x, const Fp8Product &product, int which) {
  const int blocks = int(x.columns / fp8Block), tiles = product.rowTiles * product.tokenTiles;
  const int lane = threadIdx.x % 32, warp = int(threadIdx.x) % 128 / 32;
  const int first = which * 64 + warp * 16 + lane / 4; // of a thread's two rows in a stage
  Phases turn{SharedAddress(&shared.turn[which])};
  Phases gathered[2]{{SharedAddress(&shared.gathered[which][0])}, {SharedAddress(&shared.gathered[which][1])}};
  const uint32_t others = SharedAddress(&shared.turn[1 - which]);
  auto arrive = [&](uint32_t barrier) {
    __syncwarp();
    if (lane == 0)
      Arrive(barrier);
    __syncwarp();
  };
  if (which == 1)
    arrive(others); // who begins
  const int groups = int(product.of.w.columns / product.of.w.group), perGroup = product.of.w.group / fp8Block;
  const Matrix &low = gated ? product.of.gate : product.of.w, &high = product.of.w; // of this thread's two rows
  uint32_t ofLow = 0, ofHigh = 0;                                                   // bits of the next group's scales
  int atLow = 0, atHigh = 0;                                                        // places behind it
  auto loadNext = [&] {
    ofLow = ScaleBitsAt(low.scales, low.scaleType, atLow++), ofHigh = ScaleBitsAt(high.scales, high.scaleType, atHigh++);
  };
  auto begin = [&](int tile) {
    int rowTile, tokenTile, last = int(high.rows) - 1;
    product.find(tile, rowTile, tokenTile);
    int row = gated ? (rowTile * multipliers + which) * 32 + warp * 8 + lane / 4 : rowTile * weightRows + first;
    atLow = min(row, last) * groups, atHigh = min(gated ? row : row + 8, last) * groups;
    loadNext();
  };
  if (int(blockIdx.x) < tiles)
    begin(int(blockIdx.x));
  int stage = 0;
  uint32_t parity = 0;
  float sum[128];
  for (int tile = int(blockIdx.x); tile < tiles; tile += int(gridDim.x)) {
    float scale[2] = {Usable(ScaleOf(ofLow, low.scaleType)), Usable(ScaleOf(ofHigh, high.scaleType))};
    if (perGroup < blocks)
      loadNext();
    float change[2] = {1, 1};
    int inGroup = perGroup; // blocks to come
    for (int block = 0; block < blocks; ++block) {
      WaitForPhase(SharedAddress(&shared.filled[stage]), parity);
      if (block > 0) {
#pragma unroll
        for (int i = 0; i < 128; ++i)
          sum[i] *= change[i / 2 % 2];
      }
      uint32_t from = SharedAddress(shared.stage[stage]), weights = from + xBytes + uint32_t(which * 64 * fp8Block);
      turn.wait();
      BeginProducts();
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        MultiplyE4M3Later(sum, SwizzledMatrix(weights + i * 32, 0), SwizzledMatrix(from + i * 32, 0), block > 0 || i > 0);
        if (i % 2 == 1)
          EndGroupOfProducts();
      }
      // The other warpgroup's products begin when half of these are done: side by side both would end late.
      WaitForProducts<1>();
      arrive(others);
      change[0] = change[1] = 1;
      if (--inGroup == 0 && block + 1 < blocks) {
        float nows[2] = {Usable(ScaleOf(ofLow, low.scaleType)), Usable(ScaleOf(ofHigh, high.scaleType))};
        change[0] = __fdividef(scale[0], nows[0]), change[1] = __fdividef(scale[1], nows[1]);
        scale[0] = nows[0], scale[1] = nows[1];
        inGroup = perGroup;
        if (block + 1 + perGroup < blocks)
          loadNext();
      }
      WaitForProducts<0>(sum);
      arrive(SharedAddress(&shared.used[stage]));
      if (++stage == stages)
        stage = 0, parity ^= 1;
    }
    int rowTile, tokenTile;
    product.find(tile, rowTile, tokenTile);
    float last[2] = {scale[0] * 512.0f, scale[1] * 512.0f}; // 2^9: valueOf
    if (tile + int(gridDim.x) < tiles)
      begin(tile + int(gridDim.x)); // comes meanwhile
    auto finishWith = [&](auto gate) {
      using Gate = decltype(gate);
      finish<Out, Gate>(shared, gathered, product.of, x, sum, last, which, (rowTile * multipliers + which) * Gate::columns,
                        tokenTile * Fp8Rows::tileRows);
    };
    if constexpr (gated)
      WithActivation(product.of.activation, [&](auto kind) { finishWith(Gated<decltype(kind)::value>{}); });
    else
      finishWith(Plain{});
  }
}

template <typename Out, int bits, bool gated>
__global__ void __launch_bounds__(threads, 1) Fp8ProductKernel(Fp8Rows x, Fp8Product product) {
  if (!HasWarpgroupProducts())
    return;
  LetTheNextBegin();
  auto *memory = DynamicShared<uint8_t>();
  Shared &shared = *reinterpret_cast<Shared *>(memory + (1024 - SharedAddress(memory) % 1024) % 1024);
  for (int i = int(threadIdx.x); i < zeroValues * 16; i += threads)
    reinterpret_cast<uint8_t *>(shared.tables)[i] = valueOf(i % 16, i / 16);
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < stages; ++stage) {
      InitBarrier(SharedAddress(&shared.filled[stage]), 2); // the copy's arrival, and the warp's
      InitBarrier(SharedAddress(&shared.used[stage]), multipliers * 4);
    }
    for (int which = 0; which < multipliers; ++which) {
      InitBarrier(SharedAddress(&shared.turn[which]), 4);
      for (uint64_t &gathered : shared.gathered[which])
        InitBarrier(SharedAddress(&gathered), 4);
    }
    ShowBarriers();
  }
  __syncthreads();
  WaitForTheOneBefore();
  if (int warp = __shfl_sync(~0u, int(threadIdx.x) / 32, 0); warp < stages)
    fill<bits, gated>(shared, x, product, warp);
  else
    multiply<Out, gated>(shared, x, product, warp / 4 - 1);
}

template <typename Out, int bits, bool gated> void launch(cudaStream_t stream, const Fp8Rows &x, const StreamedProduct &product) {
  int tileRows = gated ? weightRows / 2 : weightRows;
  Fp8Product of{product, int((product.w.rows + tileRows - 1) / tileRows), int(Fp8Rows::padded(x.rows) / Fp8Rows::tileRows)};
  auto *kernel = Fp8ProductKernel<Out, bits, gated>;
  static OncePerDevice raise; // a failure makes the launch fail, and that is reported
  raise([&] { cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, sharedBytes); });
  int blocks = std::min(of.rowTiles * of.tokenTiles, std::max(DeviceAttribute(cudaDevAttrMultiProcessorCount), 1));
  LaunchChained(kernel, dim3(unsigned(blocks)), threads, sharedBytes, stream, x, of);
}

template <int bits> void launch(cudaStream_t stream, const Fp8Rows &x, const StreamedProduct &product) {
  if (!product.gate.data)
    launch<float, bits, false>(stream, x, product);
  else if (product.outType == DType::F32)
    launch<float, bits, true>(stream, x, product);
  else
    launch<__nv_bfloat16, bits, true>(stream, x, product);
}

bool fits(const Matrix &w) {
  return w.dtype == DType::Packed && w.bits <= 4 && w.columns % fp8Block == 0 && w.group % fp8Block == 0 && w.rows % 8 == 0 &&
         w.rowBytes % 16 == 0;
}

} // namespace

bool CanMultiplyInFp8(const StreamedProduct &product) {
  const Matrix &w = product.w, &gate = product.gate;
  bool hasOut = product.outType == DType::F32 || (gate.data && product.outType == DType::BF16);
  return hasOut && fits(w) && (!gate.data || (fits(gate) && gate.bits == w.bits && gate.group == w.group && gate.rows == w.rows));
}

void MultiplyInFp8(cudaStream_t stream, const Fp8Rows &x, const StreamedProduct &product) {
  switch (product.w.bits) {
  case 2: return launch<2>(stream, x, product);
  case 3: return launch<3>(stream, x, product);
  default: return launch<4>(stream, x, product);
  }
}

} // namespace compressc::cuda
