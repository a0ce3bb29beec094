// Weights of every type as fp32: rows, and the panels that the register tile reads.
#include "codes.h"
#include "tile.h"

namespace compressc::COMPRESSC_ISA {
namespace {

template <typename Load, typename Scalar>
COMPRESSC_INLINE void convertRow(int64_t count, float *out, Load loadVec, Scalar loadOne) {
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes)
    store(out + i, loadVec(i));
  for (; i < count; ++i)
    out[i] = loadOne(i);
}

/// out = scale * (code - zero): the difference is exact, so there is one rounding.
COMPRESSC_INLINE void scaleCodes(const uint8_t *codes, int64_t count, float zeroPoint, float scale,
                                 float *out) {
  Vec z = broadcast(zeroPoint), s = broadcast(scale);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes)
    store(out + i, mul(sub(loadUnsigned8(codes + i), z), s));
  for (; i < count; ++i)
    out[i] = (float(codes[i]) - zeroPoint) * scale;
}

#if COMPRESSC_ISA_LEVEL >= 1
/// The same for 4-bit codes as they are packed, in sixteens: each lane shifts its code out of a word.
COMPRESSC_INLINE void scaleNibbles(const uint8_t *codes, int64_t count, float zeroPoint,
                                   float scale, float *out) {
#if COMPRESSC_ISA_LEVEL >= 2
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i word = _mm512_srli_epi32(lane, 3);
  const __m512i shift = _mm512_slli_epi32(_mm512_and_si512(lane, _mm512_set1_epi32(7)), 2);
  // A group has 16 values: the codes look them up, by their four low bits.
  Vec values = mul(sub(_mm512_cvtepi32_ps(lane), broadcast(zeroPoint)), broadcast(scale));
  for (int64_t i = 0; i < count; i += 16) {
    __m512i pair = _mm512_set1_epi64(loadAs<int64_t>(codes + i / 2));
    __m512i code = _mm512_srlv_epi32(_mm512_permutexvar_epi32(word, pair), shift);
    store(out + i, _mm512_permutexvar_ps(code, values));
  }
#else
  const __m256i shift = _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28);
  Vec z = broadcast(zeroPoint), s = broadcast(scale);
  for (int64_t i = 0; i < count; i += 8) {
    __m256i word = _mm256_set1_epi32(loadAs<int32_t>(codes + i / 2));
    IntVec code = (IntVec)_mm256_srlv_epi32(word, shift) & 15;
    store(out + i, mul(sub(toFloat(code), z), s));
  }
#endif
}

/// 4-bit codes in groups of whole sixteens: scales and zero points of many groups are read together.
void expandNibbleGroups(const WeightMatrix &w, int64_t row, int64_t column, int64_t count,
                        float *out) {
  constexpr int64_t most = 48;
  float scales[most], zeros[most];
  int64_t group = w.packed.group, groups = w.columns / group;
  const uint8_t *codes = static_cast<const uint8_t *>(w.data) + row * w.rowBytes + column / 2;
  for (int64_t i = 0; i < count;) {
    int64_t first = (column + i) / group;
    int64_t many = minimum(most, (column + count - 1) / group - first + 1);
    const void *from = w.scales;
    int64_t at = row * groups + first;
    if (w.packed.scaleType == DType::F16)
      convertRow(
          many, scales,
          [=](int64_t g) { return loadHalf(static_cast<const uint16_t *>(from) + at + g); },
          [=](int64_t g) { return plainAt(from, DType::F16, at + g); });
    else
      for (int64_t g = 0; g < many; ++g)
        scales[g] = plainAt(from, w.packed.scaleType, at + g);
    const uint32_t *words = w.zeros ? w.zeros + row / 8 * groups + first : nullptr;
    for (int64_t g = 0; g < many; ++g)
      zeros[g] = words ? float(loadAs<uint32_t>(words + g) >> (row % 8 * 4) & 15) : 8.0f;
    for (int64_t g = 0; g < many; ++g) {
      int64_t end = minimum(count, (first + g + 1) * group - column);
      scaleNibbles(codes + i / 2, end - i, zeros[g], scales[g], out + i);
      i = end;
    }
  }
}
#endif

