// Reading the codes, scales and zero points of weights as checkpoints store them.
#pragma once

#include "functions.h"
#include "simd.h"

namespace compressc::COMPRESSC_ISA {

/// 8 codes of `bits` bits from the low bits of `word`, one in each byte.
COMPRESSC_INLINE uint64_t spreadCodes(uint64_t word, int bits) {
#if COMPRESSC_ISA_LEVEL >= 1
  return _pdep_u64(word, 0x0101010101010101u * ((1u << bits) - 1));
#else
  auto mask = [](int width, int step) {
    uint64_t one = (uint64_t(1) << width) - 1, all = 0;
    for (int at = 0; at < 64; at += step)
      all |= one << at;
    return all;
  };
  word = (word | word << (32 - 4 * bits)) & mask(4 * bits, 32);
  word = (word | word << (16 - 2 * bits)) & mask(2 * bits, 16);
  return (word | word << (8 - bits)) & mask(bits, 8);
#endif
}

/// Codes [column, column + count) of a packed row as bytes; `bytes` has room for 8 more.
template <int bits>
COMPRESSC_INLINE void unpackCodes(const uint8_t *row, int64_t rowBytes, int64_t column,
                                  int64_t count, uint8_t *bytes) {
  for (int64_t i = 0; i < count; i += 8) {
    int64_t at = (column + i) / 8 * bits, left = rowBytes - at;
    uint64_t word = 0;
    if (left >= 8)
      word = loadAs<uint64_t>(row + at);
    else
      __builtin_memcpy(&word, row + at, size_t(left));
    word = spreadCodes(word & ((uint64_t(1) << (8 * bits)) - 1), bits);
    __builtin_memcpy(bytes + i, &word, 8);
  }
}

COMPRESSC_INLINE float plainAt(const void *data, DType dtype, int64_t index) {
  const char *bytes = static_cast<const char *>(data);
  if (dtype == DType::F16)
    return halfToFloat(loadAs<uint16_t>(bytes + index * 2));
  if (dtype == DType::BF16)
    return bfloat16ToFloat(loadAs<uint16_t>(bytes + index * 2));
  return loadAs<float>(bytes + index * 4);
}

COMPRESSC_INLINE uint32_t zeroAt(const WeightMatrix &w, int64_t row, int64_t group,
                                 int64_t groups) {
  int bits = w.packed.bits;
  if (!w.zeros)
    return 1u << (bits - 1);
  int64_t bit = row * bits, word = bit / 32;
  int shift = int(bit % 32);
  const char *zeros = reinterpret_cast<const char *>(w.zeros) + group * 4;
  uint64_t pair = loadAs<uint32_t>(zeros + word * groups * 4);
  if (shift + bits > 32)
    pair |= uint64_t(loadAs<uint32_t>(zeros + (word + 1) * groups * 4)) << 32;
  return uint32_t(pair >> shift) & ((1u << bits) - 1);
}

/// Some rows of a weight, one for each lane.
struct LaneRows {
  const uint8_t *data[lanes];
  int64_t row[lanes];
};

/// Rows [row, row + lanes); those past rowEnd repeat the last one.
COMPRESSC_INLINE LaneRows laneRows(const WeightMatrix &w, int64_t row, int64_t rowEnd) {
  LaneRows rows;
  for (int r = 0; r < lanes; ++r) {
    rows.row[r] = minimum(row + r, rowEnd - 1);
    rows.data[r] = static_cast<const uint8_t *>(w.data) + rows.row[r] * w.rowBytes;
  }
  return rows;
}

/// words[i * lanes + r] = 32-bit word `first` + i of row r, for `count` words; what lies past the
/// row's end is zero. Reads in groups of four: where that would pass the end, from a copy.
COMPRESSC_INLINE void transposeWords(const LaneRows &rows, int64_t first, int64_t count,
                                     int64_t rowBytes, float *words) {
  const float *source[lanes];
  uint32_t copy[lanes][4] = {};
  int64_t whole = minimum(count, rowBytes / 4 - first) / 4 * 4;
  for (int r = 0; r < lanes; ++r)
    source[r] = reinterpret_cast<const float *>(rows.data[r] + first * 4);
  transposeRows(source, whole, words, lanes);
  if (whole == count)
    return;
  for (int r = 0; r < lanes; ++r) {
    int64_t at = (first + whole) * 4;
    __builtin_memcpy(copy[r], rows.data[r] + at,
                     size_t(minimum((count - whole) * 4, rowBytes - at)));
    source[r] = reinterpret_cast<const float *>(copy[r]);
  }
  transposeRows(source, 4, words + whole * lanes, lanes);
}

/// GGUF's blocks of 32 codes: their bytes, what stands before the codes, and the zero point.
struct BlockLayout {
  int64_t bytes, header;
  uint32_t zero;
};
COMPRESSC_INLINE BlockLayout blockLayout(DType dtype) {
  if (dtype == DType::Q4_0)
    return {18, 2, 8};
  if (dtype == DType::Q4_1)
    return {20, 4, 0};
  return {34, 2, 128};
}

/// Asks for columns [column, column + count) of the rows [row, rowEnd): each row's are far from the
/// next one's, so the hardware does not foresee them.
COMPRESSC_INLINE void prefetchRows(const WeightMatrix &w, int64_t row, int64_t rowEnd, int64_t column,
                  int64_t count) {
  int64_t begin = column * w.rowBytes / w.columns, end = (column + count) * w.rowBytes / w.columns;
  for (; row < rowEnd; ++row) {
    const char *data = static_cast<const char *>(w.data) + row * w.rowBytes;
    for (int64_t at = begin; at < end; at += 64)
      __builtin_prefetch(data + at);
  }
}

} // namespace compressc::COMPRESSC_ISA
