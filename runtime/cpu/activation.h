// The activations of gated products.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace compressc {

enum class Activation : uint8_t { Silu, Gelu, GeluTanh, Relu };

/// silu, gelu, gelu_tanh or relu.
inline std::optional<Activation> ActivationFromName(std::string_view name) {
  if (name == "silu")
    return Activation::Silu;
  if (name == "gelu")
    return Activation::Gelu;
  if (name == "gelu_tanh")
    return Activation::GeluTanh;
  if (name == "relu")
    return Activation::Relu;
  return std::nullopt;
}

} // namespace compressc
