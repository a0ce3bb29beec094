// Shapes, and other shapes for the same elements.
#include "ONNXEvaluator.h"
#include <algorithm>

namespace compressc::evaluation {

Known Evaluator::reshaped(Shape shape) {
  Known result = copied();
  std::optional<int64_t> count = product(shape);
  if (!count || *count != in(0).elements() || shape.size() > highestRank)
    return {};
  result.shape = std::move(shape);
  return result;
}

Known Evaluator::shapeOp() {
  int64_t rank = int64_t(in(0).shape.size());
  auto bound = [&](const char *key, int64_t fallback) {
    int64_t value = node->getInt(key, fallback);
    return std::clamp(value < 0 ? value + rank : value, int64_t(0), rank);
  };
  int64_t start = bound("start", 0), end = bound("end", rank);
  Known result = shaped(ONNXType::I64, {std::max<int64_t>(0, end - start)});
  result.hasData = true;
  for (int64_t d = start; d < end; ++d)
    result.data.push_back(double(in(0).shape[size_t(d)]));
  return result;
}

Known Evaluator::reshape() {
  std::optional<Shape> target = integers(1);
  if (!target)
    return {};
  int64_t inferred = -1, known = 1;
  for (size_t d = 0; d < target->size(); ++d) {
    int64_t &size = (*target)[d];
    if (size == 0 && !node->getInt("allowzero", 0)) {
      if (d >= in(0).shape.size())
        return {};
      size = in(0).shape[d];
    }
    if (size == -1 && inferred < 0)
      inferred = int64_t(d);
    else if (size < 0 || (size > 0 && known > (int64_t(1) << 50) / size))
      return {};
    else
      known *= size;
  }
  if (inferred >= 0) {
    if (known == 0 || in(0).elements() % known)
      return {};
    (*target)[size_t(inferred)] = in(0).elements() / known;
  }
  return reshaped(*target);
}

Known Evaluator::unsqueeze(bool add) {
  size_t rank = in(0).shape.size();
  Shape shape;
  if (!add && !has(1)) { // all of size one
    for (int64_t size : in(0).shape)
      if (size != 1)
        shape.push_back(size);
    return reshaped(shape);
  }
  std::optional<Shape> given = integers(1);
  if (!given)
    return {};
  std::optional<Shape> along = axes(1, add ? rank + given->size() : rank);
  if (!along)
    return {};
  auto named = [&](size_t d) {
    return std::find(along->begin(), along->end(), int64_t(d)) != along->end();
  };
  if (add) {
    size_t next = 0;
    for (size_t d = 0; d < rank + given->size(); ++d) {
      if (!named(d) && next >= rank)
        return {};
      shape.push_back(named(d) ? 1 : in(0).shape[next++]);
    }
  } else {
    for (size_t d = 0; d < rank; ++d)
      if (!named(d))
        shape.push_back(in(0).shape[d]);
  }
  return reshaped(shape);
}

} // namespace compressc::evaluation
