// Operations on single elements, and broadcasting.
#include "ONNXEvaluator.h"
#include <algorithm>
#include <cmath>
#include <string_view>

namespace compressc::evaluation {

namespace {

double roundedTo(ONNXType type, double value) {
  if (type == ONNXType::Bool)
    return value != 0;
  return IsFloat(type) ? value : std::trunc(value);
}

using Scalar = double (*)(const double *);
struct ScalarOp {
  std::string_view name;
  size_t operands;
  bool boolean; // the result's type
  Scalar function;
};

constexpr ScalarOp scalarOps[] = {
    {"Add", 2, false, [](const double *x) { return x[0] + x[1]; }},
    {"Sub", 2, false, [](const double *x) { return x[0] - x[1]; }},
    {"Mul", 2, false, [](const double *x) { return x[0] * x[1]; }},
    {"Max", 2, false, [](const double *x) { return std::max(x[0], x[1]); }},
    {"Min", 2, false, [](const double *x) { return std::min(x[0], x[1]); }},
    {"Neg", 1, false, [](const double *x) { return -x[0]; }},
    {"Cos", 1, false, [](const double *x) { return std::cos(x[0]); }},
    {"Sin", 1, false, [](const double *x) { return std::sin(x[0]); }},
    {"Identity", 1, false, [](const double *x) { return x[0]; }},
    {"Equal", 2, true, [](const double *x) { return double(x[0] == x[1]); }},
    {"Less", 2, true, [](const double *x) { return double(x[0] < x[1]); }},
    {"LessOrEqual", 2, true, [](const double *x) { return double(x[0] <= x[1]); }},
    {"Greater", 2, true, [](const double *x) { return double(x[0] > x[1]); }},
    {"GreaterOrEqual", 2, true, [](const double *x) { return double(x[0] >= x[1]); }},
    {"And", 2, true, [](const double *x) { return double(x[0] != 0 && x[1] != 0); }},
    {"Or", 2, true, [](const double *x) { return double(x[0] != 0 || x[1] != 0); }},
    {"Not", 1, true, [](const double *x) { return double(x[0] == 0); }},
};

} // namespace

Known Evaluator::elementwise(const std::function<double(const double *)> &function,
                             size_t operands) {
  Known result;
  std::optional<Shape> shape = Shape();
  bool data = true;
  for (size_t i = 0; i < operands; ++i) {
    if (!in(i).hasShape)
      return {};
    shape = broadcast(*shape, in(i).shape);
    if (!shape)
      return {};
    data = data && in(i).hasData;
  }
  result = shaped(in(0).type, *shape);
  if (!data || !small(result))
    return result;
  result.hasData = true;
  result.data.resize(size_t(result.elements()));
  std::vector<Shape> strides;
  for (size_t i = 0; i < operands; ++i)
    strides.push_back(stridesOf(in(i).shape));
  forIndices(*shape, [&](int64_t element, const Shape &index) {
    double arguments[3];
    for (size_t i = 0; i < operands; ++i)
      arguments[i] = in(i).data[size_t(broadcastOffset(index, in(i).shape, strides[i]))];
    result.data[size_t(element)] = function(arguments);
  });
  return result;
}

std::optional<Known> Evaluator::elementwiseOp() {
  const std::string &op = node->op;
  for (const ScalarOp &scalar : scalarOps)
    if (scalar.name == op) {
      if (node->inputs.size() != scalar.operands)
        return Known();
      Known result = elementwise(scalar.function, scalar.operands);
      if (scalar.boolean)
        result.type = ONNXType::Bool;
      return result;
    }
  if (op == "Div") // exact for what positions and scales need; integers round towards zero
    return elementwise(
        [type = in(0).type](const double *x) { return roundedTo(type, x[0] / x[1]); }, 2);
  if (op == "Where") {
    Known result = elementwise([](const double *x) { return x[0] != 0 ? x[1] : x[2]; }, 3);
    result.type = in(1).type;
    return result;
  }
  if (op == "Cast" || op == "CastLike") {
    ONNXType type = op == "Cast" ? ONNXType(node->getInt("to", 0)) : in(1).type;
    Known result = elementwise([type](const double *x) { return roundedTo(type, x[0]); }, 1);
    result.type = type;
    return result;
  }
  return std::nullopt;
}

} // namespace compressc::evaluation
