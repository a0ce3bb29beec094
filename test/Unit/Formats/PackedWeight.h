// A packed weight of random codes, zeros and scales, which stay readable one by one.
#pragma once

#include "compressc/Formats/Formats.h"
#include <algorithm>
#include <random>

namespace compressc {

struct PackedWeight {
  PackedWeight(int64_t rows, int64_t columns, PackedFormat format)
      : groups(columns / format.group) {
    tensor.dtype = DType::Packed;
    tensor.shape = {rows, columns};
    tensor.packed = format;
    std::mt19937 random(unsigned(rows * 1000 + columns));
    std::uniform_int_distribution<uint32_t> any(0, (1u << format.bits) - 1);
    for (int64_t i = 0; i < rows * columns; ++i)
      codes.push_back(any(random));
    for (int64_t i = 0; i < rows * groups; ++i) {
      zeros.push_back(format.symmetric ? 1u << (format.bits - 1) : any(random));
      halfScales.push_back(FloatToHalf(float(1 + random() % 1000) / 4096));
    }
    int64_t words = (columns * format.bits + 31) / 32;
    codeWords.resize(size_t(rows * words));
    zeroWords.resize(size_t((rows * format.bits + 31) / 32 * groups));
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t column = 0; column < columns; ++column)
        put(codeWords, row * words, 1, column, code(row, column));
      for (int64_t group = 0; group < groups; ++group)
        put(zeroWords, group, groups, row, zero(row, group));
    }
    tensor.data = codeWords.data();
    tensor.scales = halfScales.data();
    tensor.zeros = format.symmetric ? nullptr : zeroWords.data();
  }
  PackedWeight(const PackedWeight &) = delete;

  uint32_t code(int64_t row, int64_t column) const {
    return codes[size_t(row * tensor.dim(1) + column)];
  }
  uint32_t zero(int64_t row, int64_t group) const { return zeros[size_t(row * groups + group)]; }
  uint16_t scale(int64_t row, int64_t group) const {
    return halfScales[size_t(row * groups + group)];
  }

  int64_t groups;
  Tensor tensor;

private:
  /// Field `index` of a bit stream whose words lie `stride` apart, bit by bit.
  void put(std::vector<uint32_t> &words, int64_t start, int64_t stride, int64_t index,
           uint32_t value) {
    for (int bit = 0; bit < tensor.packed.bits; ++bit) {
      int64_t at = index * tensor.packed.bits + bit;
      words[size_t(start + at / 32 * stride)] |= (value >> bit & 1) << (at % 32);
    }
  }

  std::vector<uint32_t> codes, zeros, codeWords, zeroWords;
  std::vector<uint16_t> halfScales;
};

/// The bytes of an entry.
template <typename T> std::vector<T> Contents(const FormatEntry &entry) {
  std::vector<T> result(size_t(entry.bytes) / sizeof(T));
  if (entry.fill)
    entry.fill(result.data());
  else
    std::copy_n(static_cast<const T *>(entry.data), result.size(), result.begin());
  return result;
}

/// Two linears in groups of 64 at 4 bits, and a plain head.
inline ModelLayout SmallModel() {
  ModelLayout model;
  PackedFormat packed{4, 64, false, DType::F16};
  model.linears = {{"model.layers.0.mlp.up_proj", 128, 64, packed, false},
                   {"model.layers.0.mlp.down_proj", 64, 128, packed, false},
                   {"lm_head", 320, 64, std::nullopt, true}};
  return model;
}

} // namespace compressc
