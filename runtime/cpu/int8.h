// Products in int8: weights' codes with activations that are rounded to 8 bits as they come.
#pragma once

#include "gemm.h"

namespace compressc {

/// How activations must be cut and ordered for a weight.
struct Int8Format {
  int64_t group = 0; // columns that share a scale
  /// Codes of a weight are read as words whose bit fields are `step` apart: in every 4 * step
  /// columns, columns j, j + step, j + 2 step and j + 3 step come together.
  int64_t step = 1;

  friend bool operator==(const Int8Format &, const Int8Format &) = default;
};

/// The format for this weight's products, or none when they are computed in fp32: plain types, and
/// groups that are not a multiple of 16 or so long (over 32768) that a sum could pass 32 bits.
std::optional<Int8Format> Int8FormatOf(const WeightMatrix &w);

/// Rows of activations in one format: x is about scale * code, for each row and group of columns.
struct Int8Rows {
  Int8Format format;
  int8_t *codes = nullptr; // [rows, stride], -127..127, in the format's order
  int64_t stride = 0;
  int64_t groups = 0;
  float *scales = nullptr;     // [rows, groups]: the largest |x| / 127; NaN when x is not finite
  float *scaledSums = nullptr; // [rows, groups]: scale * sum of codes
  /// [rows, groups]: minus the sum of codes, as two 16-bit numbers low and high that stand for
  /// low + 128 * high.
  int32_t *sums = nullptr;

  Int8Rows from(int64_t row) const {
    Int8Rows rows = *this;
    rows.codes += row * stride;
    rows.scales += row * groups;
    rows.scaledSums += row * groups;
    rows.sums += row * groups;
    return rows;
  }

  static size_t bytes(int64_t rows, int64_t columns, const Int8Format &format);
  /// In `memory`, aligned to 64, which has room for bytes().
  static Int8Rows In(void *memory, int64_t rows, int64_t columns, const Int8Format &format);
};

} // namespace compressc
