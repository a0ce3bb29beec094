// Kernels that work on one row, or one run of elements, at a time.
#include "elementary.h"
#include "functions.h"

namespace compressc::COMPRESSC_ISA {
namespace {

/// Calls f(i, n) for whole vectors (n = lanes) and once for the rest.
template <typename F> COMPRESSC_INLINE void forVectors(int64_t count, const F &f) {
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes)
    f(i, int64_t(lanes));
  if (i < count)
    f(i, count - i);
}
COMPRESSC_INLINE Vec loadSome(const float *p, int64_t n) {
  return n == lanes ? load(p) : loadFirst(p, n);
}
COMPRESSC_INLINE void storeSome(float *p, int64_t n, Vec v) {
  if (n == lanes)
    store(p, v);
  else
    storeFirst(p, n, v);
}

COMPRESSC_INLINE Vec activate(Activation kind, Vec x) {
  switch (kind) {
  case Activation::Silu:
    return div(x, add(broadcast(1.0f), exponential(sub(zero(), x))));
  case Activation::GeluTanh: {
    // x/2 * (1 + tanh u) = x / (1 + e^-2u)
    Vec cubic = fma(mul(mul(x, x), x), broadcast(0.044715f), x);
    Vec u = mul(cubic, broadcast(-2.0f * 0.7978845608028654f));
    return div(x, add(broadcast(1.0f), exponential(u)));
  }
  case Activation::Gelu: {
    float values[lanes];
    store(values, x);
    for (float &value : values)
      value *= 0.5f * __builtin_erfcf(value * -0.70710678f);
    return load(values);
  }
  case Activation::Relu:
    return max(x, zero());
  }
  return x;
}

template <Activation kind>
void gated(const float *gate, const float *up, int64_t count, float *out) {
  forVectors(count, [&](int64_t i, int64_t n) {
    storeSome(out + i, n, mul(activate(kind, loadSome(gate + i, n)), loadSome(up + i, n)));
  });
}

} // namespace

void rmsNorm(const float *x, const float *weight, int64_t width, float epsilon, float *out) {
  Vec squares = zero();
  forVectors(width, [&](int64_t i, int64_t n) {
    Vec v = loadSome(x + i, n);
    squares = fma(v, v, squares);
  });
  Vec scale = broadcast(1.0f / __builtin_sqrtf(sum(squares) / float(width) + epsilon));
  forVectors(width, [&](int64_t i, int64_t n) {
    storeSome(out + i, n, mul(mul(loadSome(x + i, n), scale), loadSome(weight + i, n)));
  });
}

void roundRowToBFloat16(const float *x, int64_t count, float *out) {
  forVectors(count, [&](int64_t i, int64_t n) {
    storeSome(out + i, n, asFloat(roundToBFloat16((IntVec)loadSome(x + i, n))));
  });
}

void layerNorm(const float *x, const float *weight, const float *bias, int64_t width, float epsilon,
               float *out) {
  Vec total = zero(), squares = zero();
  forVectors(width, [&](int64_t i, int64_t n) { total = add(total, loadSome(x + i, n)); });
  Vec mean = broadcast(sum(total) / float(width));
  forVectors(width, [&](int64_t i, int64_t n) {
    // The lanes past the end must add nothing.
    Vec v = sub(loadSome(x + i, n), mean);
    if (n < lanes) {
      float values[lanes] = {};
      storeFirst(values, n, v);
      v = load(values);
    }
    squares = fma(v, v, squares);
  });
  Vec scale = broadcast(1.0f / __builtin_sqrtf(sum(squares) / float(width) + epsilon));
  forVectors(width, [&](int64_t i, int64_t n) {
    Vec v = mul(mul(sub(loadSome(x + i, n), mean), scale), loadSome(weight + i, n));
    storeSome(out + i, n, bias ? add(v, loadSome(bias + i, n)) : v);
  });
}

void gatedActivation(Activation kind, const float *gate, const float *up, int64_t count,
                     float *out) {
  switch (kind) {
  case Activation::Silu:
    return gated<Activation::Silu>(gate, up, count, out);
  case Activation::Gelu:
    return gated<Activation::Gelu>(gate, up, count, out);
  case Activation::GeluTanh:
    return gated<Activation::GeluTanh>(gate, up, count, out);
  case Activation::Relu:
    return gated<Activation::Relu>(gate, up, count, out);
  }
}

void addArrays(const float *a, const float *b, int64_t count, float *out) {
  forVectors(count, [&](int64_t i, int64_t n) {
    storeSome(out + i, n, add(loadSome(a + i, n), loadSome(b + i, n)));
  });
}

void mulArrays(const float *a, const float *b, int64_t count, float *out) {
  forVectors(count, [&](int64_t i, int64_t n) {
    storeSome(out + i, n, mul(loadSome(a + i, n), loadSome(b + i, n)));
  });
}

void rotaryAngles(float position, const float *frequencies, int64_t count, float factor,
                  float *cosines, float *sines) {
  // In double, without branches: the compiler vectorises it. The angle is reduced to [-pi/4, pi/4]
  // and a count of quarter turns; pi/2 is in two parts, the first short enough for exact products.
  constexpr double halfPiHigh = 0x1.921fb544p+0, halfPiLow = 0x1.0b4611a626331p-34;
  constexpr double magic = 0x1.8p52; // adding it rounds to a whole number
  for (int64_t i = 0; i < count; ++i) {
    float angle = position * frequencies[i];
    double x = angle;
    double turns = (x * 0.63661977236758134308 + magic) - magic;
    double r = (x - turns * halfPiHigh) - turns * halfPiLow;
    double square = r * r;
    double sine =
        r +
        r * square *
            (-1.0 / 6 +
             square * (1.0 / 120 + square * (-1.0 / 5040 +
                                             square * (1.0 / 362880 - square * (1.0 / 39916800)))));
    double cosine =
        1.0 +
        square *
            (-0.5 +
             square * (1.0 / 24 +
                       square * (-1.0 / 720 +
                                 square * (1.0 / 40320 + square * (-1.0 / 3628800 +
                                                                   square * (1.0 / 479001600))))));
    // turns modulo 4 as 0, 1, 2, 3 or -0 … in double arithmetic.
    double quarters = turns - 4.0 * ((turns * 0.25 - 0.375 + magic) - magic);
    bool odd = quarters == 1.0 || quarters == 3.0;
    double c = odd ? sine : cosine, s = odd ? cosine : sine;
    c = quarters == 1.0 || quarters == 2.0 ? -c : c;
    s = quarters >= 2.0 ? -s : s;
    cosines[i] = float(c) * factor;
    sines[i] = float(s) * factor;
  }
}

void rotateHead(const float *x, const float *cosines, const float *sines, int64_t half,
                float *out) {
  forVectors(half, [&](int64_t i, int64_t n) {
    Vec a = loadSome(x + i, n), b = loadSome(x + half + i, n);
    Vec c = loadSome(cosines + i, n), s = loadSome(sines + i, n);
    storeSome(out + i, n, sub(mul(a, c), mul(b, s)));
    storeSome(out + half + i, n, add(mul(b, c), mul(a, s)));
  });
}

} // namespace compressc::COMPRESSC_ISA
