// What the tests of the model's kernels share: random operands of every type with their exact
// values, and kernels run under each instruction set.
#pragma once

#include "../../../runtime/cpu/gemm.h"
#include "../../../runtime/cpu/kernels.h"
#include "../../../runtime/cpu/instruction_set.h"
#include "compressc/runtime/device.h"
#include "compressc/runtime/kernel.h"
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace compressc::test {

class Random {
public:
  explicit Random(uint64_t seed) : state(seed * 0x9e3779b97f4a7c15u + 1) {}
  uint64_t bits() {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1du;
  }
  int64_t below(int64_t n) { return int64_t((bits() >> 33) % uint64_t(n)); }
  /// Uniform in [-1, 1).
  float value() { return float(int64_t(bits() >> 40) - (1 << 23)) / float(1 << 23); }

private:
  uint64_t state;
};

inline std::vector<float> randomFloats(int64_t count, uint64_t seed) {
  Random random(seed);
  std::vector<float> values(static_cast<size_t>(count));
  for (float &value : values)
    value = random.value();
  return values;
}

inline Tensor floatTensor(std::vector<float> &values, std::vector<int64_t> shape) {
  Tensor tensor;
  tensor.shape = std::move(shape);
  tensor.data = values.data();
  return tensor;
}

/// A random weight matrix and its values. The memory is exactly as large as the format says, so
/// that the address sanitizer sees a read past its end.
struct Weight {
  Tensor tensor;
  std::vector<double> values; // [N, K]
  std::vector<uint8_t> data, scales, zeros;
};

/// fp32 numbers as bf16 rows of activations.
struct NarrowRows {
  std::vector<uint16_t> bits;
  Tensor tensor;
  NarrowRows(const std::vector<float> &values, std::vector<int64_t> shape) {
    for (float value : values)
      bits.push_back(FloatToBFloat16(value));
    tensor.dtype = DType::BF16;
    tensor.shape = std::move(shape);
    tensor.data = bits.data();
  }
};

inline void putPlain(std::vector<uint8_t> &memory, DType dtype, int64_t index, float value) {
  if (dtype == DType::F32) {
    std::memcpy(memory.data() + index * 4, &value, 4);
    return;
  }
  uint16_t bits = dtype == DType::F16 ? FloatToHalf(value) : FloatToBFloat16(value);
  std::memcpy(memory.data() + index * 2, &bits, 2);
}

inline Weight plainWeight(DType dtype, int64_t rows, int64_t columns, uint64_t seed) {
  Weight w;
  w.data.resize(size_t(rows * columns) * DTypeSize(dtype));
  w.tensor.dtype = dtype;
  w.tensor.shape = {rows, columns};
  w.tensor.data = w.data.data();
  Random random(seed);
  for (int64_t i = 0; i < rows * columns; ++i) {
    // Some values are subnormal in fp16.
    float value = RoundToDType(i % 61 == 7 ? random.value() * 1e-6f : random.value(), dtype);
    putPlain(w.data, dtype, i, value);
    w.values.push_back(value);
  }
  return w;
}

inline Weight vectorWeight(DType dtype, int64_t size, uint64_t seed) {
  Weight w = plainWeight(dtype, 1, size, seed);
  w.tensor.shape = {size};
  return w;
}

inline void putBits(std::vector<uint8_t> &words, int64_t word, int64_t stride, int64_t bit,
                    int bits, uint32_t code) {
  for (int i = 0; i < bits; ++i)
    if (code >> i & 1) {
      int64_t at = bit + i;
      words[size_t((word + at / 32 * stride) * 4 + at % 32 / 8)] |= uint8_t(1 << at % 8);
    }
}

inline Weight packedWeight(PackedFormat format, int64_t rows, int64_t columns, uint64_t seed) {
  Weight w;
  PackedSizes sizes = GetPackedSizes(rows, columns, format);
  w.data.resize(size_t(sizes.codes));
  w.scales.resize(size_t(sizes.scales));
  w.zeros.resize(size_t(sizes.zeros));
  w.tensor.dtype = DType::Packed;
  w.tensor.shape = {rows, columns};
  w.tensor.data = w.data.data();
  w.tensor.packed = format;
  w.tensor.scales = w.scales.data();
  w.tensor.zeros = format.symmetric ? nullptr : w.zeros.data();
  Random random(seed);
  int64_t groups = columns / format.group, rowWords = (columns * format.bits + 31) / 32;
  for (int64_t n = 0; n < rows; ++n)
    for (int64_t g = 0; g < groups; ++g) {
      float scale = RoundToDType(0.05f + std::abs(random.value()), format.scaleType);
      putPlain(w.scales, format.scaleType, n * groups + g, scale);
      uint32_t zero = 1u << (format.bits - 1);
      if (!format.symmetric) {
        zero = uint32_t(random.below(1 << format.bits));
        putBits(w.zeros, g, groups, n * format.bits, format.bits, zero);
      }
      for (int64_t k = g * format.group; k < (g + 1) * format.group; ++k) {
        uint32_t code = uint32_t(random.below(1 << format.bits));
        putBits(w.data, n * rowWords, 1, k * format.bits, format.bits, code);
        w.values.push_back(double(scale) * (double(code) - double(zero)));
      }
    }
  return w;
}

/// Element j of a block of 256, one bit field after the other.
inline double superBlockValue(DType dtype, const uint8_t *block, double d, double m, int j) {
  if (dtype == DType::Q6_K) {
    int half = j / 128, quarter = j / 32 % 4, i = j % 32;
    int low = block[half * 64 + (quarter % 2) * 32 + i] >> (quarter < 2 ? 0 : 4) & 15;
    int high = block[128 + half * 32 + i] >> (2 * quarter) & 3;
    return d * int8_t(block[192 + j / 16]) * (16 * high + low - 32);
  }
  int part = j / 32, i = j % 32;
  const uint8_t *s = block + 4, *low = block + (dtype == DType::Q5_K ? 48 : 16);
  int scale = part < 4 ? s[part] & 63 : (s[part + 4] & 15) + 16 * (s[part - 4] >> 6);
  int offset = part < 4 ? s[part + 4] & 63 : (s[part + 4] >> 4) + 16 * (s[part] >> 6);
  int code = low[part / 2 * 32 + i] >> (part % 2 ? 4 : 0) & 15;
  if (dtype == DType::Q5_K)
    code += 16 * (block[16 + i] >> part & 1);
  return d * scale * code - m * offset;
}

inline Weight blockWeight(DType dtype, int64_t rows, int64_t columns, uint64_t seed) {
  Weight w;
  BlockInfo info = DTypeBlock(dtype);
  int64_t blocks = rows * columns / info.elements;
  w.data.resize(size_t(blocks * info.bytes));
  w.tensor.dtype = dtype;
  w.tensor.shape = {rows, columns};
  w.tensor.data = w.data.data();
  Random random(seed);
  for (int64_t b = 0; b < blocks; ++b) {
    uint8_t *block = w.data.data() + b * info.bytes;
    float d = RoundToDType(random.value(), DType::F16),
          m = RoundToDType(random.value(), DType::F16);
    uint16_t dBits = FloatToHalf(d), mBits = FloatToHalf(m);
    std::memcpy(block, &dBits, 2);
    int64_t header = 2;
    if (dtype == DType::Q4_1 || dtype == DType::Q5_1) {
      std::memcpy(block + 2, &mBits, 2);
      header = 4;
    }
    for (int64_t i = header; i < info.bytes; ++i)
      block[i] = uint8_t(random.bits() >> 50);
    if (dtype == DType::Q4_K || dtype == DType::Q5_K || dtype == DType::Q6_K) {
      std::memcpy(block + (dtype == DType::Q6_K ? 208 : 0), &dBits, 2);
      if (dtype != DType::Q6_K)
        std::memcpy(block + 2, &mBits, 2);
      for (int j = 0; j < 256; ++j)
        w.values.push_back(superBlockValue(dtype, block, d, m, j));
      continue;
    }
    for (int64_t j = 0; j < 32; ++j) {
      if (dtype == DType::Q8_0) {
        w.values.push_back(double(d) * int8_t(block[2 + j]));
        continue;
      }
      bool five = dtype == DType::Q5_0 || dtype == DType::Q5_1;
      const uint8_t *low = block + header + (five ? 4 : 0);
      int code = j < 16 ? low[j] & 15 : low[j - 16] >> 4;
      if (five)
        code += 16 * (block[header + j / 8] >> (j % 8) & 1);
      w.values.push_back(header == 4 ? double(d) * code + double(m)
                                     : double(d) * (code - (five ? 16 : 8)));
    }
  }
  return w;
}

/// Every type of weight that fits K columns: its name and how to make one.
struct WeightKind {
  std::string name;
  DType dtype;
  PackedFormat packed;

  Weight make(int64_t rows, int64_t columns, uint64_t seed) const {
    if (dtype == DType::Packed)
      return packedWeight(packed, rows, columns, seed);
    return DTypeSize(dtype) ? plainWeight(dtype, rows, columns, seed)
                            : blockWeight(dtype, rows, columns, seed);
  }
};

inline std::vector<WeightKind> weightKinds(int64_t columns) {
  std::vector<WeightKind> kinds = {
      {"f32", DType::F32, {}}, {"f16", DType::F16, {}}, {"bf16", DType::BF16, {}}};
  for (int bits : {2, 3, 4, 8})
    for (int64_t group :
         {int64_t(1), int64_t(5), int64_t(32), int64_t(64), int64_t(128), columns}) {
      if (columns % group || (group == 1 && bits != 3))
        continue;
      bool symmetric = (bits + group) % 2;
      DType scaleType = group == 32 ? DType::BF16 : group == columns ? DType::F32 : DType::F16;
      for (int flip = 0; flip < (group >= 32 ? 2 : 1); ++flip) {
        bool sym = symmetric != bool(flip);
        kinds.push_back(
            {"w" + std::to_string(bits) + "g" + std::to_string(group) + (sym ? "s" : "a"),
             DType::Packed,
             {bits, group, sym, scaleType}});
      }
    }
  if (columns % 32 == 0)
    for (DType dtype : {DType::Q4_0, DType::Q4_1, DType::Q5_0, DType::Q5_1, DType::Q8_0})
      kinds.push_back({std::string(DTypeName(dtype)), dtype, {}});
  if (columns % 256 == 0)
    for (DType dtype : {DType::Q4_K, DType::Q5_K, DType::Q6_K})
      kinds.push_back({std::string(DTypeName(dtype)), dtype, {}});
  return kinds;
}

/// Threads, scratch and a batch.
struct Machine {
  explicit Machine(int threads = 2)
      : pool(threads), scratch(pool.threads()), context{pool, scratch} {}
  ThreadPool pool;
  Scratch scratch;
  KernelContext context;

  Status run(std::string_view kernel, std::vector<Tensor> inputs, std::vector<Tensor> outputs,
             const Attributes &attributes = {}, const Batch *batch = nullptr,
             std::vector<CacheView> caches = {}) {
    KernelFunction function = FindKernel(kernel, context.device);
    if (!function)
      return Invalid("no kernel ", kernel);
    context.batch = batch;
    return function(context, KernelCall{inputs, outputs, absl::MakeSpan(caches), attributes});
  }
};

/// Runs `body` under each instruction set that this machine has, then restores the first one.
template <typename F> void forEachInstructionSet(const F &body) {
  std::string before(InstructionSet());
  int ran = 0;
  for (std::string_view name : {"portable", "avx2", "avx512", "avx512vnni", "avx512bf16", "amx"})
    if (SetInstructionSetForTesting(name)) {
      SCOPED_TRACE(std::string(name));
      body(name);
      ++ran;
    }
  ASSERT_TRUE(SetInstructionSetForTesting(before));
  ASSERT_GE(ran, 1);
}

/// The call is refused, and its message names `part`.
inline void expectRefused(const Status &status, std::string_view part) {
  ASSERT_FALSE(status.ok()) << "expected: " << part;
  std::string message(status.message().data(), status.message().size());
  EXPECT_NE(message.find(part), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

inline bool sameBits(const std::vector<float> &a, const std::vector<float> &b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

} // namespace compressc::test
