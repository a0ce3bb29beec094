// Products of a weight's codes with activations rounded to 8 bits. A group's sum is an exact integer;
// the groups' sums are scaled and added in fp32, in order, with the same roundings in every
// instruction set.
#include "codes.h"
#include "dot.h"
#include "tile.h"
#if COMPRESSC_ISA_LEVEL >= 5
#include "amx/tiles.h"
#endif

namespace compressc::COMPRESSC_ISA {
namespace {

/// The accumulators, two vectors of codes, x, and without VNNI what emulates it.
constexpr int int8TileRows = COMPRESSC_ISA_LEVEL >= 3   ? 14
                             : COMPRESSC_ISA_LEVEL == 2 ? 12
                             : COMPRESSC_ISA_LEVEL == 1 ? 4
                                                        : 2;

/// Columns whose codes are transposed at a time.
constexpr int64_t pieceCodes = 256;
constexpr int64_t wordsFloats = pieceCodes * lanes; // as 3 bits need them: a byte for each code
/// The codes of a panel are expanded at most this far at a time: in the first-level cache for a few
/// rows, which hardly use them again, else in the second-level cache.
constexpr int64_t fewRows = 4, fewDepth = 512, manyDepth = 2048;

int64_t roundUp(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

/// Whole groups, one at least.
int64_t chunkDepth(int64_t rows, int64_t group) {
  return maximum((rows <= fewRows ? fewDepth : manyDepth) / group, 1) * group;
}

/// panelWidth rows of a weight, ready to be multiplied.
struct Panel {
  uint8_t *codes;   // [chunk / 4][panelWidth][4]
  float *scales;    // [groups][panelWidth]
  float *minima;    // likewise, Q4_1 only: added to each value
  int32_t *zeros;   // likewise: zero point z as the two 16-bit numbers z and 128 * z
};

COMPRESSC_INLINE void storeInts(void *p, IntVec v) { __builtin_memcpy(p, &v, sizeof v); }
COMPRESSC_INLINE int32_t zeroPair(uint32_t zero) { return int32_t(zero | zero << 23); }

/// Codes of words whose bit fields hold every step-th column.
template <int bits>
COMPRESSC_INLINE void splitWords(const float *words, int64_t count, uint8_t *codes) {
  constexpr int quads = 8 / bits, mask = int(0x01010101u * ((1u << bits) - 1));
  for (int64_t i = 0; i < count; ++i) {
    IntVec word = loadInts(words + i * lanes);
#pragma GCC unroll 4
    for (int j = 0; j < quads; ++j)
      storeInts(codes + (i * quads + j) * panelWidth * 4, word >> (j * bits) & mask);
  }
}

/// Columns [column, column + count), pieceCodes at most, of one lane's worth of rows.
COMPRESSC_INLINE void unpackLanes(const WeightMatrix &w, const LaneRows &rows, int64_t column,
                                  int64_t count, float *words, uint8_t *codes) {
  const float *source[lanes];
  if (w.dtype == DType::Packed && w.packed.bits == 3) {
    for (int r = 0; r < lanes; ++r) {
      uint8_t *bytes = reinterpret_cast<uint8_t *>(words + r * (pieceCodes / 4 + 4));
      unpackCodes<3>(rows.data[r], w.rowBytes, column, count, bytes);
      source[r] = reinterpret_cast<const float *>(bytes);
    }
    return transposeRows(source, count / 4, reinterpret_cast<float *>(codes), panelWidth);
  }
  if (w.dtype == DType::Packed) {
    int64_t bits = w.packed.bits, wordCount = count * bits / 32;
    transposeWords(rows, column * bits / 32, wordCount, w.rowBytes, words);
    return bits == 2   ? splitWords<2>(words, wordCount, codes)
           : bits == 4 ? splitWords<4>(words, wordCount, codes)
                       : splitWords<8>(words, wordCount, codes);
  }
  BlockLayout layout = blockLayout(w.dtype);
  for (int64_t k = 0; k < count; k += 32, codes += 32 * panelWidth) {
    for (int r = 0; r < lanes; ++r)
      source[r] = reinterpret_cast<const float *>(rows.data[r] + (column + k) / 32 * layout.bytes +
                                                  layout.header);
    if (w.dtype == DType::Q8_0) {
      transposeRows(source, 8, words, lanes);
      for (int i = 0; i < 8; ++i) // signed codes, made unsigned with a zero point of 128
        storeInts(codes + i * panelWidth * 4,
                  loadInts(words + i * lanes) ^ int32_t(0x80808080));
      continue;
    }
    transposeRows(source, 4, words, lanes);
    for (int i = 0; i < 4; ++i) {
      IntVec word = loadInts(words + i * lanes);
      storeInts(codes + i * panelWidth * 4, word & 0x0f0f0f0f);
      storeInts(codes + (4 + i) * panelWidth * 4, word >> 4 & 0x0f0f0f0f);
    }
  }
}

void unpackPanel(const WeightMatrix &w, int64_t row, int64_t rowEnd, int64_t column, int64_t count,
                 float *words, uint8_t *codes) {
  for (int64_t at = 0; at < panelWidth; at += lanes) {
    LaneRows rows = laneRows(w, row + at, rowEnd);
    for (int64_t k = 0; k < count; k += pieceCodes)
      unpackLanes(w, rows, column + k, minimum(pieceCodes, count - k), words,
                  codes + k * panelWidth + at * 4);
  }
}

typedef uint32_t Fields2 __attribute__((vector_size(64)));
typedef uint32_t Fields4 __attribute__((vector_size(32)));
typedef uint32_t Fields8 __attribute__((vector_size(16)));

/// Zero points that lie in whole words: a panel's are the fields of a few words in each group's
/// column. Fields has a lane for each field of a word.
template <int bits, typename Fields>
COMPRESSC_INLINE void unpackZeros(const WeightMatrix &w, int64_t row, int64_t groups,
                                  int32_t *zeros) {
  constexpr int fields = 32 / bits;
  Fields shifts;
  for (int i = 0; i < fields; ++i)
    shifts[i] = uint32_t(i * bits);
  int64_t last = (w.rows - 1) * bits / 32;
  for (int64_t r = 0; r < panelWidth; r += fields) {
    const uint32_t *words = w.zeros + minimum((row + r) * bits / 32, last) * groups;
    for (int64_t g = 0; g < groups; ++g) {
      Fields zero = (Fields{} + loadAs<uint32_t>(words + g)) >> shifts & ((1u << bits) - 1);
      zero |= zero << 23; // as zeroPair
      __builtin_memcpy(zeros + g * panelWidth + r, &zero, sizeof zero);
    }
  }
}

/// Scales and zero points of a panel, all groups.
void unpackGroups(const WeightMatrix &w, int64_t row, int64_t rowEnd, int64_t groups, float *words,
                  const Panel &panel) {
  if (w.dtype != DType::Packed) {
    BlockLayout layout = blockLayout(w.dtype);
    for (int64_t r = 0; r < panelWidth; ++r) {
      const uint8_t *block =
          static_cast<const uint8_t *>(w.data) + minimum(row + r, rowEnd - 1) * w.rowBytes;
      for (int64_t g = 0; g < groups; ++g, block += layout.bytes) {
        panel.scales[g * panelWidth + r] = halfToFloat(loadAs<uint16_t>(block));
        panel.zeros[g * panelWidth + r] = zeroPair(layout.zero);
        if (w.dtype == DType::Q4_1)
          panel.minima[g * panelWidth + r] = halfToFloat(loadAs<uint16_t>(block + 2));
      }
    }
    return;
  }
  WeightMatrix scales;
  scales.dtype = w.packed.scaleType;
  scales.rows = w.rows;
  scales.columns = groups;
  scales.rowBytes = groups * (scales.dtype == DType::F32 ? 4 : 2);
  scales.data = w.scales;
  for (int64_t g = 0; g < groups; g += blockDepth)
    expandPanel(scales, row, rowEnd, g, minimum(blockDepth, groups - g), words,
                panel.scales + g * panelWidth);
  int bits = w.packed.bits;
  if (!w.zeros) {
    for (int64_t i = 0; i < groups * panelWidth; ++i)
      panel.zeros[i] = zeroPair(1u << (bits - 1));
  } else if (bits == 2 && panelWidth % 16 == 0) {
    unpackZeros<2, Fields2>(w, row, groups, panel.zeros);
  } else if (bits == 4) {
    unpackZeros<4, Fields4>(w, row, groups, panel.zeros);
  } else if (bits == 8) {
    unpackZeros<8, Fields8>(w, row, groups, panel.zeros);
  } else {
    for (int64_t r = 0; r < panelWidth; ++r)
      for (int64_t g = 0; g < groups; ++g)
        panel.zeros[g * panelWidth + r] =
            zeroPair(zeroAt(w, minimum(row + r, rowEnd - 1), g, groups));
  }
}

/// A tile of rows and the sums that belong to it.
struct Tile {
  Int8Rows x;     // from the first row of the tile
  int64_t column; // first of the chunk
  int64_t count;  // columns of the chunk
  float *sums;    // [rows][panelWidth]
};

/// What one group adds to a row's sums beside the products of its codes.
struct GroupColumns {
  IntVec zeros;
  Vec scales, minima;
};
struct GroupRow {
  IntVec sum;
  Vec scale, scaledSum;
};

template <bool minima> COMPRESSC_INLINE GroupColumns groupColumns(const Panel &panel, int64_t g, int half) {
  int64_t column = g * panelWidth + half * lanes;
  return {loadInts(panel.zeros + column), load(panel.scales + column), minima ? load(panel.minima + column) : zero()};
}
COMPRESSC_INLINE GroupRow groupRow(const Int8Rows &x, int64_t row, int64_t g) {
  int64_t at = row * x.groups + g;
  return {broadcastInt(x.sums[at]), broadcast(x.scales[at]), broadcast(x.scaledSums[at])};
}

/// A row's sums after one group more, whose codes' products are `dot`.
template <bool minima>
COMPRESSC_INLINE Vec addGroup(Vec sums, IntVec dot, const GroupColumns &columns, const GroupRow &row) {
  dot = dotPairs(dot, columns.zeros, row.sum);
  Vec value = fusedMultiplyAdd(mul(toFloat(dot), columns.scales), row.scale, sums);
  if constexpr (minima)
    value = fusedMultiplyAdd(columns.minima, row.scaledSum, value);
  return value;
}

/// sums += x * panelᵀ over a chunk. A few rows sum in several registers, to hide the latency.
template <int rows, bool wide, bool minima>
COMPRESSC_INLINE void multiplyChunk(const Tile &tile, const Panel &panel) {
  constexpr int chains = rows == 1 ? 4 : rows <= 3 ? 2 : 1;
  int64_t group = tile.x.format.group;
  for (int64_t k = 0; k < tile.count; k += group) {
    const int8_t *x = tile.x.codes + tile.column + k;
    const uint8_t *codes = panel.codes + k * panelWidth;
    IntVec acc[chains][rows][2] = {};
    for (int64_t i = 0; i < group; i += 4 * chains) {
#pragma GCC unroll 4
      for (int c = 0; c < chains; ++c) {
        IntVec a = loadInts(codes + (i + 4 * c) * panelWidth),
               b = loadInts(codes + (i + 4 * c) * panelWidth + lanes * 4);
#pragma GCC unroll 16
        for (int r = 0; r < rows; ++r) {
          IntVec value = broadcastInt(loadAs<int32_t>(x + r * tile.x.stride + i + 4 * c));
          acc[c][r][0] = dotQuads<wide>(acc[c][r][0], a, value);
          acc[c][r][1] = dotQuads<wide>(acc[c][r][1], b, value);
        }
      }
    }
    int64_t g = (tile.column + k) / group;
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      GroupRow row = groupRow(tile.x, r, g);
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        IntVec dot = acc[0][r][half];
#pragma GCC unroll 4
        for (int c = 1; c < chains; ++c)
          dot = dot + acc[c][r][half];
        float *out = tile.sums + r * panelWidth + half * lanes;
        store(out, addGroup<minima>(g == 0 ? zero() : load(out), dot, groupColumns<minima>(panel, g, half), row));
      }
    }
  }
}

#if COMPRESSC_ISA_LEVEL >= 5
/// Bytes of k in a tile register: whole groups are summed.
int tileDepth(int64_t group) { return group % 64 == 0 ? 64 : group % 48 == 0 ? 48 : group % 32 == 0 ? 32 : 16; }

/// multiplyChunk for 32 rows in tile registers. A group's products are on their way while those of the group
/// before are scaled.
template <bool minima> void multiplyChunkTiles(const Tile &tile, const Panel &panel) {
  constexpr int rows = 2 * tileSide;
  int64_t group = tile.x.format.group, stride = tile.x.stride, first = tile.column / group, depth = tileDepth(group);
  alignas(64) int32_t dots[2][rows * panelWidth];
  constexpr int64_t right = tileSide, below = tileSide * panelWidth;
  auto multiply = [&](int64_t k, int32_t *to) {
    const int8_t *x = tile.x.codes + tile.column + k;
    const uint8_t *codes = panel.codes + k * panelWidth;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t i = 0; i < group; i += depth) {
      _tile_loadd(4, x + i, stride);
      _tile_loadd(6, codes + i * panelWidth, panelWidth * 4);
      _tile_dpbsud(0, 4, 6);
      _tile_loadd(7, codes + i * panelWidth + tileSide * 4, panelWidth * 4);
      _tile_dpbsud(1, 4, 7);
      _tile_loadd(5, x + i + tileSide * stride, stride);
      _tile_dpbsud(2, 5, 6);
      _tile_dpbsud(3, 5, 7);
    }
    _tile_stored(0, to, panelWidth * 4);
    _tile_stored(1, to + right, panelWidth * 4);
    _tile_stored(2, to + below, panelWidth * 4);
    _tile_stored(3, to + below + right, panelWidth * 4);
  };
  auto finish = [&](int64_t g, const int32_t *from) {
    GroupColumns left = groupColumns<minima>(panel, g, 0), right = groupColumns<minima>(panel, g, 1);
    for (int r = 0; r < rows; ++r, from += panelWidth) {
      float *out = tile.sums + r * panelWidth;
      GroupRow row = groupRow(tile.x, r, g);
      Vec a = zero(), b = zero();
      if (g > 0) {
        a = load(out);
        b = load(out + lanes);
      }
      store(out, addGroup<minima>(a, loadInts(from), left, row));
      store(out + lanes, addGroup<minima>(b, loadInts(from + lanes), right, row));
    }
  };
  finishStores();
  int64_t groups = tile.count / group;
  multiply(0, dots[0]);
  for (int64_t g = 1; g < groups; ++g) {
    multiply(g * group, dots[g % 2]);
    finish(first + g - 1, dots[(g - 1) % 2]);
  }
  finish(first + groups - 1, dots[(groups - 1) % 2]);
}
#endif

