#include "ONNXPatterns.h"

namespace compressc {

std::optional<ONNXWeight> ONNXPatterns::weight(int value) const {
  auto shapeOf = [&](int parameter) {
    return graph->values()[size_t(parameter)].initializer->shape;
  };
  if (int stored = parameter(value, 2); stored >= 0)
    return ONNXWeight{stored, true, shapeOf(stored)[1], shapeOf(stored)[0]};
  const ONNXNode *node = producer(value, "Transpose");
  int stored = node ? parameter(node->inputs[0], 2) : -1;
  std::vector<int64_t> order = node ? node->getInts("perm") : std::vector<int64_t>();
  if (stored < 0 || (!order.empty() && order != std::vector<int64_t>{1, 0}))
    return std::nullopt;
  return ONNXWeight{stored, false, shapeOf(stored)[0], shapeOf(stored)[1]};
}

std::optional<ONNXLinear> ONNXPatterns::linear(int value) const {
  value = rows(value);
  ONNXLinear result;
  if (auto sum = operands(producer(value, "Add"), [&](int x) { return parameter(x, 1) >= 0; })) {
    result.bias = parameter(sum->first, 1);
    value = rows(sum->second);
  }
  if (const ONNXNode *node = producer(value, "MatMul")) {
    std::optional<ONNXWeight> found = weight(node->inputs[1]);
    if (!found)
      return std::nullopt;
    result.input = rows(node->inputs[0]);
    result.weight = *found;
  } else if (const ONNXNode *node = producer(value, "Gemm")) {
    std::optional<ONNXWeight> found = weight(node->inputs[1]);
    bool biased = node->inputs.size() > 2 && node->inputs[2] >= 0;
    if (!found || node->getInt("transA", 0) || node->getFloat("alpha", 1) != 1 ||
        (biased && (node->getFloat("beta", 1) != 1 || result.bias >= 0)))
      return std::nullopt;
    if (node->getInt("transB", 0)) {
      found->transposed = !found->transposed;
      std::swap(found->rows, found->columns);
    }
    if (biased && (result.bias = parameter(node->inputs[2], 1)) < 0)
      return std::nullopt;
    result.input = rows(node->inputs[0]);
    result.weight = *found;
  } else {
    return std::nullopt;
  }
  // A bias of one element would be added to every column.
  if (result.bias >= 0 &&
      graph->values()[size_t(result.bias)].initializer->shape[0] != result.weight.rows)
    return std::nullopt;
  return result;
}

} // namespace compressc
