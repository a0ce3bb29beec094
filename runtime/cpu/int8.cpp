#include "int8.h"

namespace compressc {

std::optional<Int8Format> Int8FormatOf(const WeightMatrix &w) {
  switch (w.dtype) {
  case DType::Q4_0:
  case DType::Q4_1:
  case DType::Q8_0:
    return Int8Format{DTypeBlock(w.dtype).elements, 1};
  case DType::Packed:
    if (w.packed.group % 16 || w.packed.group > 32768)
      return std::nullopt;
    return Int8Format{w.packed.group, w.packed.bits == 3 ? 1 : 8 / w.packed.bits};
  default:
    return std::nullopt;
  }
}

/// Rows end on a cache line, and one line further: not all of them on the same cache sets.
static int64_t rowStride(int64_t columns) { return (columns + 63) / 64 * 64 + 64; }

size_t Int8Rows::bytes(int64_t rows, int64_t columns, const Int8Format &format) {
  int64_t words = rows * (columns / format.group);
  return size_t(rows * rowStride(columns) + (3 * words * 4 + 63) / 64 * 64);
}

Int8Rows Int8Rows::In(void *memory, int64_t rows, int64_t columns, const Int8Format &format) {
  Int8Rows x;
  x.format = format;
  x.codes = static_cast<int8_t *>(memory);
  x.stride = rowStride(columns);
  x.groups = columns / format.group;
  x.scales = reinterpret_cast<float *>(x.codes + rows * x.stride);
  x.scaledSums = x.scales + rows * x.groups;
  x.sums = reinterpret_cast<int32_t *>(x.scaledSums + rows * x.groups);
  return x;
}

} // namespace compressc