void expandPacked(const WeightMatrix &w, int64_t row, int64_t column, int64_t count, float *out) {
  const uint8_t *codes = static_cast<const uint8_t *>(w.data) + row * w.rowBytes;
  int64_t groups = w.columns / w.packed.group;
#if COMPRESSC_ISA_LEVEL >= 1
  if (w.packed.bits == 4 && w.packed.group % 16 == 0 && count % 16 == 0)
    return expandNibbleGroups(w, row, column, count, out);
#endif
  uint8_t bytes[blockDepth + 8];
  for (int64_t done = 0; done < count; done += blockDepth) {
    int64_t n = minimum(blockDepth, count - done), first = column + done;
    const uint8_t *block = bytes;
    switch (w.packed.bits) {
    case 2:
      unpackCodes<2>(codes, w.rowBytes, first, n, bytes);
      break;
    case 3:
      unpackCodes<3>(codes, w.rowBytes, first, n, bytes);
      break;
    case 4:
      unpackCodes<4>(codes, w.rowBytes, first, n, bytes);
      break;
    default:
      block = codes + first;
    }
    for (int64_t i = 0; i < n;) {
      int64_t group = (first + i) / w.packed.group;
      int64_t end = minimum(n, (group + 1) * w.packed.group - first);
      float scale = plainAt(w.scales, w.packed.scaleType, row * groups + group);
      scaleCodes(block + i, end - i, float(zeroAt(w, row, group, groups)), scale, out + done + i);
      i = end;
    }
  }
}

/// GGUF's 4-bit blocks: 32 codes in 16 bytes, the first half in the low nibbles.
template <int headerBytes, typename Decode>
COMPRESSC_INLINE void expandNibbles(const uint8_t *block, int64_t count, float *out,
                                    Decode decode) {
  for (int64_t i = 0; i < count; i += 32, block += headerBytes + 16) {
    uint8_t bytes[32];
    for (int j = 0; j < 16; ++j) {
      bytes[j] = block[headerBytes + j] & 15;
      bytes[16 + j] = block[headerBytes + j] >> 4;
    }
    for (int j = 0; j < 32; j += lanes)
      store(out + i + j, decode(block, loadUnsigned8(bytes + j)));
  }
}

/// The same with the codes' fifth bits in the word before the low four.
template <int headerBytes, typename Decode>
COMPRESSC_INLINE void expandFiveBits(const uint8_t *block, int64_t count, float *out,
                                     Decode decode) {
  for (int64_t i = 0; i < count; i += 32, block += headerBytes + 20) {
    const uint8_t *low = block + headerBytes + 4;
    uint32_t high = loadAs<uint32_t>(block + headerBytes);
    uint8_t bytes[32];
    for (int j = 0; j < 16; ++j) {
      bytes[j] = (low[j] & 15) | (high >> j & 1) << 4;
      bytes[16 + j] = low[j] >> 4 | (high >> (16 + j) & 1) << 4;
    }
    for (int j = 0; j < 32; j += lanes)
      store(out + i + j, decode(block, loadUnsigned8(bytes + j)));
  }
}

/// GGUF's blocks of 256 codes, 32 at a time: `expand` takes the block and which of its eight parts.
template <int blockBytes, typename Expand>
COMPRESSC_INLINE void expandParts(const uint8_t *row, int64_t column, int64_t count, float *out,
                                  Expand expand) {
  for (int64_t i = 0; i < count; i += 32)
    expand(row + (column + i) / 256 * blockBytes, int((column + i) / 32 % 8), out + i);
}

/// Q4_K and Q5_K: d, dmin and the parts' eight pairs of 6-bit factors in 12 bytes; then Q5_K has the
/// fifth bits, part p's in bit p; then the low four bits, two parts sharing 32 bytes. No product needs
/// more than fp32's 24 bits, so only the difference rounds.
template <bool five>
COMPRESSC_INLINE void expandQ45K(const uint8_t *block, int part, float *out) {
  const uint8_t *factors = block + 4, *low = block + (five ? 48 : 16) + part / 2 * 32;
  int scale, offset;
  if (part < 4) {
    scale = factors[part] & 63;
    offset = factors[part + 4] & 63;
  } else {
    scale = (factors[part + 4] & 15) | factors[part - 4] >> 6 << 4;
    offset = factors[part + 4] >> 4 | factors[part] >> 6 << 4;
  }
  Vec d = broadcast(halfToFloat(loadAs<uint16_t>(block)) * float(scale));
  Vec m = broadcast(halfToFloat(loadAs<uint16_t>(block + 2)) * float(offset));
  int shift = part % 2 * 4;
  uint8_t codes[32];
  for (int j = 0; j < 32; ++j)
    codes[j] = (low[j] >> shift & 15) | (five ? (block[16 + j] >> part & 1) << 4 : 0);
  for (int j = 0; j < 32; j += lanes)
    store(out + j, sub(mul(d, loadUnsigned8(codes + j)), m));
}

