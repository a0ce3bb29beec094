// The activations of gated products.
#pragma once

#include "compressc/runtime/operand_types.h"
#include <type_traits>

namespace compressc::cuda {

template <Activation kind> __device__ __forceinline__ float Activate(float v) {
  if constexpr (kind == Activation::Silu)
    return __fdividef(v, 1.0f + __expf(-v));
  else if constexpr (kind == Activation::Gelu)
    return 0.5f * v * (1.0f + erff(v * 0.70710678118654752f));
  else if constexpr (kind == Activation::GeluTanh)
    return 0.5f * v * (1.0f + tanhf(0.79788456080286536f * (v + 0.044715f * v * v * v)));
  else
    return fmaxf(v, 0.0f);
}

/// Calls f with the kind as a type.
template <typename F> __device__ __forceinline__ void WithActivation(Activation kind, F f) {
  switch (kind) {
  case Activation::Silu: return f(std::integral_constant<Activation, Activation::Silu>{});
  case Activation::Gelu: return f(std::integral_constant<Activation, Activation::Gelu>{});
  case Activation::GeluTanh: return f(std::integral_constant<Activation, Activation::GeluTanh>{});
  default: return f(std::integral_constant<Activation, Activation::Relu>{});
  }
}

__device__ __forceinline__ float Activate(Activation kind, float v) {
  WithActivation(kind, [&](auto known) { v = Activate<decltype(known)::value>(v); });
  return v;
}

} // namespace compressc::cuda
