#include "ONNXPatterns.h"

namespace compressc {

/// x of mean(x^2) over the last dimension.
std::optional<int> ONNXPatterns::meanSquare(int value) const {
  const ONNXNode *mean = producer(value, "ReduceMean");
  if (!mean || !mean->getInt("keepdims", 1) || mean->inputs.size() != 2)
    return std::nullopt;
  std::optional<double> axis = scalar(mean->inputs[1]);
  size_t dimensions = rank(mean->inputs[0]);
  if (!axis || !known(mean->inputs[0]).hasShape || (*axis != -1 && *axis != double(dimensions) - 1))
    return std::nullopt;
  if (const ONNXNode *power = producer(mean->inputs[0], "Pow"))
    return scalar(power->inputs[1]) == 2.0 ? std::optional(strip(power->inputs[0])) : std::nullopt;
  const ONNXNode *square = producer(mean->inputs[0], "Mul");
  if (square && strip(square->inputs[0]) == strip(square->inputs[1]))
    return strip(square->inputs[0]);
  return std::nullopt;
}

/// x and epsilon of sqrt(mean(x^2) + epsilon).
std::optional<std::pair<int, double>> ONNXPatterns::inverseRoot(int value) const {
  const ONNXNode *root = producer(value, "Sqrt");
  auto sum = root ? operands(producer(root->inputs[0], "Add"),
                             [&](int x) { return scalar(x).has_value(); })
                  : std::nullopt;
  std::optional<int> input = sum ? meanSquare(sum->second) : std::nullopt;
  if (!input)
    return std::nullopt;
  return std::pair(*input, *scalar(sum->first));
}

/// x and epsilon of x / sqrt(mean(x^2) + epsilon).
std::optional<std::pair<int, double>> ONNXPatterns::normalised(int value) const {
  if (const ONNXNode *quotient = producer(value, "Div")) {
    auto root = inverseRoot(quotient->inputs[1]);
    return root && root->first == strip(quotient->inputs[0]) ? root : std::nullopt;
  }
  std::optional<std::pair<int, double>> root;
  auto inverse = [&](int x) {
    if (const ONNXNode *node = producer(x, "Reciprocal"))
      root = inverseRoot(node->inputs[0]);
    else if (const ONNXNode *node = producer(x, "Div"); node && scalar(node->inputs[0]) == 1.0)
      root = inverseRoot(node->inputs[1]);
    return root.has_value();
  };
  auto factors = operands(producer(value, "Mul"), inverse);
  return factors && root->first == strip(factors->second) ? root : std::nullopt;
}

std::optional<ONNXNorm> ONNXPatterns::norm(int value) const {
  ONNXNorm result;
  if (const ONNXNode *node = producer(value, "RMSNormalization")) {
    int64_t axis = node->getInt("axis", -1);
    if (!known(node->inputs[0]).hasShape ||
        (axis != -1 && axis != int64_t(rank(node->inputs[0])) - 1))
      return std::nullopt;
    result = {rows(node->inputs[0]), parameter(node->inputs[1], 1),
              node->getFloat("epsilon", 1e-5)};
  } else {
    auto factors = operands(producer(value, "Mul"), [&](int x) { return parameter(x, 1) >= 0; });
    auto input = factors ? normalised(factors->second) : std::nullopt;
    if (!input)
      return std::nullopt;
    result = {rows(input->first), parameter(factors->first, 1), input->second};
  }
  if (result.weight < 0 ||
      graph->values()[size_t(result.weight)].initializer->shape[0] != lastSize(strip(value)))
    return std::nullopt;
  return result;
}

} // namespace compressc