template <bool wide, bool minima>
__attribute__((noinline)) void multiplyRows(const Tile &first, int64_t rows, const Panel &panel) {
  int64_t r = 0;
#if COMPRESSC_ISA_LEVEL >= 5
  for (; r + 2 * tileSide <= rows; r += 2 * tileSide) {
    Tile tile = first;
    tile.x = first.x.from(r);
    tile.sums += r * panelWidth;
    multiplyChunkTiles<minima>(tile, panel);
  }
#endif
  for (; r < rows; r += int8TileRows) {
    Tile tile = first;
    tile.x = first.x.from(r);
    tile.sums += r * panelWidth;
    withTileRows<int8TileRows>(rows - r,
                               [&]<int count>() { multiplyChunk<count, wide, minima>(tile, panel); });
  }
}

} // namespace

/// The largest of lanes from 0 on.
COMPRESSC_INLINE int32_t largestLane(IntVec v) {
#if COMPRESSC_ISA_LEVEL >= 2
  return _mm512_reduce_max_epi32((__m512i)v);
#else
  int32_t largest = 0;
  for (int i = 0; i < lanes; ++i)
    largest = v[i] > largest ? v[i] : largest;
  return largest;
#endif
}

COMPRESSC_INLINE int32_t sumLanes(IntVec v) {
#if COMPRESSC_ISA_LEVEL >= 2
  return _mm512_reduce_add_epi32((__m512i)v);
#else
  int32_t sum = 0;
  for (int i = 0; i < lanes; ++i)
    sum += v[i];
  return sum;
#endif
}

