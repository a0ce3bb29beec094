// Operations that choose elements and move them.
#include "ONNXEvaluator.h"
#include <algorithm>
#include <numeric>

namespace compressc::evaluation {

/// Operand 0.
Known Evaluator::copied() {
  Known result = shaped(in(0).type, in(0).shape);
  result.hasData = in(0).hasData && small(result);
  if (result.hasData)
    result.data = in(0).data;
  return result;
}

/// Elements of operand 0 at the offsets that the function gives for the result's indices.
Known Evaluator::gatherIndices(Known result, const std::function<int64_t(const Shape &)> &offset) {
  if (!in(0).hasData || !small(result))
    return result;
  result.hasData = true;
  result.data.resize(size_t(result.elements()));
  int64_t available = int64_t(in(0).data.size());
  forIndices(result.shape, [&](int64_t element, const Shape &index) {
    int64_t from = offset(index);
    if (from >= 0 && from < available)
      result.data[size_t(element)] = in(0).data[size_t(from)];
    else
      result.hasData = false;
  });
  return result;
}

Known Evaluator::expand() {
  std::optional<Shape> target = integers(1);
  if (!target)
    return {};
  std::optional<Shape> shape = broadcast(in(0).shape, *target);
  if (!shape)
    return {};
  Shape strides = stridesOf(in(0).shape);
  return gatherIndices(shaped(in(0).type, *shape), [&](const Shape &index) {
    return broadcastOffset(index, in(0).shape, strides);
  });
}

Known Evaluator::transpose() {
  size_t rank = in(0).shape.size();
  Shape order = node->getInts("perm");
  if (order.empty())
    for (size_t d = rank; d-- > 0;)
      order.push_back(int64_t(d));
  Shape sorted = order, plain(rank);
  std::sort(sorted.begin(), sorted.end());
  std::iota(plain.begin(), plain.end(), 0);
  if (sorted != plain)
    return {};
  Shape shape, strides = stridesOf(in(0).shape);
  for (int64_t d : order)
    shape.push_back(in(0).shape[size_t(d)]);
  return gatherIndices(shaped(in(0).type, shape), [&](const Shape &index) {
    int64_t offset = 0;
    for (size_t d = 0; d < rank; ++d)
      offset += index[d] * strides[size_t(order[d])];
    return offset;
  });
}

Known Evaluator::concat() {
  int64_t axis = axisOf(node->getInt("axis", 0), in(0).shape.size());
  if (axis < 0)
    return {};
  Shape shape = in(0).shape;
  shape[size_t(axis)] = 0;
  bool data = true;
  for (size_t i = 0; i < node->inputs.size(); ++i) {
    Shape other = in(i).shape;
    if (!in(i).hasShape || other.size() != shape.size())
      return {};
    shape[size_t(axis)] += other[size_t(axis)];
    if (shape[size_t(axis)] > (int64_t(1) << 50))
      return {};
    other[size_t(axis)] = shape[size_t(axis)];
    if (other != shape)
      return {};
    data = data && in(i).hasData;
  }
  Known result = shaped(in(0).type, shape);
  if (!data || !small(result))
    return result;
  result.hasData = true;
  int64_t outer = *product({shape.begin(), shape.begin() + axis});
  for (int64_t o = 0; o < outer; ++o)
    for (size_t i = 0; i < node->inputs.size(); ++i) {
      int64_t run = outer ? in(i).elements() / outer : 0;
      result.data.insert(result.data.end(), in(i).data.begin() + o * run,
                         in(i).data.begin() + (o + 1) * run);
    }
  return result;
}

Known Evaluator::slice() {
  size_t rank = in(0).shape.size();
  std::optional<Shape> starts = integers(1), ends = integers(2);
  if (!starts || !ends || starts->size() != ends->size())
    return {};
  Shape all(starts->size()), ones(starts->size(), 1);
  std::iota(all.begin(), all.end(), 0);
  std::optional<Shape> along = has(3) ? axes(3, rank) : all, steps = has(4) ? integers(4) : ones;
  if (!along || !steps || along->size() != starts->size() || steps->size() != starts->size() ||
      along->size() > rank)
    return {};
  Shape shape = in(0).shape, first(rank, 0);
  for (size_t i = 0; i < along->size(); ++i) {
    if ((*steps)[i] != 1)
      return {};
    size_t axis = size_t((*along)[i]);
    int64_t size = in(0).shape[axis];
    auto clamped = [&](int64_t bound) {
      return std::clamp<int64_t>(bound < 0 ? std::max(bound, -size) + size : bound, 0, size);
    };
    first[axis] = clamped((*starts)[i]);
    shape[axis] = std::max<int64_t>(0, clamped((*ends)[i]) - first[axis]);
  }
  Shape strides = stridesOf(in(0).shape);
  return gatherIndices(shaped(in(0).type, shape), [&](const Shape &index) {
    int64_t offset = 0;
    for (size_t d = 0; d < rank; ++d)
      offset += (index[d] + first[d]) * strides[d];
    return offset;
  });
}

Known Evaluator::gather() {
  int64_t axis = axisOf(node->getInt("axis", 0), in(0).shape.size());
  if (axis < 0 || !in(1).hasShape)
    return {};
  size_t at = size_t(axis), indexRank = in(1).shape.size();
  Shape shape(in(0).shape.begin(), in(0).shape.begin() + axis);
  shape.insert(shape.end(), in(1).shape.begin(), in(1).shape.end());
  shape.insert(shape.end(), in(0).shape.begin() + axis + 1, in(0).shape.end());
  Known result = shaped(in(0).type, shape);
  if (!in(1).hasData)
    return result;
  Shape strides = stridesOf(in(0).shape), indexStrides = stridesOf(in(1).shape);
  return gatherIndices(result, [&](const Shape &index) -> int64_t {
    int64_t which = 0, offset = 0;
    for (size_t d = 0; d < indexRank; ++d)
      which += index[at + d] * indexStrides[d];
    double chosen = in(1).data[size_t(which)];
    chosen += chosen < 0 ? double(in(0).shape[at]) : 0;
    if (!(chosen >= 0 && chosen < double(in(0).shape[at])))
      return -1;
    for (size_t d = 0; d < in(0).shape.size(); ++d)
      offset += (d == at  ? int64_t(chosen)
                 : d < at ? index[d]
                          : index[d + indexRank - 1]) *
                strides[d];
    return offset;
  });
}

Known Evaluator::gatherND() {
  if (node->getInt("batch_dims", 0) != 0 || !in(1).hasShape || in(1).shape.empty())
    return {};
  int64_t depth = in(1).shape.back();
  size_t rank = in(0).shape.size(), outer = in(1).shape.size() - 1;
  if (depth < 1 || depth > int64_t(rank))
    return {};
  Shape shape(in(1).shape.begin(), in(1).shape.end() - 1);
  shape.insert(shape.end(), in(0).shape.begin() + depth, in(0).shape.end());
  Known result = shaped(in(0).type, shape);
  if (!in(1).hasData)
    return result;
  Shape strides = stridesOf(in(0).shape), indexStrides = stridesOf(in(1).shape);
  return gatherIndices(result, [&](const Shape &index) -> int64_t {
    int64_t tuple = 0, offset = 0;
    for (size_t d = 0; d < outer; ++d)
      tuple += index[d] * indexStrides[d];
    for (int64_t d = 0; d < depth; ++d) {
      double size = double(in(0).shape[size_t(d)]), chosen = in(1).data[size_t(tuple + d)];
      chosen += chosen < 0 ? size : 0;
      if (!(chosen >= 0 && chosen < size))
        return -1;
      offset += int64_t(chosen) * strides[size_t(d)];
    }
    for (size_t d = size_t(depth); d < rank; ++d)
      offset += index[outer + d - size_t(depth)] * strides[d];
    return offset;
  });
}

void Evaluator::split() {
  int64_t axis = axisOf(node->getInt("axis", 0), in(0).shape.size());
  if (axis < 0)
    return;
  int64_t size = in(0).shape[size_t(axis)], parts = int64_t(node->outputs.size());
  Shape equal(node->outputs.size(), size / parts);
  std::optional<Shape> sizes = has(1) ? integers(1) : equal;
  if (!sizes || sizes->size() != node->outputs.size() || (!has(1) && size % parts))
    return;
  for (size_t i = 0; i < node->outputs.size(); ++i)
    if (node->outputs[i] >= 0) {
      Shape shape = in(0).shape;
      shape[size_t(axis)] = (*sizes)[i];
      values[size_t(node->outputs[i])] = shaped(in(0).type, shape);
    }
}

} // namespace compressc::evaluation
