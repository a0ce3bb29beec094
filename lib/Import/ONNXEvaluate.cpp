#include "ONNXEvaluate.h"
#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <optional>
#include <string_view>

namespace compressc {

namespace {

using Shape = std::vector<int64_t>;
using Known = ONNXKnown;

/// More than masks of the sizes that are asked for need; a graph that is not trusted may ask for
/// anything.
constexpr int64_t mostElements = int64_t(1) << 22;
/// Larger initialisers are weights.
constexpr int64_t mostInitialElements = int64_t(1) << 12;
constexpr size_t highestRank = 8;

std::optional<int64_t> product(const Shape &shape) {
  int64_t count = 1;
  for (int64_t size : shape) {
    if (size < 0 || (size > 0 && count > (int64_t(1) << 50) / size))
      return std::nullopt;
    count *= size;
  }
  return count;
}

Known shaped(ONNXType type, Shape shape) {
  Known result;
  result.hasShape = shape.size() <= highestRank && product(shape).has_value();
  result.type = type;
  result.shape = std::move(shape);
  return result;
}

bool small(const Known &value) { return value.hasShape && value.elements() <= mostElements; }

/// `axis` counted from the front; -1 when it is none.
int64_t axisOf(int64_t axis, size_t rank) {
  if (axis < 0)
    axis += int64_t(rank);
  return axis >= 0 && axis < int64_t(rank) ? axis : -1;
}

Shape stridesOf(const Shape &shape) {
  Shape strides(shape.size());
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0; stride *= shape[i])
    strides[i] = stride;
  return strides;
}

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

std::optional<Shape> broadcast(const Shape &a, const Shape &b) {
  Shape result(std::max(a.size(), b.size()));
  for (size_t i = 0; i < result.size(); ++i) {
    int64_t left = i < a.size() ? a[a.size() - 1 - i] : 1;
    int64_t right = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (left != right && left != 1 && right != 1)
      return std::nullopt;
    result[result.size() - 1 - i] = left == 1 ? right : left;
  }
  return result;
}

/// Where the element of a broadcast operand lies.
int64_t broadcastOffset(const Shape &index, const Shape &shape, const Shape &strides) {
  int64_t offset = 0;
  size_t skipped = index.size() - shape.size();
  for (size_t d = 0; d < shape.size(); ++d)
    offset += shape[d] == 1 ? 0 : index[skipped + d] * strides[d];
  return offset;
}

double roundedTo(ONNXType type, double value) {
  if (type == ONNXType::Bool)
    return value != 0;
  return IsFloat(type) ? value : std::trunc(value);
}

class Evaluator {
public:
  Evaluator(const ONNXGraph &graph) : graph(graph), values(graph.values().size()) {}
  std::vector<Known> run(const std::vector<ONNXInputKind> &kinds, int64_t batch, int64_t sequence);

private:
  const Known &in(size_t i) const {
    static const Known nothing;
    return has(i) ? values[node->inputs[i]] : nothing;
  }
  bool has(size_t i) const { return i < node->inputs.size() && node->inputs[i] >= 0; }
  /// The integers of an operand, or of the attribute that older operator sets have in its place.
  std::optional<Shape> integers(size_t i) const;
  std::optional<Shape> axes(size_t i, size_t rank) const;

  Known evaluate();
  Known elementwise(const std::function<double(const double *)> &function, size_t operands);
  Known gatherIndices(Known result, const std::function<int64_t(const Shape &)> &offset);
  Known reshaped(Shape shape);
  Known shapeOp();
  Known reshape();
  Known expand();
  Known transpose();
  Known concat();
  Known slice();
  Known gather();
  Known gatherND();
  Known range();
  Known cumulativeSum();
  Known triangle();
  Known constant();
  Known constantOfShape();
  Known matmul();
  Known gemm();
  Known unsqueeze(bool add);
  Known reduceMean();
  void split();