/// The lanes, all within 8 bits, as bytes.
COMPRESSC_INLINE void toBytes(IntVec v, int8_t *bytes) {
#if COMPRESSC_ISA_LEVEL >= 2
  _mm_storeu_si128(reinterpret_cast<__m128i *>(bytes), _mm512_cvtepi32_epi8((__m512i)v));
#else
  for (int i = 0; i < lanes; ++i)
    bytes[i] = int8_t(v[i]);
#endif
}

void quantizeRow(const float *x, int64_t columns, int64_t row, const Int8Rows &to) {
  typedef int8_t Bytes __attribute__((vector_size(16)));
  Int8Rows out = to.from(row);
  int64_t group = out.format.group;
  for (int64_t g = 0; g < out.groups; ++g, x += group) {
    // Compared as integers, so that NaN is larger than all.
    IntVec most = {};
    for (int64_t i = 0; i < group; i += lanes) {
      IntVec size = loadInts(x + i) & 0x7fffffff;
      most = size > most ? size : most;
    }
    int32_t largest = largestLane(most);
    float limit = loadAs<float>(&largest);
    bool finite = largest < 0x7f800000, tiny = limit < 1e-30f;
    Vec inverse = broadcast(finite && !tiny ? 127.0f / limit : 0.0f);

    int8_t *codes = out.codes + g * group;
    IntVec sums = {};
    for (int64_t i = 0; i < group && finite; i += 16) {
      Bytes bytes;
      for (int j = 0; j < 16; j += lanes) {
        IntVec whole = __builtin_convertvector(roundEven(mul(load(x + i + j), inverse)), IntVec);
        sums += whole;
        toBytes(whole, reinterpret_cast<int8_t *>(&bytes) + j);
      }
      if (out.format.step == 2)
        bytes = __builtin_shufflevector(bytes, bytes, 0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11,
                                        13, 15);
      else if (out.format.step == 4)
        bytes = __builtin_shufflevector(bytes, bytes, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7,
                                        11, 15);
      __builtin_memcpy(codes + i, &bytes, 16);
    }
    if (!finite)
      __builtin_memset(codes, 0, size_t(group));
    int32_t sum = sumLanes(sums);
    float scale = finite ? tiny ? 0.0f : limit / 127.0f : __builtin_nanf("");
    out.scales[g] = scale;
    out.scaledSums[g] = scale * float(sum);
    out.sums[g] = int32_t(uint32_t(-(sum & 127)) & 0xffff) | int32_t(uint32_t(-(sum >> 7)) << 16);
  }
}

