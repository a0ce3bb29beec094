// One vector type for every instruction set. Included by the files of this directory only.
#pragma once

#include <cstdint>
#include <cstring>

#if COMPRESSC_ISA_LEVEL >= 1
#include <immintrin.h>
#endif

#define COMPRESSC_INLINE static inline __attribute__((always_inline))

namespace compressc::COMPRESSC_ISA {

COMPRESSC_INLINE int64_t minimum(int64_t a, int64_t b) { return a < b ? a : b; }
COMPRESSC_INLINE int64_t maximum(int64_t a, int64_t b) { return a > b ? a : b; }

template <typename T> COMPRESSC_INLINE T loadAs(const void *p) {
  T value;
  __builtin_memcpy(&value, p, sizeof value);
  return value;
}

#if COMPRESSC_ISA_LEVEL >= 2

constexpr int lanes = 16;
using Vec = __m512;
typedef int32_t IntVec __attribute__((vector_size(64)));

COMPRESSC_INLINE Vec load(const float *p) { return _mm512_loadu_ps(p); }
COMPRESSC_INLINE void store(float *p, Vec v) { _mm512_storeu_ps(p, v); }
COMPRESSC_INLINE __mmask16 firstLanes(int64_t n) { return __mmask16((1u << n) - 1); }
/// The first n < lanes elements; the others are zero.
COMPRESSC_INLINE Vec loadFirst(const float *p, int64_t n) {
  return _mm512_maskz_loadu_ps(firstLanes(n), p);
}
COMPRESSC_INLINE void storeFirst(float *p, int64_t n, Vec v) {
  _mm512_mask_storeu_ps(p, firstLanes(n), v);
}
COMPRESSC_INLINE Vec broadcast(float x) { return _mm512_set1_ps(x); }
COMPRESSC_INLINE Vec add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
COMPRESSC_INLINE Vec sub(Vec a, Vec b) { return _mm512_sub_ps(a, b); }
COMPRESSC_INLINE Vec mul(Vec a, Vec b) { return _mm512_mul_ps(a, b); }
COMPRESSC_INLINE Vec div(Vec a, Vec b) { return _mm512_div_ps(a, b); }
COMPRESSC_INLINE Vec max(Vec a, Vec b) { return _mm512_max_ps(a, b); }
COMPRESSC_INLINE Vec min(Vec a, Vec b) { return _mm512_min_ps(a, b); }
/// a * b + c
COMPRESSC_INLINE Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
COMPRESSC_INLINE Vec roundEven(Vec a) {
  return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/// v where test >= limit, zero elsewhere.
COMPRESSC_INLINE Vec zeroBelow(Vec v, Vec test, Vec limit) {
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(test, limit, _CMP_GE_OQ), v);
}
/// v * 2^n for a whole n in [-126, 127].
COMPRESSC_INLINE Vec scalePowerOfTwo(Vec v, Vec n) {
  return _mm512_scalef_ps(v, n);
}
COMPRESSC_INLINE float sum(Vec v) { return _mm512_reduce_add_ps(v); }
COMPRESSC_INLINE float largest(Vec v) { return _mm512_reduce_max_ps(v); }
COMPRESSC_INLINE Vec loadHalf(const uint16_t *p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(p)));
}
COMPRESSC_INLINE Vec loadBFloat16(const uint16_t *p) {
  __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(p)));
  return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
