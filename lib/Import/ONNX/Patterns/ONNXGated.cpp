#include "ONNXPatterns.h"

namespace compressc {

std::optional<ONNXGated> ONNXPatterns::gated(int value) const {
  ONNXGated result;
  auto activation = [&](int x) {
    const ONNXNode *node = producer(x);
    if (!node || node->inputs.empty())
      return false;
    if (node->op == "Mul") { // silu: g sigmoid(g)
      int inner = -1;
      auto product = operands(node, [&](int y) {
        const ONNXNode *sigmoid = producer(y, "Sigmoid");
        inner = sigmoid ? strip(sigmoid->inputs[0]) : -1;
        return sigmoid != nullptr;
      });
      if (!product || strip(product->second) != inner)
        return false;
      result.activation = "silu";
      result.gate = inner;
      return true;
    }
    std::string approximate = node->getString("approximate", "none");
    result.gate = node->inputs[0];
    result.activation = node->op == "Relu"      ? "relu"
                        : node->op != "Gelu"    ? ""
                        : approximate == "tanh" ? "gelu_tanh"
                        : approximate == "none" ? "gelu"
                                                : "";
    return !result.activation.empty();
  };
  auto product = operands(producer(rows(value), "Mul"), activation);
  if (!product)
    return std::nullopt;
  result.up = product->second;
  return result;
}

} // namespace compressc
