// What the tests of the compression kernels share: owned tensors, calls by name, random numbers,
// and a slow quantiser written from the definition.
#pragma once

#include "compressc/runtime/kernel.h"
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <random>

namespace compressc::test {

/// A tensor and its memory.
class Owned {
public:
  Owned(DType dtype, std::vector<int64_t> shape) { create(dtype, std::move(shape)); }
  Owned(std::vector<int64_t> shape, const std::vector<float> &values) {
    create(DType::F32, std::move(shape));
    std::copy(values.begin(), values.end(), tensor.as<float>());
  }
  Owned(int64_t rows, int64_t columns, const PackedFormat &format) {
    tensor.packed = format;
    create(DType::Packed, {rows, columns});
    PackedSizes sizes = GetPackedSizes(rows, columns, format);
    tensor.scales = memory.data() + sizes.scalesOffset;
    tensor.zeros = format.symmetric ? nullptr : memory.data() + sizes.zerosOffset;
  }
  Owned(Owned &&) = default;

  operator const Tensor &() const { return tensor; }
  float *floats() const { return tensor.as<float>(); }
  std::vector<float> values() const { return {floats(), floats() + memory.size() / 4}; }
  const std::vector<uint8_t> &bytes() const { return memory; }
  Tensor tensor;

private:
  void create(DType dtype, std::vector<int64_t> shape) {
    tensor.dtype = dtype;
    tensor.shape = std::move(shape);
    memory.assign(tensor.bytes(), 0);
    tensor.data = memory.data();
  }
  std::vector<uint8_t> memory;
};

class Kernels {
public:
  explicit Kernels(int threads = 2) : pool(threads), scratch(threads) {}

  Status run(const char *name, std::vector<Tensor> inputs, std::vector<Tensor> outputs,
             const Attributes &attributes = {}) {
    KernelFunction function = FindKernel(name);
    if (!function)
      return Invalid("no kernel ", name);
    KernelContext context{pool, scratch, nullptr};
    return function(context, KernelCall{inputs, outputs, {}, attributes});
  }

private:
  ThreadPool pool;
  Scratch scratch;
};

inline Attributes FormatAttributes(const PackedFormat &format) {
  Attributes attributes;
  attributes.set("bits", int64_t(format.bits));
  attributes.set("group", format.group);
  attributes.set("symmetric", int64_t(format.symmetric));
  attributes.set("scale_type", std::string(DTypeName(format.scaleType)));
  return attributes;
}

/// Columns differ in size and are correlated, as activations are.
inline std::vector<float> RandomMatrix(int64_t rows, int64_t columns, uint32_t seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> sizes(columns), values(rows * columns);
  for (float &size : sizes)
    size = std::exp(normal(generator));
  for (int64_t i = 0; i < rows; ++i) {
    float shared = normal(generator);
    for (int64_t k = 0; k < columns; ++k)
      values[i * columns + k] = sizes[k] * (normal(generator) + 0.5f * shared);
  }
  return values;
}

/// Statistics of x [rows, columns], in fp64 until the store.
inline Owned StatisticsOf(const std::vector<float> &x, int64_t columns) {
  Owned result(DType::Statistics, {columns});
  StatisticsView view = AsStatistics(result);
  int64_t rows = x.size() / columns;
  for (int64_t i = 0; i < columns; ++i) {
    double absSum = 0;
    for (int64_t t = 0; t < rows; ++t)
      absSum += std::fabs(x[t * columns + i]);
    view.absSum[i] = absSum;
    for (int64_t j = 0; j < columns; ++j) {
      double sum = 0;
      for (int64_t t = 0; t < rows; ++t)
        sum += double(x[t * columns + i]) * x[t * columns + j];
      view.gram[i * columns + j] = sum;
    }
  }
  *view.count = rows;
  return result;
}

/// Σ over tokens and rows of (e·x)², e [rows, columns].
inline double ExplicitLoss(const std::vector<double> &e, const std::vector<float> &x,
                           int64_t columns) {
  double total = 0;
  for (size_t n = 0; n < e.size(); n += columns)
    for (size_t t = 0; t < x.size(); t += columns) {
      double sum = 0;
      for (int64_t k = 0; k < columns; ++k)
        sum += e[n + k] * x[t + k];
      total += sum * sum;
    }
  return total;
}

/// The definition: the group's scale and zero, then one code.
struct SlowQuantizer {
  float scale, zero;
  int most;

  SlowQuantizer(float low, float high, const PackedFormat &format) {
    most = int(std::lround(std::pow(2, format.bits))) - 1;
    if (format.symmetric) {
      scale = std::fmax(std::fmax(-low, high), 1e-8f) / float(most / 2);
      zero = float(most / 2 + 1);
    } else {
      scale = std::fmax(high - low, 1e-8f) / float(most);
    }
    scale = RoundToDType(scale, format.scaleType);
    if (format.scaleType == DType::F16 && scale == 0)
      scale = std::ldexp(1.0f, -24);
    if (!format.symmetric)
      zero = std::fmin(std::fmax(std::nearbyint(-low / scale), 0.0f), float(most));
  }
  int code(float w) const {
    return int(std::fmin(std::fmax(std::nearbyint(w / scale) + zero, 0.0f), float(most)));
  }
  float value(float w) const { return (float(code(w)) - zero) * scale; }
};

inline std::pair<float, float> SlowRange(const float *values, int64_t count) {
  float low = 0, high = 0;
  for (int64_t k = 0; k < count; ++k) {
    low = std::fmin(low, values[k]);
    high = std::fmax(high, values[k]);
  }
  return {low, high};
}

/// Q(w), group by group.
inline std::vector<float> SlowQuantized(const std::vector<float> &w, const PackedFormat &format) {
  std::vector<float> result;
  for (size_t begin = 0; begin < w.size(); begin += format.group) {
    auto [low, high] = SlowRange(w.data() + begin, format.group);
    SlowQuantizer quantizer(low, high, format);
    for (int64_t k = 0; k < format.group; ++k)
      result.push_back(quantizer.value(w[begin + k]));
  }
  return result;
}

/// Element `index` of a little-endian bit stream, a bit at a time; word i is words[i * stride].
inline int SlowBits(const void *words, int64_t index, int bits, int64_t stride = 1) {
  int value = 0;
  for (int b = 0; b < bits; ++b) {
    int64_t bit = index * bits + b;
    uint32_t word = static_cast<const uint32_t *>(words)[bit / 32 * stride];
    value |= int(word >> (bit % 32) & 1) << b;
  }
  return value;
}

inline ::testing::AssertionResult Fails(const Status &status, const std::string &part) {
  if (status.ok())
    return ::testing::AssertionFailure() << "succeeded; expected an error with: " << part;
  std::string message(status.message());
  if (message.find(part) == std::string::npos)
    return ::testing::AssertionFailure() << "\"" << message << "\" lacks \"" << part << "\"";
  return ::testing::AssertionSuccess();
}

#define EXPECT_STATUS_OK(expr)                                                                     \
  do {                                                                                             \
    ::compressc::Status status = (expr);                                                           \
    EXPECT_TRUE(status.ok()) << status.message();                                                  \
  } while (0)
#define ASSERT_STATUS_OK(expr)                                                                     \
  do {                                                                                             \
    ::compressc::Status status = (expr);                                                           \
    ASSERT_TRUE(status.ok()) << status.message();                                                  \
  } while (0)

} // namespace compressc::test
