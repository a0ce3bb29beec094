// What positions and masks start from.
#include "ONNXEvaluator.h"
#include <algorithm>
#include <cmath>

namespace compressc::evaluation {

Known Evaluator::constant() {
  Known result;
  auto set = [&](ONNXType type, Shape shape, std::vector<double> data) {
    result = shaped(type, std::move(shape));
    result.hasData = true;
    result.data = std::move(data);
  };
  for (const auto &[key, attribute] : node->attributes) {
    if (key == "value_int")
      set(ONNXType::I64, {}, {double(node->getInt(key, 0))});
    if (key == "value_float")
      set(ONNXType::F32, {}, {node->getFloat(key, 0)});
    if (key == "value_ints") {
      Shape list = node->getInts(key);
      set(ONNXType::I64, {int64_t(list.size())}, {list.begin(), list.end()});
    }
  }
  return result;
}

Known Evaluator::constantOfShape() {
  std::optional<Shape> shape = integers(0);
  if (!shape)
    return {};
  double fill = 0;
  Known result = shaped(ONNXType::F32, *shape);
  auto value = node->attributes.find("value");
  if (value != node->attributes.end()) {
    auto *tensor = std::get_if<std::shared_ptr<const ONNXTensor>>(&value->second);
    if (!tensor || (*tensor)->elements() != 1)
      return {};
    result.type = (*tensor)->type;
    fill = (*tensor)->at(0);
  }
  if (small(result)) {
    result.hasData = true;
    result.data.assign(size_t(result.elements()), fill);
  }
  return result;
}

Known Evaluator::range() {
  for (size_t i = 0; i < 3; ++i)
    if (!in(i).hasData || in(i).data.size() != 1)
      return {};
  double start = in(0).data[0], step = in(2).data[0];
  double count = std::ceil((in(1).data[0] - start) / step);
  if (!(count < double(mostElements)))
    return {};
  Known result = shaped(in(0).type, {int64_t(std::max(0.0, count))});
  result.hasData = small(result);
  for (int64_t i = 0; result.hasData && i < result.shape[0]; ++i)
    result.data.push_back(start + double(i) * step);
  return result;
}

Known Evaluator::triangle() {
  Known result = copied();
  size_t rank = result.shape.size();
  Shape diagonal = has(1) ? integers(1).value_or(Shape()) : Shape{0};
  if (diagonal.size() != 1 || rank < 2)
    return {};
  bool upper = node->getInt("upper", 1);
  if (result.hasData)
    forIndices(result.shape, [&](int64_t element, const Shape &index) {
      double distance = double(index[rank - 1]) - double(index[rank - 2]) - double(diagonal[0]);
      if (upper ? distance < 0 : distance > 0)
        result.data[size_t(element)] = 0;
    });
  return result;
}

} // namespace compressc::evaluation