  const ONNXGraph &graph;
  const ONNXNode *node = nullptr;
  std::vector<Known> values;
};

std::optional<Shape> Evaluator::integers(size_t i) const {
  if (!has(i) || !in(i).hasData || in(i).data.size() > 64)
    return std::nullopt;
  Shape result;
  for (double value : in(i).data)
    result.push_back(value >= 9e18 ? INT64_MAX : value <= -9e18 ? INT64_MIN : int64_t(value));
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

/// Elements of operand 0 at the offsets that the function gives for the result's indices.
Known Evaluator::gatherIndices(Known result,
                               const std::function<int64_t(const Shape &)> &offset) {
  if (!in(0).hasData || !small(result))
    return result;
  result.hasData = true;
  result.data.resize(size_t(result.elements()));
  int64_t available = int64_t(in(0).data.size());
  forIndices(result.shape, [&](int64_t element, const Shape &index) {
    int64_t from = offset(index);
    if (from >= 0 && from < available)
      result.data[size_t(element)] = in(0).data[size_t(from)];
    else
      result.hasData = false;
  });
  return result;
}

Known Evaluator::reshaped(Shape shape) {
  Known result = shaped(in(0).type, std::move(shape));
  if (!result.hasShape || result.elements() != in(0).elements())
    return {};
  result.hasData = in(0).hasData;
  result.data = in(0).data;
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
    else if (size < 0 || size > (int64_t(1) << 40) || known > (int64_t(1) << 40))
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

Known Evaluator::expand() {
  std::optional<Shape> target = integers(1);
  if (!target)
    return {};
  std::optional<Shape> shape = broadcast(in(0).shape, *target);
  if (!shape)
    return {};
  Shape strides = stridesOf(in(0).shape);
  return gatherIndices(shaped(in(0).type, *shape), [&](const Shape &index) {
    return broadcastOffset(index, in(0).shape, strides);
  });
}

Known Evaluator::transpose() {
  size_t rank = in(0).shape.size();
  Shape order = node->getInts("perm");
  if (order.empty())
    for (size_t d = rank; d-- > 0;)
      order.push_back(int64_t(d));
  Shape sorted = order, plain(rank);
  std::sort(sorted.begin(), sorted.end());
  std::iota(plain.begin(), plain.end(), 0);
  if (sorted != plain)
    return {};
  Shape shape, strides = stridesOf(in(0).shape);
  for (int64_t d : order)
    shape.push_back(in(0).shape[size_t(d)]);
  return gatherIndices(shaped(in(0).type, shape), [&](const Shape &index) {
    int64_t offset = 0;
    for (size_t d = 0; d < rank; ++d)
      offset += index[d] * strides[size_t(order[d])];
    return offset;
  });
}

Known Evaluator::concat() {
  int64_t axis = axisOf(node->getInt("axis", 0), in(0).shape.size());
  if (axis < 0)
    return {};
  Shape shape = in(0).shape;
  shape[size_t(axis)] = 0;
  bool data = true;
  for (size_t i = 0; i < node->inputs.size(); ++i) {
    Shape other = in(i).shape;
    if (!in(i).hasShape || other.size() != shape.size())
      return {};
    shape[size_t(axis)] += other[size_t(axis)];
    other[size_t(axis)] = shape[size_t(axis)];
    if (other != shape)
      return {};
    data = data && in(i).hasData;
  }
  Known result = shaped(in(0).type, shape);
  if (!data || !small(result))
    return result;
  result.hasData = true;
  int64_t outer = *product({shape.begin(), shape.begin() + axis});
  for (int64_t o = 0; o < outer; ++o)
    for (size_t i = 0; i < node->inputs.size(); ++i) {
      int64_t run = outer ? in(i).elements() / outer : 0;
      result.data.insert(result.data.end(), in(i).data.begin() + o * run,
                         in(i).data.begin() + (o + 1) * run);
    }
  return result;
}

Known Evaluator::slice() {
  size_t rank = in(0).shape.size();
  std::optional<Shape> starts = integers(1), ends = integers(2);
  if (!starts || !ends || starts->size() != ends->size())
    return {};
  Shape all(starts->size()), ones(starts->size(), 1);
  std::iota(all.begin(), all.end(), 0);
  std::optional<Shape> along = has(3) ? axes(3, rank) : all, steps = has(4) ? integers(4) : ones;
  if (!along || !steps || along->size() != starts->size() || steps->size() != starts->size() ||
      along->size() > rank)
    return {};
  Shape shape = in(0).shape, first(rank, 0);
  for (size_t i = 0; i < along->size(); ++i) {
    if ((*steps)[i] != 1)
      return {};
    size_t axis = size_t((*along)[i]);
    int64_t size = in(0).shape[axis];
    auto clamped = [&](int64_t bound) {
      return std::clamp<int64_t>(bound < 0 ? std::max(bound, -size) + size : bound, 0, size);
    };
    first[axis] = clamped((*starts)[i]);
    shape[axis] = std::max<int64_t>(0, clamped((*ends)[i]) - first[axis]);
  }
  Shape strides = stridesOf(in(0).shape);
  return gatherIndices(shaped(in(0).type, shape), [&](const Shape &index) {
    int64_t offset = 0;
    for (size_t d = 0; d < rank; ++d)
      offset += (index[d] + first[d]) * strides[d];
    return offset;
  });
}

Known Evaluator::gather() {
  int64_t axis = axisOf(node->getInt("axis", 0), in(0).shape.size());
  if (axis < 0 || !in(1).hasShape)
    return {};
  size_t at = size_t(axis), indexRank = in(1).shape.size();
  Shape shape(in(0).shape.begin(), in(0).shape.begin() + axis);
  shape.insert(shape.end(), in(1).shape.begin(), in(1).shape.end());
  shape.insert(shape.end(), in(0).shape.begin() + axis + 1, in(0).shape.end());
  Known result = shaped(in(0).type, shape);
  if (!in(1).hasData)
    return result;
  Shape strides = stridesOf(in(0).shape), indexStrides = stridesOf(in(1).shape);
  return gatherIndices(result, [&](const Shape &index) -> int64_t {
    int64_t which = 0, offset = 0;
    for (size_t d = 0; d < indexRank; ++d)
      which += index[at + d] * indexStrides[d];
    double chosen = in(1).data[size_t(which)];
    chosen += chosen < 0 ? double(in(0).shape[at]) : 0;
    if (!(chosen >= 0 && chosen < double(in(0).shape[at])))
      return -1;
    for (size_t d = 0; d < in(0).shape.size(); ++d)
      offset += (d == at ? int64_t(chosen) : d < at ? index[d] : index[d + indexRank - 1]) *
                strides[d];
    return offset;
  });
}

Known Evaluator::gatherND() {
  if (node->getInt("batch_dims", 0) != 0 || !in(1).hasShape || in(1).shape.empty())
    return {};
  int64_t depth = in(1).shape.back();
  size_t rank = in(0).shape.size(), outer = in(1).shape.size() - 1;
  if (depth < 1 || depth > int64_t(rank))
    return {};
  Shape shape(in(1).shape.begin(), in(1).shape.end() - 1);
  shape.insert(shape.end(), in(0).shape.begin() + depth, in(0).shape.end());
  Known result = shaped(in(0).type, shape);
  if (!in(1).hasData)
    return result;
  Shape strides = stridesOf(in(0).shape), indexStrides = stridesOf(in(1).shape);
  return gatherIndices(result, [&](const Shape &index) -> int64_t {
    int64_t tuple = 0, offset = 0;
    for (size_t d = 0; d < outer; ++d)
      tuple += index[d] * indexStrides[d];
    for (int64_t d = 0; d < depth; ++d) {
      double size = double(in(0).shape[size_t(d)]), chosen = in(1).data[size_t(tuple + d)];
      chosen += chosen < 0 ? size : 0;
      if (!(chosen >= 0 && chosen < size))
        return -1;
      offset += int64_t(chosen) * strides[size_t(d)];
    }
    for (size_t d = size_t(depth); d < rank; ++d)
      offset += index[outer + d - size_t(depth)] * strides[d];
    return offset;
  });
}

Known Evaluator::range() {
  for (size_t i = 0; i < 3; ++i)
    if (!in(i).hasData || in(i).data.size() != 1)
      return {};
  double start = in(0).data[0], step = in(2).data[0];
  double count = std::ceil((in(1).data[0] - start) / step);
  if (!(count < double(mostElements)))
    return {};
  Known result = shaped(in(0).type, {std::max<int64_t>(0, int64_t(count))});
  result.hasData = true;
  for (int64_t i = 0; i < result.shape[0]; ++i)
    result.data.push_back(start + double(i) * step);
  return result;
}

Known Evaluator::cumulativeSum() {
  Known result = in(0);
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

Known Evaluator::triangle() {
  Known result = in(0);
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

Known Evaluator::matmul() {
  const Known &a = in(0), &b = in(1);
  if (!b.hasShape || a.shape.size() < 2 || b.shape.size() < 2 ||
      a.shape.back() != b.shape[b.shape.size() - 2])
    return {};
  std::optional<Shape> outer = broadcast({a.shape.begin(), a.shape.end() - 2},
                                         {b.shape.begin(), b.shape.end() - 2});
  if (!outer)
    return {};
  int64_t rows = a.shape[a.shape.size() - 2], inner = a.shape.back(), columns = b.shape.back();
  Shape shape = *outer;
  shape.push_back(rows);
  shape.push_back(columns);
  Known result = shaped(a.type, shape);
  if (!a.hasData || !b.hasData || !small(result) || result.elements() * inner > mostElements)
    return result;
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

Known Evaluator::reduceMean() {
  std::optional<Shape> along = axes(1, in(0).shape.size());
  if (!along || !node->getInt("keepdims", 1))
    return {};
  Shape shape = in(0).shape;
  for (int64_t axis : *along)
    shape[size_t(axis)] = 1;
  return shaped(in(0).type, shape);
}

void Evaluator::split() {
  int64_t axis = axisOf(node->getInt("axis", 0), in(0).shape.size());
  if (axis < 0)
    return;
  int64_t size = in(0).shape[size_t(axis)], parts = int64_t(node->outputs.size());
  Shape equal(node->outputs.size(), size / parts);
  std::optional<Shape> sizes = has(1) ? integers(1) : equal;
  if (!sizes || sizes->size() != node->outputs.size() || (!has(1) && size % parts))
    return;
  for (size_t i = 0; i < node->outputs.size(); ++i)
    if (node->outputs[i] >= 0) {
      Shape shape = in(0).shape;
      shape[size_t(axis)] = (*sizes)[i];
      values[size_t(node->outputs[i])] = shaped(in(0).type, shape);
    }
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

/// Operations on activations: only the shape is told.
constexpr std::string_view shapeOfFirst[] = {"Sigmoid", "Softmax",   "Sqrt", "Reciprocal",
                                             "Gelu",    "Relu",      "RMSNormalization",
                                             "Swish",   "Attention", "RotaryEmbedding", "Pow"};

Known Evaluator::evaluate() {
  const std::string &op = node->op;
  if (op == "Constant")
    return constant();
  if (!in(0).hasShape)
    return {};
  for (const ScalarOp &scalar : scalarOps)
    if (scalar.name == op) {
      if (node->inputs.size() != scalar.operands)
        return {};
      Known result = elementwise(scalar.function, scalar.operands);
      if (scalar.boolean)
        result.type = ONNXType::Bool;
      return result;
    }
  if (std::find(std::begin(shapeOfFirst), std::end(shapeOfFirst), op) != std::end(shapeOfFirst))
    return shaped(in(0).type, in(0).shape);
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
    Known result =
        elementwise([type](const double *x) { return roundedTo(type, x[0]); }, 1);
    result.type = type;
    return result;
  }
  struct Method {
    std::string_view name;
    Known (Evaluator::*method)();
  };
  constexpr Method methods[] = {
      {"Shape", &Evaluator::shapeOp},      {"Reshape", &Evaluator::reshape},
      {"Expand", &Evaluator::expand},      {"Transpose", &Evaluator::transpose},
      {"Concat", &Evaluator::concat},      {"Slice", &Evaluator::slice},
      {"Gather", &Evaluator::gather},      {"GatherND", &Evaluator::gatherND},
      {"Range", &Evaluator::range},        {"CumSum", &Evaluator::cumulativeSum},
      {"Trilu", &Evaluator::triangle},     {"ConstantOfShape", &Evaluator::constantOfShape},
      {"MatMul", &Evaluator::matmul},      {"Gemm", &Evaluator::gemm},
      {"ReduceMean", &Evaluator::reduceMean}};
  for (const Method &method : methods)
    if (method.name == op)
      return (this->*method.method)();
  if (op == "Unsqueeze" || op == "Squeeze")
    return unsqueeze(op == "Unsqueeze");
  return {};
}

std::vector<Known> Evaluator::run(const std::vector<ONNXInputKind> &kinds, int64_t batch,
                                  int64_t sequence) {
  for (size_t i = 0; i < values.size(); ++i)
    if (const auto &tensor = graph.values()[i].initializer) {
      values[i] = shaped(tensor->type, tensor->shape);
      if (!values[i].hasShape || tensor->elements() > mostInitialElements)
        continue;
      values[i].hasData = true;
      for (int64_t k = 0; k < tensor->elements(); ++k)
        values[i].data.push_back(tensor->at(k));
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
      values[size_t(each.outputs.front())] = evaluate();
  }
  return std::move(values);
}

} // namespace

int64_t ONNXKnown::elements() const { return product(shape).value_or(0); }

std::vector<ONNXKnown> EvaluateONNX(const ONNXGraph &graph,
                                    const std::vector<ONNXInputKind> &kinds, int64_t batch,
                                    int64_t sequence) {
  return Evaluator(graph).run(kinds, batch, sequence);
}

} // namespace compressc