/// Q6_K: four low bits, two high bits, a signed factor for every 16 codes, and d at the end. Four parts
/// share 64 bytes of low bits (the first two in the low nibbles) and 32 of high bits.
COMPRESSC_INLINE void expandQ6K(const uint8_t *block, int part, float *out) {
  int half = part / 4, quarter = part % 4;
  const uint8_t *low = block + 64 * half + quarter % 2 * 32, *high = block + 128 + 32 * half;
  float d = halfToFloat(loadAs<uint16_t>(block + 208));
  int shift = quarter / 2 * 4;
  int8_t codes[32];
  for (int j = 0; j < 32; ++j)
    codes[j] = int8_t(((low[j] >> shift & 15) | (high[j] >> 2 * quarter & 3) << 4) - 32);
  for (int j = 0; j < 32; j += lanes) {
    float scale = d * float(int8_t(block[192 + 2 * part + j / 16]));
    store(out + j, mul(broadcast(scale), loadSigned8(codes + j)));
  }
}

void expandQ8(const uint8_t *block, int64_t count, float *out) {
  for (int64_t i = 0; i < count; i += 32, block += 34) {
    Vec d = broadcast(halfToFloat(loadAs<uint16_t>(block)));
    for (int j = 0; j < 32; j += lanes)
      store(out + i + j, mul(d, loadSigned8(reinterpret_cast<const int8_t *>(block + 2 + j))));
  }
}

} // namespace

void expandRow(const WeightMatrix &w, int64_t row, int64_t column, int64_t count, float *out) {
  const uint8_t *data = static_cast<const uint8_t *>(w.data) + row * w.rowBytes;
  const uint8_t *block;
  switch (w.dtype) {
  case DType::F16: {
    const uint16_t *half = reinterpret_cast<const uint16_t *>(data) + column;
    return convertRow(
        count, out, [=](int64_t i) { return loadHalf(half + i); },
        [=](int64_t i) { return halfToFloat(loadAs<uint16_t>(half + i)); });
  }
  case DType::BF16: {
    const uint16_t *half = reinterpret_cast<const uint16_t *>(data) + column;
    return convertRow(
        count, out, [=](int64_t i) { return loadBFloat16(half + i); },
        [=](int64_t i) { return bfloat16ToFloat(loadAs<uint16_t>(half + i)); });
  }
  case DType::Packed:
    return expandPacked(w, row, column, count, out);
  case DType::Q4_0:
    block = data + column / 32 * 18;
    return expandNibbles<2>(block, count, out, [](const uint8_t *block, Vec codes) {
      return mul(broadcast(halfToFloat(loadAs<uint16_t>(block))), sub(codes, broadcast(8.0f)));
    });
  case DType::Q4_1:
    block = data + column / 32 * 20;
    return expandNibbles<4>(block, count, out, [](const uint8_t *block, Vec codes) {
      Vec d = broadcast(halfToFloat(loadAs<uint16_t>(block)));
      return add(mul(d, codes), broadcast(halfToFloat(loadAs<uint16_t>(block + 2))));
    });
  case DType::Q8_0:
    return expandQ8(data + column / 32 * 34, count, out);
  case DType::Q5_0:
    block = data + column / 32 * 22;
    return expandFiveBits<2>(block, count, out, [](const uint8_t *block, Vec codes) {
      return mul(broadcast(halfToFloat(loadAs<uint16_t>(block))), sub(codes, broadcast(16.0f)));
    });
  case DType::Q5_1:
    block = data + column / 32 * 24;
    return expandFiveBits<4>(block, count, out, [](const uint8_t *block, Vec codes) {
      Vec d = broadcast(halfToFloat(loadAs<uint16_t>(block)));
      return add(mul(d, codes), broadcast(halfToFloat(loadAs<uint16_t>(block + 2))));
    });
  case DType::Q4_K:
    return expandParts<144>(data, column, count, out, expandQ45K<false>);
  case DType::Q5_K:
    return expandParts<176>(data, column, count, out, expandQ45K<true>);
  case DType::Q6_K:
    return expandParts<210>(data, column, count, out, expandQ6K);
  default:
    __builtin_memcpy(out, data + column * 4, size_t(count) * 4);
  }
}

