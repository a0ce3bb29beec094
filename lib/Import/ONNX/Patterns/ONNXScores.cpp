// softmax(scale q kᵀ + mask) v: as one operation, or spelled out.
#include "ONNXPatterns.h"
#include <cmath>

namespace compressc {

namespace {

/// How far a constant of this type may lie from the number that it stands for.
double relativeError(ONNXType type) {
  return type == ONNXType::BF16 ? 4e-3 : type == ONNXType::F16 ? 5e-4 : 1e-6;
}

} // namespace

int ONNXPatterns::unscaled(int value, double &scale, double &tolerance) const {
  for (;; value = strip(value)) {
    auto isScalar = [&](int x) { return scalar(x).has_value(); };
    int factor = -1, rest = -1;
    bool divides = false;
    if (auto product = operands(producer(value, "Mul"), isScalar))
      std::tie(factor, rest) = *product;
    else if (const ONNXNode *quotient = producer(value, "Div");
             quotient && isScalar(quotient->inputs[1])) {
      divides = true;
      factor = quotient->inputs[1], rest = quotient->inputs[0];
    }
    if (factor < 0)
      return strip(value);
    scale *= divides ? 1 / *scalar(factor) : *scalar(factor);
    tolerance += relativeError(known(factor).type);
    value = rest;
  }
}

/// softmax(scale q kᵀ + mask) v, spelled out.
std::optional<ONNXPatterns::Scores> ONNXPatterns::scores(int value) const {
  const ONNXNode *product = producer(value, "MatMul");
  const ONNXNode *softmax = product ? producer(product->inputs[0], "Softmax") : nullptr;
  if (!softmax)
    return std::nullopt;
  Scores result;
  result.value = product->inputs[1];
  int64_t axis = softmax->getInt("axis", -1);
  int scaled = strip(softmax->inputs[0]);
  if (axis != -1 && axis != int64_t(rank(scaled)) - 1)
    return std::nullopt;
  if (const ONNXNode *chosen = producer(scaled, "Where")) {
    if (chosen->inputs.size() != 3 || !scalar(chosen->inputs[2]) ||
        *scalar(chosen->inputs[2]) > -1e4)
      return std::nullopt;
    result.chosen = true;
    result.mask = chosen->inputs[0];
    scaled = strip(chosen->inputs[1]);
  } else if (auto sum =
                 operands(producer(scaled, "Add"), [&](int x) { return known(x).hasData; })) {
    result.mask = sum->first;
    scaled = strip(sum->second);
  }
  const ONNXNode *dots = producer(unscaled(scaled, result.scale, result.tolerance), "MatMul");
  if (!dots)
    return std::nullopt;
  result.query = unscaled(dots->inputs[0], result.scale, result.tolerance);
  const ONNXNode *swapped =
      producer(unscaled(dots->inputs[1], result.scale, result.tolerance), "Transpose");
  if (!swapped || swapped->getInts("perm") != std::vector<int64_t>{0, 1, 3, 2})
    return std::nullopt;
  result.key = unscaled(swapped->inputs[0], result.scale, result.tolerance);
  return result;
}

StatusOr<ONNXPatterns::Scores> ONNXPatterns::attentionOp(const ONNXNode &node) const {
  int output = node.outputs.front();
  if (node.inputs.size() < 3 || node.inputs[0] < 0 || node.inputs[1] < 0 || node.inputs[2] < 0)
    return error(output, "attention needs q, k and v");
  for (size_t i = 4; i < node.inputs.size(); ++i)
    if (node.inputs[i] >= 0)
      return error(output, "attention with a cache of past keys is not supported: export with "
                           "use_cache=False");
  if (node.getFloat("softcap", 0) != 0)
    return error(output, "softcap is not supported");
  Scores result;
  result.query = node.inputs[0], result.key = node.inputs[1], result.value = node.inputs[2];
  if (rank(result.query) != 4)
    return error(output, "attention needs heads of rank 4");
  result.mask = node.inputs.size() > 3 ? node.inputs[3] : -1;
  result.chosen = result.mask >= 0 && known(result.mask).type == ONNXType::Bool;
  result.causal = node.getInt("is_causal", 0);
  result.scale = node.getFloat("scale", 1 / std::sqrt(double(lastSize(result.query))));
  result.tolerance = 1e-6;
  return result;
}

} // namespace compressc
