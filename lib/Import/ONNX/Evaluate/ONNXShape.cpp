#include "ONNXShape.h"
#include <algorithm>

namespace compressc::evaluation {

std::optional<int64_t> product(const Shape &shape) {
  int64_t count = 1, strides = 1; // sizes of 0 leave the strides of other dimensions as they are
  for (int64_t size : shape) {
    if (size < 0 || (size > 0 && strides > (int64_t(1) << 50) / size))
      return std::nullopt;
    count *= size;
    strides *= std::max<int64_t>(1, size);
  }
  return count;
}

Known shaped(ONNXType type, Shape shape) {
  Known result;
  result.hasShape = shape.size() <= highestRank && product(shape).has_value();
  result.type = type;
  result.shape = std::move(shape);
  return result;
}

int64_t axisOf(int64_t axis, size_t rank) {
  if (axis < 0)
    axis += int64_t(rank);
  return axis >= 0 && axis < int64_t(rank) ? axis : -1;
}

Shape stridesOf(const Shape &shape) {
  Shape strides(shape.size());
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0; stride *= std::max<int64_t>(1, shape[i]))
    strides[i] = stride;
  return strides;
}

std::optional<Shape> broadcast(const Shape &a, const Shape &b) {
  Shape result(std::max(a.size(), b.size()));
  for (size_t i = 0; i < result.size(); ++i) {
    int64_t left = i < a.size() ? a[a.size() - 1 - i] : 1;
    int64_t right = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (left != right && left != 1 && right != 1)
      return std::nullopt;
    result[result.size() - 1 - i] = left == 1 ? right : left;
  }
  return result;
}

int64_t broadcastOffset(const Shape &index, const Shape &shape, const Shape &strides) {
  int64_t offset = 0;
  size_t skipped = index.size() - shape.size();
  for (size_t d = 0; d < shape.size(); ++d)
    offset += shape[d] == 1 ? 0 : index[skipped + d] * strides[d];
  return offset;
}

} // namespace compressc::evaluation
