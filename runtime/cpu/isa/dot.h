// Dot products of small integers, four or two in each 32-bit lane.
#pragma once

#include "simd.h"

namespace compressc::COMPRESSC_ISA {

COMPRESSC_INLINE IntVec broadcastInt(int32_t value) { return IntVec{} + value; }

/// acc + a[0] * b[0] + a[1] * b[1] of each lane's signed 16-bit halves.
COMPRESSC_INLINE IntVec dotPairs(IntVec acc, IntVec a, IntVec b) {
#if COMPRESSC_ISA_LEVEL >= 3
  return (IntVec)_mm512_dpwssd_epi32((__m512i)acc, (__m512i)a, (__m512i)b);
#elif COMPRESSC_ISA_LEVEL == 2
  return acc + (IntVec)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif COMPRESSC_ISA_LEVEL == 1
  return acc + (IntVec)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#else
  return acc + (a << 16 >> 16) * (b << 16 >> 16) + (a >> 16) * (b >> 16);
#endif
}

/// acc + the sum of codes[i] * x[i] over each lane's four bytes: codes unsigned, at most 15 unless
/// `wide`; x signed, at least -127.
template <bool wide> COMPRESSC_INLINE IntVec dotQuads(IntVec acc, IntVec codes, IntVec x) {
#if COMPRESSC_ISA_LEVEL >= 3
  return (IntVec)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)codes, (__m512i)x);
#elif COMPRESSC_ISA_LEVEL >= 1
#if COMPRESSC_ISA_LEVEL == 2
  using Shorts = __m512i;
  auto narrow = [](IntVec a, IntVec b) { return _mm512_maddubs_epi16((__m512i)a, (__m512i)b); };
  auto right = [](IntVec a) { return _mm512_srai_epi16((__m512i)a, 8); };
  auto left = [](IntVec a) { return _mm512_slli_epi16((__m512i)a, 8); };
  auto high = [](IntVec a) { return _mm512_srli_epi16((__m512i)a, 8); };
#else
  using Shorts = __m256i;
  auto narrow = [](IntVec a, IntVec b) { return _mm256_maddubs_epi16((__m256i)a, (__m256i)b); };
  auto right = [](IntVec a) { return _mm256_srai_epi16((__m256i)a, 8); };
  auto left = [](IntVec a) { return _mm256_slli_epi16((__m256i)a, 8); };
  auto high = [](IntVec a) { return _mm256_srli_epi16((__m256i)a, 8); };
#endif
  if constexpr (wide) {
    // Pairs of products would pass 16 bits: even and odd bytes apart, widened first.
    IntVec even = codes & 0x00ff00ff;
    acc = dotPairs(acc, even, (IntVec)right((IntVec)left(x)));
    return dotPairs(acc, (IntVec)high(codes), (IntVec)right(x));
  }
  Shorts pairs = narrow(codes, x);
  return dotPairs(acc, (IntVec)pairs, broadcastInt(0x00010001));
#else
  for (int shift = 0; shift < 32; shift += 8)
    acc = acc + (codes >> shift & 255) * (x << (24 - shift) >> 24);
  return acc;
#endif
}

} // namespace compressc::COMPRESSC_ISA