int64_t int8ScratchFloats(int64_t rows, int64_t depth, int64_t group) {
  int64_t chunk = minimum(chunkDepth(rows, group), depth), groups = roundUp(depth / group, 4);
  return wordsFloats + chunk / 4 * panelWidth + (3 * groups + rows) * panelWidth;
}

void int8Block(const Int8Block &block, float *scratch) {
  const WeightMatrix &w = *block.w;
  int64_t group = block.x.format.group, groups = roundUp(block.x.groups, 4);
  int64_t chunk = minimum(chunkDepth(block.rows, group), block.depth);
  float *words = scratch;
  Panel panel;
  panel.codes = reinterpret_cast<uint8_t *>(words + wordsFloats);
  panel.scales = words + wordsFloats + chunk / 4 * panelWidth;
  panel.minima = panel.scales + groups * panelWidth;
  panel.zeros = reinterpret_cast<int32_t *>(panel.minima + groups * panelWidth);
  float *sums = panel.minima + 2 * groups * panelWidth;
#if COMPRESSC_ISA_LEVEL >= 5
  Tiles tiles(tileDepth(group));
#endif
  bool wide = w.dtype == DType::Q8_0 || (w.dtype == DType::Packed && w.packed.bits == 8);

  for (int64_t row = block.columnBegin; row < block.columnEnd; row += panelWidth) {
    unpackGroups(w, row, block.columnEnd, block.x.groups, words, panel);
    for (int64_t k = 0; k < block.depth; k += chunk) {
      int64_t count = minimum(chunk, block.depth - k);
      unpackPanel(w, row, block.columnEnd, k, count, words, panel.codes);
      prefetchRows(w, row + panelWidth, minimum(row + 2 * panelWidth, block.columnEnd), k, count);
      Tile tile{block.x, k, count, sums};
      if (wide)
        multiplyRows<true, false>(tile, block.rows, panel);
      else if (w.dtype == DType::Q4_1)
        multiplyRows<false, true>(tile, block.rows, panel);
      else
        multiplyRows<false, false>(tile, block.rows, panel);
    }
    int64_t n = row - block.columnBegin, columns = minimum(panelWidth, block.columnEnd - row);
    for (int64_t r = 0; r < block.rows; ++r)
      finishRow(block.epilogue, r, n, columns, load(sums + r * panelWidth),
                load(sums + r * panelWidth + lanes), block.out + r * block.ldo + n);
  }
}

} // namespace compressc::COMPRESSC_ISA
