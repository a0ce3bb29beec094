// Shapes of the evaluator's values, and where their elements lie.
#pragma once

#include "ONNXEvaluate.h"
#include <optional>

namespace compressc::evaluation {

using Shape = std::vector<int64_t>;
using Known = ONNXKnown;

constexpr size_t highestRank = 8;

/// The number of elements; nullopt for a shape that no tensor can have.
std::optional<int64_t> product(const Shape &shape);

/// A value without data; without a shape either when no tensor can have that one.
Known shaped(ONNXType type, Shape shape);

/// `axis` counted from the front; -1 when it is none.
int64_t axisOf(int64_t axis, size_t rank);

/// Row-major, in elements.
Shape stridesOf(const Shape &shape);

/// The shape that two operands are broadcast to.
std::optional<Shape> broadcast(const Shape &a, const Shape &b);

/// Where the element of a broadcast operand lies.
int64_t broadcastOffset(const Shape &index, const Shape &shape, const Shape &strides);

/// Visits the indices of a shape in row-major order.
template <typename Function> void forIndices(const Shape &shape, const Function &function) {
  int64_t count = *product(shape);
  Shape index(shape.size(), 0);
  for (int64_t i = 0; i < count; ++i) {
    function(i, index);
    for (size_t d = shape.size(); d-- > 0;) {
      if (++index[d] < shape[d])
        break;
      index[d] = 0;
    }
  }
}

} // namespace compressc::evaluation