COMPRESSC_INLINE Vec loadUnsigned8(const uint8_t *p) {
  return _mm512_cvtepi32_ps(
      _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(p))));
}
COMPRESSC_INLINE Vec loadSigned8(const int8_t *p) {
  return _mm512_cvtepi32_ps(
      _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(p))));
}
COMPRESSC_INLINE float halfToFloat(uint16_t bits) { return _cvtsh_ss(bits); }
/// fp16 pairs: the low halves of the words and the high ones.
COMPRESSC_INLINE void splitHalves(IntVec pairs, Vec &low, Vec &high) {
  const __m512i order = _mm512_set_epi16(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1,
                                         30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
  __m512i sorted = _mm512_permutexvar_epi16(order, (__m512i)pairs);
  low = _mm512_cvtph_ps(_mm512_castsi512_si256(sorted));
  high = _mm512_cvtph_ps(_mm512_extracti64x4_epi64(sorted, 1));
}

/// One element of each of the 4 vectors' 128-bit lanes after the other: a 4x4 transpose in each
/// lane.
COMPRESSC_INLINE void transposeQuads(Vec &a, Vec &b, Vec &c, Vec &d) {
  __m512d ab0 = _mm512_castps_pd(_mm512_unpacklo_ps(a, b)),
          ab1 = _mm512_castps_pd(_mm512_unpackhi_ps(a, b));
  __m512d cd0 = _mm512_castps_pd(_mm512_unpacklo_ps(c, d)),
          cd1 = _mm512_castps_pd(_mm512_unpackhi_ps(c, d));
  a = _mm512_castpd_ps(_mm512_unpacklo_pd(ab0, cd0));
  b = _mm512_castpd_ps(_mm512_unpackhi_pd(ab0, cd0));
  c = _mm512_castpd_ps(_mm512_unpacklo_pd(ab1, cd1));
  d = _mm512_castpd_ps(_mm512_unpackhi_pd(ab1, cd1));
}
/// Elements [k, k+4) of rows i, 4+i, 8+i and 12+i: after transposeQuads the rows are in order.
COMPRESSC_INLINE Vec loadQuads(const float *const *rows, int64_t i, int64_t k) {
  __m512 v = _mm512_castps128_ps512(_mm_loadu_ps(rows[i] + k));
  v = _mm512_insertf32x4(v, _mm_loadu_ps(rows[4 + i] + k), 1);
  v = _mm512_insertf32x4(v, _mm_loadu_ps(rows[8 + i] + k), 2);
  return _mm512_insertf32x4(v, _mm_loadu_ps(rows[12 + i] + k), 3);
}

#elif COMPRESSC_ISA_LEVEL == 1

constexpr int lanes = 8;
using Vec = __m256;
typedef int32_t IntVec __attribute__((vector_size(32)));

COMPRESSC_INLINE Vec load(const float *p) { return _mm256_loadu_ps(p); }
COMPRESSC_INLINE void store(float *p, Vec v) { _mm256_storeu_ps(p, v); }
COMPRESSC_INLINE __m256i firstLanes(int64_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(int(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
COMPRESSC_INLINE Vec loadFirst(const float *p, int64_t n) {
  return _mm256_maskload_ps(p, firstLanes(n));
}
COMPRESSC_INLINE void storeFirst(float *p, int64_t n, Vec v) {
  _mm256_maskstore_ps(p, firstLanes(n), v);
}
COMPRESSC_INLINE Vec broadcast(float x) { return _mm256_set1_ps(x); }
COMPRESSC_INLINE Vec add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
COMPRESSC_INLINE Vec sub(Vec a, Vec b) { return _mm256_sub_ps(a, b); }
COMPRESSC_INLINE Vec mul(Vec a, Vec b) { return _mm256_mul_ps(a, b); }
COMPRESSC_INLINE Vec div(Vec a, Vec b) { return _mm256_div_ps(a, b); }
COMPRESSC_INLINE Vec max(Vec a, Vec b) { return _mm256_max_ps(a, b); }
COMPRESSC_INLINE Vec min(Vec a, Vec b) { return _mm256_min_ps(a, b); }
COMPRESSC_INLINE Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
COMPRESSC_INLINE Vec roundEven(Vec a) {
  return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
COMPRESSC_INLINE Vec zeroBelow(Vec v, Vec test, Vec limit) {
  return _mm256_and_ps(_mm256_cmp_ps(test, limit, _CMP_GE_OQ), v);
}
COMPRESSC_INLINE Vec scalePowerOfTwo(Vec v, Vec n) {
  __m256i bits =
      _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
  return _mm256_mul_ps(v, _mm256_castsi256_ps(bits));
}
COMPRESSC_INLINE float sum(Vec v) {
  __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  half = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(half, _mm_shuffle_ps(half, half, 1)));
}
COMPRESSC_INLINE float largest(Vec v) {
  __m128 half = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  half = _mm_max_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_max_ss(half, _mm_shuffle_ps(half, half, 1)));
}
COMPRESSC_INLINE Vec loadHalf(const uint16_t *p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i *>(p)));
}
COMPRESSC_INLINE Vec loadBFloat16(const uint16_t *p) {
  __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(p)));
  return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}
COMPRESSC_INLINE Vec loadUnsigned8(const uint8_t *p) {
  return _mm256_cvtepi32_ps(
      _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(p))));
}
COMPRESSC_INLINE Vec loadSigned8(const int8_t *p) {
  return _mm256_cvtepi32_ps(
      _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(p))));
}
COMPRESSC_INLINE float halfToFloat(uint16_t bits) { return _cvtsh_ss(bits); }
COMPRESSC_INLINE void splitHalves(IntVec pairs, Vec &low, Vec &high) {
  const __m256i order = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15));
  __m256i sorted = _mm256_permute4x64_epi64(_mm256_shuffle_epi8((__m256i)pairs, order), 0xd8);
  low = _mm256_cvtph_ps(_mm256_castsi256_si128(sorted));
  high = _mm256_cvtph_ps(_mm256_extracti128_si256(sorted, 1));
}

