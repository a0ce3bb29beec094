// Non-owning views of tensors as kernels see them: plain arrays, packed integer weights in the
// checkpoint's own layout, GGUF blocks, and calibration statistics.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace compressc {

enum class DType : uint8_t {
  F32,
  F16,
  BF16,
  I32,
  I64,
  U8,
  /// b-bit codes with group scales (and zeros), compressed-tensors `pack-quantized` layout.
  Packed,
  /// Sum of x xᵀ [K,K], sum of |x| [K] and the token count [1], all fp32, one after the other.
  Statistics,
  // GGUF block formats.
  Q4_0,
  Q4_1,
  Q8_0,
  Q5_0,
  Q5_1,
  Q4_K,
  Q5_K,
  Q6_K,
};

/// "f32", "f16", "bf16", "i32", "i64", "u8", "packed", "statistics", "q4_0", "q4_1", "q8_0",
/// "q5_0", "q5_1", "q4_k", "q5_k", "q6_k".
std::string_view DTypeName(DType dtype);
std::optional<DType> DTypeFromName(std::string_view name);
/// Bytes of one element of a plain type; 0 for Packed, Statistics and the block formats.
size_t DTypeSize(DType dtype);
/// Elements and bytes of one GGUF block; {1, DTypeSize} for plain types.
struct BlockInfo {
  int64_t elements;
  int64_t bytes;
};
BlockInfo DTypeBlock(DType dtype);

float HalfToFloat(uint16_t bits);
uint16_t FloatToHalf(float value); // round to nearest even, overflow to infinity
inline float BFloat16ToFloat(uint16_t bits) {
  uint32_t wide = uint32_t(bits) << 16;
  float value;
  __builtin_memcpy(&value, &wide, sizeof value);
  return value;
}
uint16_t FloatToBFloat16(float value); // round to nearest even
/// Rounds to the nearest value of F16 or BF16 and back; the identity for F32.
float RoundToDType(float value, DType dtype);

/// How a Packed tensor [N, K] is quantised: W[n,k] = scale[n, k/group] * (code[n,k] - zero[n, k/group]),
/// codes and zeros in 0..2^bits-1, zero = 2^(bits-1) when symmetric.
struct PackedFormat {
  int bits = 4;
  int64_t group = 128;
  bool symmetric = false;
  DType scaleType = DType::F16;

  // Not defaulted: CUDA sources are C++17.
  friend bool operator==(const PackedFormat &a, const PackedFormat &b) {
    return a.bits == b.bits && a.group == b.group && a.symmetric == b.symmetric && a.scaleType == b.scaleType;
  }
};

/// Byte sizes of the three arrays of a Packed tensor [N, K]:
/// codes  i32 [N, ceil(K*bits/32)], a little-endian bit stream along K in each row;
/// scales scaleType [N, K/group];
/// zeros  i32 [ceil(N*bits/32), K/group], a bit stream along N in each column (none if symmetric).
struct PackedSizes {
  int64_t codes, scales, zeros;
  /// Offsets when the three lie in one allocation, each aligned to 64 bytes; `total` is its size.
  int64_t scalesOffset, zerosOffset, total;
};
PackedSizes GetPackedSizes(int64_t rows, int64_t columns, const PackedFormat &format);

/// A view; whoever made it owns the memory. Row-major.
struct Tensor {
  DType dtype = DType::F32;
  std::vector<int64_t> shape; // Packed and block formats: [N, K]; Statistics: [K]
  void *data = nullptr;       // Packed: the codes
  // Packed only:
  PackedFormat packed;
  void *scales = nullptr;
  void *zeros = nullptr; // null when symmetric

  int64_t dim(size_t i) const { return shape[i]; }
  size_t rank() const { return shape.size(); }
  int64_t elements() const {
    int64_t n = 1;
    for (int64_t d : shape)
      n *= d;
    return n;
  }
  /// Bytes of the whole tensor when laid out in one allocation (see PackedSizes).
  int64_t bytes() const;
  template <typename T> T *as() const { return static_cast<T *>(data); }
};

/// A tensor with the memory that it lies in.
struct OwnedTensor {
  std::shared_ptr<void> memory;
  Tensor tensor;
  bool onDevice = false; // the memory is a device's
};

/// The parts of a Statistics tensor.
struct StatisticsView {
  int64_t width; // K
  float *gram;   // [K,K], symmetric, both halves filled
  float *absSum; // [K]
  float *count;  // [1], number of tokens
};
StatisticsView AsStatistics(const Tensor &tensor);

/// Keys and values of one attention: [slots, heads * dim] each.
struct CacheView {
  float *keys = nullptr;
  float *values = nullptr;
  int64_t slots = 0;
  int64_t heads = 0;
  int64_t dim = 0;
  DType dtype = DType::F32; // a device's may be BF16
};

} // namespace compressc
