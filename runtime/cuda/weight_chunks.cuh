// Weights and x as products of few rows read them: chunks of 16 rows of a weight and some columns, which are the left
// operand of tensor core products, and rows of x in the order that fits.
//
// 4-bit codes are multiplied as integers. x is 16 bits with a scale for each chunk: two digits of a byte, each of which is
// a column of the right operand. So all sums of a chunk are exact, and closer than with x in bf16.
#pragma once

#include "fours.cuh"
#include "launch.cuh"
#include "load.cuh"
#include "ptx.cuh"
#include "rows.cuh"

namespace compressc::cuda::streamed {

constexpr int tileRows = 16, threadsOfX = 512; // of blocks that prepare x

/// fp32, fp16 or bf16, as the weight says.
struct AnyScale {};

/// What a chunk's x is multiplied by, and the sum of its integers.
struct ChunkOfX {
  float scale;
  int sum;
};

/// A lane has two rows of a weight in a tile: lane / 4 and 8 more.
///
/// 4-bit codes: `words` of 8 in each chunk, which lies in one group. `group`: its columns, 0 where the weight tells; Scale:
/// their type, AnyScale where it does.
template <int words_, typename Scale, int group = 0> struct FourBits {
  static constexpr int words = words_, columns = words * 32, ahead = words == 4 ? 4 : 8;
  /// Rows of x for each column tile of the products, sums that a lane has of them, bytes of x that it reads at once.
  static constexpr int rowsOfX = 4, mostRows = mostStreamedRows, sums = 2, pieceBytes = words == 1 ? 8 : 16, pieces = words * 8 / pieceBytes;

  /// What is the same for all weights of a launch.
  struct Groups {
    int perRow, chunks; // of each group
    DType scaleType;
  };
  static Groups groupsOf(const Matrix &w) { return {int(w.columns / w.group), w.group / columns, w.scaleType}; }
  static __device__ __forceinline__ int groupIndex(const Groups &groups, int chunk) {
    if constexpr (group == columns)
      return chunk;
    return groups.chunks == 1 ? chunk : chunk / groups.chunks;
  }

  /// As loaded: nothing may wait for it before the other chunks are asked for.
  struct Chunk {
    uint32_t low[words], high[words], lowZero, highZero;
    std::conditional_t<std::is_same_v<Scale, AnyScale>, uint32_t, Scale> lowScale, highScale;
  };
  /// Where a lane finds its two rows from the column chunk on that a warp begins with.
  struct Source {
    const uint8_t *low, *high;
    const void *scales;
    const uint32_t *zeros; // null: 8
    int lowScales, highScales, lowZeros, highZeros; // of which group 0 is the place

    __device__ __forceinline__ void moveTo(const Matrix &w, const Groups &groups, int row, int begin, int lane) {
      int last = int(w.rows) - 1; // of rows that are not there nothing is stored
      int mine = min(row + lane / 4, last), other = min(row + lane / 4 + 8, last);
      auto rowBytes = uint32_t(w.rowBytes);
      const uint8_t *codes = w.data + lane % 4 * words * 4 + begin * (columns / 2);
      low = codes + uint64_t(uint32_t(mine)) * rowBytes;
      high = codes + uint64_t(uint32_t(other)) * rowBytes;
      scales = w.scales, zeros = w.zeros;
      lowScales = mine * groups.perRow, highScales = other * groups.perRow;
      lowZeros = mine / 8 * groups.perRow, highZeros = other / 8 * groups.perRow;
    }
    __device__ __forceinline__ void load(Chunk &chunk, const Groups &groups, int begin, int index) const {
      LoadOnce(chunk.low, low + index * (columns / 2));
      LoadOnce(chunk.high, high + index * (columns / 2));
      int at = groupIndex(groups, begin + index);
      chunk.lowScale = scaleAt(scales, lowScales + at, groups.scaleType);
      chunk.highScale = scaleAt(scales, highScales + at, groups.scaleType);
      chunk.lowZero = zeros ? zeros[lowZeros + at] : 0x88888888u;
      chunk.highZero = zeros ? zeros[highZeros + at] : 0x88888888u;
    }
  };
  static __device__ __forceinline__ auto scaleAt(const void *scales, int at, DType type) {
    if constexpr (!std::is_same_v<Scale, AnyScale>)
      return static_cast<const Scale *>(scales)[at];
    else
      return ScaleBitsAt(scales, type, at);
  }
  /// Of what was loaded.
  template <typename T> static __device__ __forceinline__ float scaleOf(T raw, const Groups &groups) {
    if constexpr (!std::is_same_v<Scale, AnyScale>)
      return ToFloat(raw);
    else
      return ScaleOf(raw, groups.scaleType);
  }

  /// Where a lane's columns and scales of x begin: rows that are not there are the last one, whose sums are not used.
  template <int tiles> struct Place {
    int columns[tiles], chunks[tiles], stride;
    __device__ __forceinline__ Place(int rows, int lane) : stride(rows * 8 * pieceBytes) {
      int g = lane / 4, t = lane % 4;
#pragma unroll
      for (int n = 0; n < tiles; ++n) {
        columns[n] = ((min(n * 4 + g / 2, rows - 1) * 2 + g % 2) * 4 + t) * pieceBytes;
        chunks[n] = min(n * 4 + t, rows - 1);
      }
    }
  };

  /// sum += the chunk times x, of which the chunk's columns begin at `x` and its scales at `of`.
  template <int tiles>
  static __device__ __forceinline__ void add(float (&sum)[tiles][2], const Chunk &chunk, const Groups &groups, const Place<tiles> &place,
                                             const uint8_t *x, const ChunkOfX *of, int lane) {
    constexpr uint32_t mask = 0x0f0f0f0fu;
    uint32_t codes[words][4];
#pragma unroll
    for (int i = 0; i < words; ++i) {
      codes[i][0] = chunk.low[i] & mask, codes[i][1] = chunk.high[i] & mask;
      codes[i][2] = chunk.low[i] >> 4 & mask, codes[i][3] = chunk.high[i] >> 4 & mask;
    }
    int shift = lane / 4 * 4; // tiles begin at multiples of 8 rows, and so do the zeros' words
    int lowZero = int(chunk.lowZero >> shift & 15), highZero = int(chunk.highZero >> shift & 15);
    float lowScale = scaleOf(chunk.lowScale, groups), highScale = scaleOf(chunk.highScale, groups);
#pragma unroll
    for (int n = 0; n < tiles; ++n) {
      uint32_t digits[words * 2];
#pragma unroll
      for (int piece = 0; piece < pieces; ++piece)
        Copy<pieceBytes / 4>(digits + piece * (pieceBytes / 4), x + place.columns[n] + piece * place.stride);
      int products[4] = {}; // a lane has both digits' of one row of x
#pragma unroll
      for (int i = 0; i < words; ++i)
        MultiplyBytes(products, codes[i], digits[2 * i], digits[2 * i + 1]);
      ChunkOfX row = of[place.chunks[n]];
      int low = products[0] * 256 + products[1] - lowZero * row.sum, high = products[2] * 256 + products[3] - highZero * row.sum;
      sum[n][0] = fmaf(float(low), lowScale * row.scale, sum[n][0]);
      sum[n][1] = fmaf(float(high), highScale * row.scale, sum[n][1]);
    }
  }
  /// Which row of x and of the tile sum i of column tile n is.
  static __device__ __forceinline__ int rowOfX(int n, int, int lane) { return n * 4 + lane % 4; }
  static __device__ __forceinline__ int rowOfTile(int i, int lane) { return lane / 4 + i * 8; }

  /// Eight neighbouring columns of a row of x become digits: of the first, third, …, then of the second, fourth, ….
  static __device__ __forceinline__ void put(const float (&v)[8], bool exists, int row, int column, int rows, uint8_t *x, uint8_t *of) {
    constexpr int lanes = columns / 8; // that have a chunk
    uint32_t most = 0; // as integers, NaN is greater than all
#pragma unroll
    for (int i = 0; i < 8; ++i)
      most = max(most, __float_as_uint(v[i]) & 0x7fffffffu);
#pragma unroll
    for (int step = lanes / 2; step; step /= 2)
      most = max(most, __shfl_xor_sync(~0u, most, step));
    constexpr float largest = 127 * 256;
    // Added to an integer, as fp32, this leaves it in the lowest bits.
    constexpr float bias = 12582912.0f; // 3 * 2^22
    constexpr uint32_t biasBits = 0x4b400000u;
    float greatest = __uint_as_float(most), inverse = greatest < 1e-30f ? 0.0f : largest / greatest;
    uint32_t q[8], digits[2][2]; // [first or second digit][first or second columns]
    int sum = 0;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      q[i] = __float_as_uint(fmaf(v[i], inverse, bias));
      sum += int(q[i] - biasBits);
    }
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      // The second digit is the lowest byte, signed; so the first is one more where that is negative.
      auto join = [&](uint32_t carry, uint32_t bytes) {
        uint32_t low = __byte_perm(q[i] + carry, q[i + 2] + carry, bytes), high = __byte_perm(q[i + 4] + carry, q[i + 6] + carry, bytes);
        return __byte_perm(low, high, 0x5410);
      };
      digits[0][i] = join(128, 0x0051), digits[1][i] = join(0, 0x0040);
    }
#pragma unroll
    for (int step = lanes / 2; step; step /= 2)
      sum += __shfl_xor_sync(~0u, sum, step);
    if (!exists)
      return;
    int chunk = column / columns, t = column % columns / (words * 8), at = column % (words * 8);
#pragma unroll
    for (int digit = 0; digit < 2; ++digit)
      *reinterpret_cast<uint2 *>(x + (((chunk * pieces + at / pieceBytes) * rows + row) * 8 + digit * 4 + t) * pieceBytes +
                                 at % pieceBytes) = {digits[digit][0], digits[digit][1]};
    if (column % columns == 0)
      reinterpret_cast<ChunkOfX *>(of)[chunk * rows + row] = {greatest / largest, sum};
  }
};