COMPRESSC_INLINE void transposeQuads(Vec &a, Vec &b, Vec &c, Vec &d) {
  __m256d ab0 = _mm256_castps_pd(_mm256_unpacklo_ps(a, b)),
          ab1 = _mm256_castps_pd(_mm256_unpackhi_ps(a, b));
  __m256d cd0 = _mm256_castps_pd(_mm256_unpacklo_ps(c, d)),
          cd1 = _mm256_castps_pd(_mm256_unpackhi_ps(c, d));
  a = _mm256_castpd_ps(_mm256_unpacklo_pd(ab0, cd0));
  b = _mm256_castpd_ps(_mm256_unpackhi_pd(ab0, cd0));
  c = _mm256_castpd_ps(_mm256_unpacklo_pd(ab1, cd1));
  d = _mm256_castpd_ps(_mm256_unpackhi_pd(ab1, cd1));
}
COMPRESSC_INLINE Vec loadQuads(const float *const *rows, int64_t i, int64_t k) {
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(rows[i] + k)),
                              _mm_loadu_ps(rows[4 + i] + k), 1);
}

#else

// Plain arithmetic on GCC's vector type: SSE2, NEON or scalar code, as the target has it. A product
// and a sum are rounded apart.
constexpr int lanes = 4;
typedef float Vec __attribute__((vector_size(16)));
typedef int32_t IntVec __attribute__((vector_size(16)));

COMPRESSC_INLINE Vec load(const float *p) { return loadAs<Vec>(p); }
COMPRESSC_INLINE void store(float *p, Vec v) { __builtin_memcpy(p, &v, sizeof v); }
COMPRESSC_INLINE Vec loadFirst(const float *p, int64_t n) {
  Vec v = {};
  for (int64_t i = 0; i < n; ++i)
    v[i] = p[i];
  return v;
}
COMPRESSC_INLINE void storeFirst(float *p, int64_t n, Vec v) {
  for (int64_t i = 0; i < n; ++i)
    p[i] = v[i];
}
COMPRESSC_INLINE Vec broadcast(float x) { return Vec{x, x, x, x}; }
COMPRESSC_INLINE Vec add(Vec a, Vec b) { return a + b; }
COMPRESSC_INLINE Vec sub(Vec a, Vec b) { return a - b; }
COMPRESSC_INLINE Vec mul(Vec a, Vec b) { return a * b; }
COMPRESSC_INLINE Vec div(Vec a, Vec b) { return a / b; }
COMPRESSC_INLINE Vec select(IntVec mask, Vec a, Vec b) {
  return Vec((mask & IntVec(a)) | (~mask & IntVec(b)));
}
COMPRESSC_INLINE Vec max(Vec a, Vec b) { return select(IntVec(a > b), a, b); }
COMPRESSC_INLINE Vec min(Vec a, Vec b) { return select(IntVec(a < b), a, b); }
COMPRESSC_INLINE Vec fma(Vec a, Vec b, Vec c) { return a * b + c; }
/// For |a| < 2^22.
COMPRESSC_INLINE Vec roundEven(Vec a) {
  Vec magic = broadcast(12582912.0f);
  return (a + magic) - magic;
}
COMPRESSC_INLINE Vec zeroBelow(Vec v, Vec test, Vec limit) {
  return Vec(IntVec(test >= limit) & IntVec(v));
}
COMPRESSC_INLINE Vec scalePowerOfTwo(Vec v, Vec n) {
  IntVec bits = (__builtin_convertvector(n, IntVec) + 127) << 23;
  return v * Vec(bits);
}
COMPRESSC_INLINE float sum(Vec v) { return (v[0] + v[2]) + (v[1] + v[3]); }
COMPRESSC_INLINE float largest(Vec v) {
  float a = v[0] > v[1] ? v[0] : v[1], b = v[2] > v[3] ? v[2] : v[3];
  return a > b ? a : b;
}
/// Without a branch, so that loops over it vectorise.
COMPRESSC_INLINE float halfToFloat(uint16_t bits) {
  uint32_t magnitude = uint32_t(bits & 0x7fff) << 13;
  float scaled;
  __builtin_memcpy(&scaled, &magnitude, sizeof scaled);
  scaled *= 0x1p112f; // subnormals of fp16 come out right as well
  uint32_t wide;
  __builtin_memcpy(&wide, &scaled, sizeof wide);
  wide |= (bits & 0x7c00) == 0x7c00 ? 0x7f800000u : 0u; // infinity and NaN
  wide |= uint32_t(bits & 0x8000) << 16;
  __builtin_memcpy(&scaled, &wide, sizeof scaled);
  return scaled;
}
COMPRESSC_INLINE void splitHalves(IntVec pairs, Vec &low, Vec &high) {
  for (int i = 0; i < lanes; ++i) {
    low[i] = halfToFloat(uint16_t(pairs[i]));
    high[i] = halfToFloat(uint16_t(uint32_t(pairs[i]) >> 16));
  }
}
COMPRESSC_INLINE Vec loadHalf(const uint16_t *p) {
  return Vec{halfToFloat(p[0]), halfToFloat(p[1]), halfToFloat(p[2]), halfToFloat(p[3])};
}
COMPRESSC_INLINE Vec loadBFloat16(const uint16_t *p) {
  IntVec wide = {int32_t(uint32_t(p[0]) << 16), int32_t(uint32_t(p[1]) << 16),
                 int32_t(uint32_t(p[2]) << 16), int32_t(uint32_t(p[3]) << 16)};
  return Vec(wide);
}
COMPRESSC_INLINE Vec loadUnsigned8(const uint8_t *p) {
  return Vec{float(p[0]), float(p[1]), float(p[2]), float(p[3])};
}
COMPRESSC_INLINE Vec loadSigned8(const int8_t *p) {
  return Vec{float(p[0]), float(p[1]), float(p[2]), float(p[3])};
}
COMPRESSC_INLINE void transposeQuads(Vec &a, Vec &b, Vec &c, Vec &d) {
  Vec a0 = a, b0 = b, c0 = c, d0 = d;
  a = Vec{a0[0], b0[0], c0[0], d0[0]};
  b = Vec{a0[1], b0[1], c0[1], d0[1]};
  c = Vec{a0[2], b0[2], c0[2], d0[2]};
  d = Vec{a0[3], b0[3], c0[3], d0[3]};
}
COMPRESSC_INLINE Vec loadQuads(const float *const *rows, int64_t i, int64_t k) {
  return load(rows[i] + k);
}

