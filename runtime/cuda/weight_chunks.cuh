// Weights and x as products of few rows read them: chunks of 16 rows of a weight and some columns, by way of shared
// memory, as the left operand of tensor core products, and rows of x in the order that fits.
#pragma once

#include "fours.cuh"
#include "launch.cuh"
#include "load.cuh"
#include "ptx.cuh"
#include "rows.cuh"

namespace compressc::cuda::streamed {

constexpr int warps = 8; // of a block

/// The number whose last bits count ones, and a pair of it: with a code in them it is that much more.
template <typename Half> constexpr float codeOffset = std::is_same_v<Half, __half> ? 1024.0f : 128.0f;
template <typename Half> constexpr uint32_t codesFrom = std::is_same_v<Half, __half> ? 0x64006400u : 0x43004300u;

/// Whether scales can be read in words: of 16 bits there must be an even number.
constexpr bool ScalesPair(int64_t rows, int64_t columns, int64_t group, bool wide) { return wide || rows * (columns / group) % 2 == 0; }

/// fp32, fp16 or bf16, as the weight says.
struct AnyScale {};

/// Where a lane finds the two rows of a weight that it has in a tile: lane / 4 and 8 more. A chunk lies in a slot of
/// shared memory between being copied and being read.
///
/// 4-bit codes: `words` of 8 in each chunk, which lies in one group. Half i of a word's bytes pairs the columns i and
/// i + 4, in weights and in x alike. Behind the codes of a slot are the words that have the 16 rows' scales, and the two
/// that have their zeros. `group`: its columns, 0 where the weight tells; Scale: their type, AnyScale where it does.
template <typename Half_, int words_, typename Scale, int group = 0> struct FourBits {
  using Half = Half_;
  static constexpr int words = words_, columns = words * 32, codeBytes = words * 256, slotBytes = codeBytes + 128;
  static constexpr bool paired = true, offset = true;
  static __device__ __forceinline__ int scaleBytes(DType type) {
    if constexpr (std::is_same_v<Scale, AnyScale>)
      return type == DType::F32 ? 4 : 2;
    else
      return int(sizeof(Scale));
  }
  static __device__ __forceinline__ float scaleAt(const uint8_t *word, int which, DType type) {
    if constexpr (std::is_same_v<Scale, AnyScale>) {
      if (type == DType::F32)
        return *reinterpret_cast<const float *>(word);
      return type == DType::F16 ? ToFloat(reinterpret_cast<const __half *>(word)[which])
                                : ToFloat(reinterpret_cast<const __nv_bfloat16 *>(word)[which]);
    } else {
      return ToFloat(reinterpret_cast<const Scale *>(word)[which]);
    }
  }
  static __device__ __forceinline__ int groupOf(const Matrix &w) { return group ? group : w.group; }
  static __device__ __forceinline__ int groupIndex(int chunksPerGroup, int index) {
    if constexpr (group == columns)
      return index;
    return chunksPerGroup == 1 ? index : index / chunksPerGroup;
  }

  /// What a lane copies: its codes, and lanes 0 to 15 scales, 16 and 17 zeros.
  struct Source {
    const uint8_t *low, *high, *more;
    int first, size, chunksPerGroup; // of `more`: the place of the first element, and how large they are

    __device__ __forceinline__ void moveTo(const Matrix &w, int row, int lane) {
      int last = int(w.rows) - 1; // of rows that are not there nothing is stored
      auto rowBytes = uint32_t(w.rowBytes);
      const uint8_t *codes = w.data + lane % 4 * words * 4;
      low = codes + uint64_t(uint32_t(min(row + lane / 4, last))) * rowBytes;
      high = codes + uint64_t(uint32_t(min(row + lane / 4 + 8, last))) * rowBytes;
      int groups = int(w.columns) / groupOf(w);
      chunksPerGroup = groupOf(w) / columns;
      bool scale = lane < 16;
      more = scale ? static_cast<const uint8_t *>(w.scales) : lane < 18 ? reinterpret_cast<const uint8_t *>(w.zeros) : nullptr;
      first = (scale ? min(row + lane, last) : min(row + (lane - 16) * 8, last) / 8) * groups;
      size = scale ? scaleBytes(w.scaleType) : 4;
    }
    __device__ __forceinline__ void copy(uint32_t slot, int index, int lane) const {
      CopyAsync<words * 4>(slot + lane * (words * 4), low + index * (columns / 2), true);
      CopyAsync<words * 4>(slot + codeBytes / 2 + lane * (words * 4), high + index * (columns / 2), true);
      if (more)
        CopyAsync<4>(slot + codeBytes + lane * 4, more + ((first + groupIndex(chunksPerGroup, index)) * size & ~3), true);
    }
  };

  /// How slots of a matrix are read.
  struct View {
    int first, chunksPerGroup;
    bool zeros;
    DType scaleType;
    __device__ __forceinline__ View(const Matrix &w, int lane)
        : first(lane / 4 * (int(w.columns) / groupOf(w))), chunksPerGroup(groupOf(w) / columns), zeros(w.zeros), scaleType(w.scaleType) {}
  };
  struct Chunk {
    uint32_t low[words], high[words];
    float lowScale, highScale;
    uint32_t lowZero, highZero;
  };
  static __device__ __forceinline__ void read(Chunk &chunk, const uint8_t *slot, const View &view, int index, int lane) {
    Copy<words>(chunk.low, slot + lane * (words * 4));
    Copy<words>(chunk.high, slot + codeBytes / 2 + lane * (words * 4));
    // Of scales of 16 bits a word has two; which one is wanted is the same for both rows, as tiles begin at multiples of 16.
    int which = scaleBytes(view.scaleType) == 4 ? 0 : (view.first + groupIndex(view.chunksPerGroup, index)) & 1;
    const uint8_t *more = slot + codeBytes;
    chunk.lowScale = scaleAt(more + lane / 4 * 4, which, view.scaleType);
    chunk.highScale = scaleAt(more + lane / 4 * 4 + 32, which, view.scaleType);
    chunk.lowZero = chunk.highZero = 0x88888888u;
    if (view.zeros)
      chunk.lowZero = reinterpret_cast<const uint32_t *>(more)[16], chunk.highZero = reinterpret_cast<const uint32_t *>(more)[17];
  }

  /// sum += the chunk times x: x(n, i) are the lane's 8 columns i of the rows 8n + lane / 4, and sums(n) of all the
  /// chunk's, of the rows whose products the lane has. Codes are multiplied as they are with an offset, and what is too
  /// much in that, offset and zero times the sum of x, goes in fp32.
  template <int tiles, typename X, typename Sums>
  static __device__ __forceinline__ void add(float (&sum)[tiles][4], const Chunk &chunk, const X &x, const Sums &sums, int lane) {
    uint32_t from = codesFrom<Half>;
    constexpr uint32_t mask = 0x000f000fu;
    constexpr int chains = tiles > 2 ? 1 : 2; // a product waits for the one that adds to the same
    float part[chains][tiles][4] = {};
#pragma unroll
    for (int i = 0; i < words; ++i) {
      uint32_t low = chunk.low[i], high = chunk.high[i];
      uint32_t first[4] = {AndOr<mask>(low, from), AndOr<mask>(high, from), AndOr<mask>(low >> 4, from), AndOr<mask>(high >> 4, from)};
      uint32_t second[4] = {AndOr<mask>(low >> 8, from), AndOr<mask>(high >> 8, from), AndOr<mask>(low >> 12, from),
                            AndOr<mask>(high >> 12, from)};
#pragma unroll
      for (int n = 0; n < tiles; ++n) {
        uint4 columns = x(n, i);
        MultiplyTiles<Half>(part[0][n], first, columns.x, columns.y);
        MultiplyTiles<Half>(part[chains - 1][n], second, columns.z, columns.w);
      }
    }
    int shift = lane / 4 * 4;
    float lowOffset = -codeOffset<Half> - float(int(chunk.lowZero >> shift & 15)), highOffset = -codeOffset<Half> - float(int(chunk.highZero >> shift & 15));
#pragma unroll
    for (int n = 0; n < tiles; ++n) {
      float2 all = sums(n);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        float codes = fmaf(i < 2 ? lowOffset : highOffset, i % 2 ? all.y : all.x,
                           chains == 1 ? part[0][n][i] : part[0][n][i] + part[1][n][i]);
        sum[n][i] = fmaf(codes, i < 2 ? chunk.lowScale : chunk.highScale, sum[n][i]);
      }
    }
  }
};

