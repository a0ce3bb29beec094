// Products of matrices, and sums along a dimension.
#include "ONNXEvaluator.h"
#include <algorithm>

namespace compressc::evaluation {

Known Evaluator::matmul() {
  const Known &a = in(0), &b = in(1);
  if (!b.hasShape || a.shape.size() < 2 || b.shape.size() < 2 ||
      a.shape.back() != b.shape[b.shape.size() - 2])
    return {};
  std::optional<Shape> outer =
      broadcast({a.shape.begin(), a.shape.end() - 2}, {b.shape.begin(), b.shape.end() - 2});
  if (!outer)
    return {};
  int64_t rows = a.shape[a.shape.size() - 2], inner = a.shape.back(), columns = b.shape.back();
  Shape shape = *outer;
  shape.push_back(rows);
  shape.push_back(columns);
  Known result = shaped(a.type, shape);
  int64_t work = std::max<int64_t>(1, result.elements());
  if (!a.hasData || !b.hasData || !small(result) || inner > std::min(mostElements, left) / work)
    return result;
  left -= work * inner;
  result.hasData = true;
  Shape left(a.shape), right(b.shape), leftStrides = stridesOf(left),
                                       rightStrides = stridesOf(right);
  left.back() = right[right.size() - 2] = 1; // the inner dimension is summed over
  size_t rank = shape.size();
  forIndices(shape, [&](int64_t, const Shape &index) {
    Shape from = index;
    from[rank - 1] = 0;
    int64_t leftStart = broadcastOffset(from, left, leftStrides);
    from = index;
    from[rank - 2] = 0;
    int64_t rightStart = broadcastOffset(from, right, rightStrides);
    double sum = 0;
    for (int64_t k = 0; k < inner; ++k)
      sum += a.data[size_t(leftStart + k)] *
             b.data[size_t(rightStart + k * rightStrides[right.size() - 2])];
    result.data.push_back(sum);
  });
  return result;
}

Known Evaluator::gemm() {
  if (in(0).shape.size() != 2 || in(1).shape.size() != 2)
    return {};
  bool transA = node->getInt("transA", 0), transB = node->getInt("transB", 0);
  return shaped(in(0).type, {in(0).shape[transA ? 1 : 0], in(1).shape[transB ? 0 : 1]});
}

Known Evaluator::reduceMean() {
  std::optional<Shape> along = axes(1, in(0).shape.size());
  if (!along || !node->getInt("keepdims", 1))
    return {};
  Shape shape = in(0).shape;
  for (int64_t axis : *along)
    shape[size_t(axis)] = 1;
  return shaped(in(0).type, shape);
}

Known Evaluator::cumulativeSum() {
  Known result = copied();
  std::optional<Shape> axis = axes(1, result.shape.size());
  if (!axis || axis->size() != 1 || node->getInt("reverse", 0) || node->getInt("exclusive", 0))
    return {};
  if (!result.hasData)
    return result;
  int64_t stride = stridesOf(result.shape)[size_t((*axis)[0])];
  forIndices(result.shape, [&](int64_t element, const Shape &index) {
    if (index[size_t((*axis)[0])])
      result.data[size_t(element)] += result.data[size_t(element - stride)];
  });
  return result;
}

} // namespace compressc::evaluation
