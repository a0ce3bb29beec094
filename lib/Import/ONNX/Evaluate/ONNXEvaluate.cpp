#include "ONNXEvaluate.h"
#include "ONNXEvaluator.h"
#include <algorithm>
#include <cmath>
#include <string_view>

namespace compressc {

namespace evaluation {

/// Larger initialisers are weights.
constexpr int64_t mostInitialElements = int64_t(1) << 12;

std::optional<Shape> Evaluator::integers(size_t i) const {
  if (!has(i) || !in(i).hasData || in(i).data.size() > 64)
    return std::nullopt;
  Shape result;
  for (double value : in(i).data)
    result.push_back(std::isnan(value) ? 0
                     : value >= 9e18   ? INT64_MAX
                     : value <= -9e18  ? INT64_MIN
                                       : int64_t(value));
  return result;
}

std::optional<Shape> Evaluator::axes(size_t i, size_t rank) const {
  std::optional<Shape> result = integers(i);
  if (result)
    for (int64_t &axis : *result)
      if ((axis = axisOf(axis, rank)) < 0)
        return std::nullopt;
  return result;
}

/// Operations on activations: only the shape is told.
constexpr std::string_view shapeOfFirst[] = {
    "Sigmoid",          "Softmax", "Sqrt",      "Reciprocal",      "Gelu", "Relu",
    "RMSNormalization", "Swish",   "Attention", "RotaryEmbedding", "Pow"};

Known Evaluator::evaluate() {
  const std::string &op = node->op;
  if (op == "Constant")
    return constant();
  if (!in(0).hasShape)
    return {};
  if (std::optional<Known> result = elementwiseOp())
    return *result;
  if (std::find(std::begin(shapeOfFirst), std::end(shapeOfFirst), op) != std::end(shapeOfFirst))
    return shaped(in(0).type, in(0).shape);
  struct Method {
    std::string_view name;
    Known (Evaluator::*method)();
  };
  constexpr Method methods[] = {
      {"Shape", &Evaluator::shapeOp},        {"Reshape", &Evaluator::reshape},
      {"Expand", &Evaluator::expand},        {"Transpose", &Evaluator::transpose},
      {"Concat", &Evaluator::concat},        {"Slice", &Evaluator::slice},
      {"Gather", &Evaluator::gather},        {"GatherND", &Evaluator::gatherND},
      {"Range", &Evaluator::range},          {"CumSum", &Evaluator::cumulativeSum},
      {"Trilu", &Evaluator::triangle},       {"ConstantOfShape", &Evaluator::constantOfShape},
      {"MatMul", &Evaluator::matmul},        {"Gemm", &Evaluator::gemm},
      {"ReduceMean", &Evaluator::reduceMean}};
  for (const Method &method : methods)
    if (method.name == op)
      return (this->*method.method)();
  if (op == "Unsqueeze" || op == "Squeeze")
    return unsqueeze(op == "Unsqueeze");
  return {};
}

bool Evaluator::small(const Known &value) const {
  return value.hasShape && value.elements() <= std::min(mostElements, left);
}

void Evaluator::keep(int value, Known result) {
  left -= int64_t(result.data.size());
  values[size_t(value)] = std::move(result);
}

std::vector<Known> Evaluator::run(const std::vector<ONNXInputKind> &kinds, int64_t batch,
                                  int64_t sequence) {
  for (size_t i = 0; i < values.size(); ++i)
    if (const auto &tensor = graph.values()[i].initializer) {
      values[i] = shaped(tensor->type, tensor->shape);
      if (!small(values[i]) || tensor->elements() > mostInitialElements)
        continue;
      values[i].hasData = true;
      for (int64_t k = 0; k < tensor->elements(); ++k)
        values[i].data.push_back(tensor->at(k));
      left -= tensor->elements();
    }
  for (size_t i = 0; i < graph.inputs().size(); ++i) {
    const ONNXInput &input = graph.inputs()[i];
    Known &value = values[size_t(input.value)];
    value = shaped(input.type, {batch, sequence});
    value.hasData = kinds[i] != ONNXInputKind::Unknown;
    for (int64_t k = 0; value.hasData && k < batch * sequence; ++k)
      value.data.push_back(kinds[i] == ONNXInputKind::Ones ? 1 : double(k % sequence));
  }
  for (const ONNXNode &each : graph.nodes()) {
    node = &each;
    if (each.op == "Split" && in(0).hasShape)
      split();
    else
      keep(each.outputs.front(), evaluate());
  }
  return std::move(values);
}

} // namespace evaluation

int64_t ONNXKnown::elements() const { return evaluation::product(shape).value_or(0); }

std::vector<ONNXKnown> EvaluateONNX(const ONNXGraph &graph, const std::vector<ONNXInputKind> &kinds,
                                    int64_t batch, int64_t sequence) {
  return evaluation::Evaluator(graph).run(kinds, batch, sequence);
}

} // namespace compressc
