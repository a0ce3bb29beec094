// Elementary functions on vectors.
#pragma once

#include "simd.h"

namespace compressc::COMPRESSC_ISA {

/// e^x within 2 ulp for x in [-87, 88]; 0 below (and for NaN), e^88 above.
COMPRESSC_INLINE Vec exponential(Vec x) {
  Vec clamped = max(min(x, broadcast(88.0f)), broadcast(-87.0f));
  Vec n = roundEven(mul(clamped, broadcast(1.44269504f)));
  // n * 0.693359375 is exact, so this has the same bits without fused multiply-adds.
  Vec r = fma(n, broadcast(-0.693359375f), clamped);
  r = fma(n, broadcast(2.12194440e-4f), r);
  Vec p = broadcast(1.0f / 5040);
  p = fma(p, r, broadcast(1.0f / 720));
  p = fma(p, r, broadcast(1.0f / 120));
  p = fma(p, r, broadcast(1.0f / 24));
  p = fma(p, r, broadcast(1.0f / 6));
  p = fma(p, r, broadcast(0.5f));
  p = fma(p, r, broadcast(1.0f));
  p = fma(p, r, broadcast(1.0f));
  return zeroBelow(scalePowerOfTwo(p, n), x, broadcast(-87.0f));
}

/// 1 / (1 + e^-x)
COMPRESSC_INLINE Vec sigmoid(Vec x) {
  Vec one = broadcast(1.0f);
  return div(one, add(one, exponential(sub(zero(), x))));
}

} // namespace compressc::COMPRESSC_ISA
