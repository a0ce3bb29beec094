// What kernels, emitted programs and the compiler call the same things.
#pragma once

#include <cstdint>
#include <string_view>

namespace compressc {

/// Of gated products.
enum class Activation : uint8_t { Silu, Gelu, GeluTanh, Relu };
inline constexpr std::string_view activationNames[] = {"silu", "gelu", "gelu_tanh", "relu"};

/// What products of linears are computed in; see the kernel `linear`.
enum class Compute : uint8_t { F32, BF16, Int8, Fp8 };
inline constexpr std::string_view computeNames[] = {"f32", "bf16", "int8", "fp8"};

} // namespace compressc