#endif

/// a * b + c, rounded once in every instruction set.
COMPRESSC_INLINE Vec fusedMultiplyAdd(Vec a, Vec b, Vec c) {
#if COMPRESSC_ISA_LEVEL >= 1
  return fma(a, b, c);
#else
  for (int i = 0; i < lanes; ++i)
    c[i] = __builtin_fmaf(a[i], b[i], c[i]);
  return c;
#endif
}

COMPRESSC_INLINE Vec zero() { return broadcast(0.0f); }

COMPRESSC_INLINE IntVec loadInts(const void *p) { return loadAs<IntVec>(p); }
COMPRESSC_INLINE Vec toFloat(IntVec v) { return __builtin_convertvector(v, Vec); }
/// The same bits.
COMPRESSC_INLINE Vec asFloat(IntVec v) { return (Vec)v; }

/// The bits of a float rounded to the nearest bf16, ties to even, in the upper half. NaN stays NaN.
COMPRESSC_INLINE uint32_t roundToBFloat16(uint32_t bits) {
  uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
  return (bits & 0x7fffffff) > 0x7f800000 ? (bits | 0x400000) & 0xffff0000 : rounded;
}
COMPRESSC_INLINE IntVec roundToBFloat16(IntVec bits) {
  constexpr int32_t upper = int32_t(0xffff0000);
  IntVec rounded = (bits + 0x7fff + (bits >> 16 & 1)) & upper;
  return (bits & 0x7fffffff) > 0x7f800000 ? (bits | 0x400000) & upper : rounded;
}
/// Two floats as bf16, the first in the lower half.
COMPRESSC_INLINE IntVec pairOf(IntVec low, IntVec high) {
  return (roundToBFloat16(low) >> 16 & 0xffff) | roundToBFloat16(high);
}

COMPRESSC_INLINE float bfloat16ToFloat(uint16_t bits) {
  uint32_t wide = uint32_t(bits) << 16;
  float value;
  __builtin_memcpy(&value, &wide, sizeof value);
  return value;
}

/// out[k * stride + r] = rows[r][k] for `lanes` rows and k in [0, count); whole groups of four
/// columns are read and written: rows and out must have room for them.
COMPRESSC_INLINE void transposeRows(const float *const *rows, int64_t count, float *out,
                                    int64_t stride) {
  for (int64_t k = 0; k < count; k += 4) {
    Vec a = loadQuads(rows, 0, k), b = loadQuads(rows, 1, k);
    Vec c = loadQuads(rows, 2, k), d = loadQuads(rows, 3, k);
    transposeQuads(a, b, c, d);
    store(out + k * stride, a);
    store(out + (k + 1) * stride, b);
    store(out + (k + 2) * stride, c);
    store(out + (k + 3) * stride, d);
  }
}

} // namespace compressc::COMPRESSC_ISA