namespace {

/// Packed codes: the rows' words are transposed, which moves up to 16 codes at a time, and then
/// split.
template <int bits>
void expandCodes(const WeightMatrix &w, const LaneRows &rows, int64_t column, int64_t count,
                 float *words, float *out) {
  constexpr int chunkWords = bits == 3 ? 3 : 1, chunk = 32 * chunkWords / bits;
  transposeWords(rows, column * bits / 32, count * bits / 32, w.rowBytes, words);
  int64_t groups = w.columns / w.packed.group;
  for (int64_t k = 0; k < count;) {
    int64_t group = (column + k) / w.packed.group;
    int64_t end = minimum(count, (group + 1) * w.packed.group - column);
    float scales[lanes], zeros[lanes];
    for (int r = 0; r < lanes; ++r) {
      scales[r] = plainAt(w.scales, w.packed.scaleType, rows.row[r] * groups + group);
      zeros[r] = float(zeroAt(w, rows.row[r], group, groups));
    }
    Vec scale = load(scales), zeroPoint = load(zeros);
    for (; k < end; k += chunk, words += chunkWords * lanes) {
      IntVec word[chunkWords + 1] = {};
      for (int i = 0; i < chunkWords; ++i)
        word[i] = loadInts(words + i * lanes);
#pragma GCC unroll 32
      for (int j = 0; j < chunk; ++j) {
        constexpr int mask = (1 << bits) - 1;
        int at = j * bits / 32, shift = j * bits % 32;
        IntVec code = word[at] >> shift;
        if (shift + bits > 32) // the top bits come from the next word; clear the copies of the sign
          code = (code & ((1 << (32 - shift)) - 1)) | (word[at + 1] << (32 - shift));
        store(out + (k + j) * panelWidth, mul(sub(toFloat(code & mask), zeroPoint), scale));
      }
    }
  }
}

/// 16-bit floats: pairs of them are transposed as words. An odd count writes one more.
template <bool half>
void expandPairs(const WeightMatrix &w, const LaneRows &rows, int64_t column, int64_t count,
                 float *words, float *out) {
  transposeWords(rows, column / 2, (count + 1) / 2, w.rowBytes, words);
  for (int64_t k = 0; k < count; k += 2) {
    IntVec pairs = loadInts(words + k / 2 * lanes);
    Vec low, high;
    if constexpr (half) {
      splitHalves(pairs, low, high);
    } else {
      low = asFloat(pairs << 16);
      high = asFloat(pairs & int32_t(0xffff0000));
    }
    store(out + k * panelWidth, low);
    store(out + (k + 1) * panelWidth, high);
  }
}

/// One lane's worth of rows of a panel, by the fastest way that their type and size allow.
COMPRESSC_INLINE void expandLanes(const WeightMatrix &w, const LaneRows &rows, int64_t column,
                                  int64_t count, float *scratch, float *out) {
  int64_t group = w.packed.group;
  if (w.dtype == DType::F16)
    return expandPairs<true>(w, rows, column, count, scratch, out);
  if (w.dtype == DType::BF16)
    return expandPairs<false>(w, rows, column, count, scratch, out);
  if (w.dtype == DType::Packed && w.packed.bits == 2 && group % 16 == 0)
    return expandCodes<2>(w, rows, column, count, scratch, out);
  if (w.dtype == DType::Packed && w.packed.bits == 3 && group % 32 == 0)
    return expandCodes<3>(w, rows, column, count, scratch, out);
  if (w.dtype == DType::Packed && w.packed.bits == 4 && group % 8 == 0)
    return expandCodes<4>(w, rows, column, count, scratch, out);
  if (w.dtype == DType::Packed && w.packed.bits == 8 && group % 4 == 0)
    return expandCodes<8>(w, rows, column, count, scratch, out);

  const float *source[lanes];
  for (int r = 0; r < lanes; ++r) {
    source[r] = reinterpret_cast<const float *>(rows.data[r]) + column;
    if (w.dtype == DType::F32 && count % 4 == 0)
      continue;
    expandRow(w, rows.row[r], column, count, scratch + r * blockDepth);
    source[r] = scratch + r * blockDepth;
  }
  transposeRows(source, count, out, panelWidth);
}

} // namespace

void expandPanel(const WeightMatrix &w, int64_t row, int64_t rowEnd, int64_t column, int64_t count,
                 float *scratch, float *panel) {
  for (int64_t at = 0; at < panelWidth; at += lanes)
    expandLanes(w, laneRows(w, row + at, rowEnd), column, count, scratch, panel + at);
}

} // namespace compressc::COMPRESSC_ISA