/// Calls f with the words of a lane's codes in a chunk of these 4-bit weights (WordsOf), known to the compiler.
template <typename F> void WithWords(const Matrix &w, F f) {
  switch (WordsOf(w)) {
  case 1: return f(std::integral_constant<int, 1>{});
  case 2: return f(std::integral_constant<int, 2>{});
  default: return f(std::integral_constant<int, 4>{});
  }
}

/// The number whose last bits count ones, twice: with a code in them it is that much more.
template <typename Half> constexpr uint32_t codesFrom = std::is_same_v<Half, __half> ? 0x64006400u : 0x43004300u;
template <typename Half> constexpr float codeOffset = std::is_same_v<Half, __half> ? 1024.0f : 128.0f;

/// Weights of 16 bits: 8 neighbours in each chunk. bf16 becomes fp16 where that is computed in.
template <typename Half, typename Weight> struct Plain {
  static constexpr int columns = 32, ahead = 4, rowsOfX = 8, mostRows = mostPlainRows, sums = 4;

  struct Groups {};
  static Groups groupsOf(const Matrix &) { return {}; }
  struct Chunk {
    uint32_t low[4], high[4];
  };
  struct Source {
    const uint8_t *low, *high;
    __device__ __forceinline__ void moveTo(const Matrix &w, const Groups &, int row, int begin, int lane) {
      int last = int(w.rows) - 1;
      auto rowBytes = uint32_t(w.rowBytes);
      const uint8_t *data = w.data + lane % 4 * 16 + begin * (columns * 2);
      low = data + uint64_t(uint32_t(min(row + lane / 4, last))) * rowBytes;
      high = data + uint64_t(uint32_t(min(row + lane / 4 + 8, last))) * rowBytes;
    }
    __device__ __forceinline__ void load(Chunk &chunk, const Groups &, int, int index) const {
      LoadOnce(chunk.low, low + index * (columns * 2));
      LoadOnce(chunk.high, high + index * (columns * 2));
    }
  };
  template <int tiles> struct Place {
    int columns[tiles];
    __device__ __forceinline__ Place(int rows, int lane) {
#pragma unroll
      for (int n = 0; n < tiles; ++n)
        columns[n] = (min(n * 8 + lane / 4, rows - 1) * 4 + lane % 4) * 16;
    }
  };
  template <int tiles>
  static __device__ __forceinline__ void add(float (&sum)[tiles][4], const Chunk &chunk, const Groups &, const Place<tiles> &place,
                                             const uint8_t *x, const ChunkOfX *, int) {
    uint32_t first[4] = {operand(chunk.low[0]), operand(chunk.high[0]), operand(chunk.low[1]), operand(chunk.high[1])};
    uint32_t second[4] = {operand(chunk.low[2]), operand(chunk.high[2]), operand(chunk.low[3]), operand(chunk.high[3])};
#pragma unroll
    for (int n = 0; n < tiles; ++n) {
      uint4 columns = *reinterpret_cast<const uint4 *>(x + place.columns[n]);
      MultiplyTiles<Half>(sum[n], first, columns.x, columns.y);
      MultiplyTiles<Half>(sum[n], second, columns.z, columns.w);
    }
  }
  static __device__ __forceinline__ int rowOfX(int n, int i, int lane) { return n * 8 + lane % 4 * 2 + i % 2; }
  static __device__ __forceinline__ int rowOfTile(int i, int lane) { return lane / 4 + i / 2 * 8; }

  static __device__ __forceinline__ void put(const float (&v)[8], bool exists, int row, int column, int rows, uint8_t *x, uint8_t *) {
    if (exists)
      *reinterpret_cast<uint4 *>(x + ((column / 32 * rows + row) * 4 + column / 8 % 4) * 16) = {
          Pack<Half>(v[0], v[1]), Pack<Half>(v[2], v[3]), Pack<Half>(v[4], v[5]), Pack<Half>(v[6], v[7])};
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

/// The place of the range that `at` lies in, of `count` that begin at first[0] = 0, first[1], ….
__device__ __forceinline__ int rangeOf(const int *first, int count, int at) {
  int which = 0;
  while (which + 1 < count && at >= first[which + 1])
    ++which;
  return which;
}

/// A row of x as products of this format read it, normalised if there is a norm; there is room for so many rows, and behind
/// them is what belongs to chunks, [chunk, row].
template <typename Format>
__device__ __forceinline__ void prepare(const StreamedRows &x, int row, int depth, int room, uint8_t *to) {
  int64_t begin = int64_t(row) * depth;
  auto get = [&](int column) {
    if (x.type == DType::F32)
      return Get4(static_cast<const float *>(x.data) + begin + column);
    return x.type == DType::F16 ? Get4(static_cast<const __half *>(x.data) + begin + column)
                                : Get4(static_cast<const __nv_bfloat16 *>(x.data) + begin + column);
  };
  float factor = x.norm ? rows::NormFactor<threadsOfX>(static_cast<const float *>(x.data) + begin, depth, x.epsilon) : 1.0f;
  int lane = threadIdx.x % 32;
#pragma unroll 2
  for (int column = threadIdx.x * 8; column - lane * 8 < depth; column += threadsOfX * 8) { // warps stay together
    float v[8] = {};
    bool exists = column < depth;
    if (exists)
#pragma unroll
      for (int half = 0; half < 8; half += 4) {
        float4 some = get(column + half);
        if (x.norm)
          some = Normalised(some, factor, Get4(x.norm + column + half));
        v[half] = some.x, v[half + 1] = some.y, v[half + 2] = some.z, v[half + 3] = some.w;
      }
    Format::put(v, exists, row, column, room, to, to + room * depth * 2);
  }
}

template <typename Format> __global__ void __launch_bounds__(threadsOfX) PrepareKernel(StreamedRows x, int depth, int room, uint8_t *to) {
  LetTheNextBegin();
  WaitForTheOneBefore();
  prepare<Format>(x, int(blockIdx.x), depth, room, to);
}

} // namespace compressc::cuda::streamed