/// Weights of 16 bits: 8 neighbours in each chunk. bf16 becomes fp16 where that is computed in.
template <typename Half_, typename Weight> struct Plain {
  using Half = Half_;
  static constexpr int words = 1, columns = 32, slotBytes = 1024;
  static constexpr bool paired = false, offset = false;

  struct Source {
    const uint8_t *low, *high;
    __device__ __forceinline__ void moveTo(const Matrix &w, int row, int lane) {
      int last = int(w.rows) - 1;
      auto rowBytes = uint32_t(w.rowBytes);
      low = w.data + uint64_t(uint32_t(min(row + lane / 4, last))) * rowBytes + lane % 4 * 16;
      high = w.data + uint64_t(uint32_t(min(row + lane / 4 + 8, last))) * rowBytes + lane % 4 * 16;
    }
    __device__ __forceinline__ void copy(uint32_t slot, int index, int lane) const {
      CopyAsync<16>(slot + lane * 16, low + index * (columns * 2), true);
      CopyAsync<16>(slot + 512 + lane * 16, high + index * (columns * 2), true);
    }
  };
  struct View {
    __device__ __forceinline__ View(const Matrix &, int) {}
  };
  struct Chunk {
    uint32_t low[4], high[4];
  };
  static __device__ __forceinline__ void read(Chunk &chunk, const uint8_t *slot, const View &, int, int lane) {
    Copy<4>(chunk.low, slot + lane * 16);
    Copy<4>(chunk.high, slot + 512 + lane * 16);
  }
  template <int tiles, typename X, typename Sums>
  static __device__ __forceinline__ void add(float (&sum)[tiles][4], const Chunk &chunk, const X &x, const Sums &, int) {
    uint32_t first[4] = {operand(chunk.low[0]), operand(chunk.high[0]), operand(chunk.low[1]), operand(chunk.high[1])};
    uint32_t second[4] = {operand(chunk.low[2]), operand(chunk.high[2]), operand(chunk.low[3]), operand(chunk.high[3])};
#pragma unroll
    for (int n = 0; n < tiles; ++n) {
      uint4 columns = x(n, 0);
      MultiplyTiles<Half>(sum[n], first, columns.x, columns.y);
      MultiplyTiles<Half>(sum[n], second, columns.z, columns.w);
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

/// Where 8 neighbouring columns of a row of x are in the order that the kernel reads: for each chunk the lanes' eights one
/// after the other, in each of them all rows, in each the four lanes.
template <int columns> __device__ __forceinline__ int placeOf(int column, int row, int rows) {
  constexpr int perLane = columns / 4, eights = perLane / 8;
  int chunk = column / columns, lane = column % columns / perLane, eight = column % perLane / 8;
  return (((chunk * eights + eight) * rows + row) * 4 + lane) * 8;
}

/// A row of x in that order and in 16 bits, normalised if there is a norm; pairs of columns are 0 4, 1 5, 2 6 and 3 7 if
/// `paired`. Behind all rows, where codes have an offset, are the sums of each chunk's columns, [chunk, row].
template <typename Format> __device__ __forceinline__ void prepare(const StreamedRows &x, int row, int depth, typename Format::Half *to) {
  using Half = typename Format::Half;
  const float *wide = static_cast<const float *>(x.data) + int64_t(row) * depth;
  const Half *narrow = static_cast<const Half *>(x.data) + int64_t(row) * depth;
  auto *sums = reinterpret_cast<float *>(to + x.rows * depth);
  float factor = x.norm ? rows::NormFactor<warps * 32>(wide, depth, x.epsilon) : 1.0f;
  int lane = threadIdx.x % 32;
  for (int i = threadIdx.x * 8; i - lane * 8 < depth; i += warps * 256) { // warps stay together
    float sum = 0;
    if (i < depth) {
      float4 v[2];
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        v[half] = x.type == DType::F32 ? Get4(wide + i + half * 4) : Get4(narrow + i + half * 4);
        if (x.norm) {
          float4 w = Get4(x.norm + i + half * 4);
          v[half] = {v[half].x * factor * w.x, v[half].y * factor * w.y, v[half].z * factor * w.z, v[half].w * factor * w.w};
        }
      }
      uint4 packed;
      if constexpr (Format::paired)
        packed = {Pack<Half>(v[0].x, v[1].x), Pack<Half>(v[0].y, v[1].y), Pack<Half>(v[0].z, v[1].z), Pack<Half>(v[0].w, v[1].w)};
      else
        packed = {Pack<Half>(v[0].x, v[0].y), Pack<Half>(v[0].z, v[0].w), Pack<Half>(v[1].x, v[1].y), Pack<Half>(v[1].z, v[1].w)};
      *reinterpret_cast<uint4 *>(to + placeOf<Format::columns>(i, row, x.rows)) = packed;
      float2 a = Unpack<Half>(packed.x), b = Unpack<Half>(packed.y), c = Unpack<Half>(packed.z), d = Unpack<Half>(packed.w);
      sum = ((a.x + a.y) + (b.x + b.y)) + ((c.x + c.y) + (d.x + d.y)); // of what was rounded
    }
    if constexpr (Format::offset) {
      constexpr int lanes = Format::columns / 8;
#pragma unroll
      for (int step = lanes / 2; step; step /= 2)
        sum += __shfl_xor_sync(~0u, sum, step);
      if (i < depth && lane % lanes == 0)
        sums[i / Format::columns * x.rows + row] = sum;
    }
  }
}

template <typename Format> __global__ void __launch_bounds__(warps * 32) PrepareKernel(StreamedRows x, int depth, typename Format::Half *to) {
  LetTheNextBegin();
  WaitForTheOneBefore();
  prepare<Format>(x, int(blockIdx.x), depth, to);
}

} // namespace compressc::cuda::streamed
