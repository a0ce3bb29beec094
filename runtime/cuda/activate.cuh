// The activations of gated products.
#pragma once

#include "../cpu/activation.h"

namespace compressc::cuda {

template <Activation kind> __device__ __forceinline__ float Activate(float v) {
  if constexpr (kind == Activation::Silu)
    return v / (1.0f + __expf(-v));
  else if constexpr (kind == Activation::Gelu)
    return 0.5f * v * (1.0f + erff(v * 0.70710678118654752f));
  else if constexpr (kind == Activation::GeluTanh)
    return 0.5f * v * (1.0f + tanhf(0.79788456080286536f * (v + 0.044715f * v * v * v)));
  else
    return fmaxf(v, 0.0f);
}

__device__ __forceinline__ float Activate(Activation kind, float v) {
  switch (kind) {
  case Activation::Silu: return Activate<Activation::Silu>(v);
  case Activation::Gelu: return Activate<Activation::Gelu>(v);
  case Activation::GeluTanh: return Activate<Activation::GeluTanh>(v);
  default: return Activate<Activation::Relu>(v);
  }
}

} // namespace compressc::cuda
