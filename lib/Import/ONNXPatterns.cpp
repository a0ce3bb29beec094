#include "ONNXPatterns.h"
#include "compressc/runtime/text.h"
#include <cmath>
#include <set>

namespace compressc {

namespace {

constexpr int64_t longestSequence = 600;

bool isOneOf(const std::string &op, std::initializer_list<std::string_view> list) {
  return std::find(list.begin(), list.end(), op) != list.end();
}

/// The largest number that a position may be compared with: of all constants that lead to a
/// comparison. Larger than any length: "to the end", or minus infinity.
int64_t largestThreshold(const ONNXGraph &graph) {
  constexpr double beyond = 2147483648.0;
  std::vector<bool> leads(graph.values().size());
  for (size_t i = graph.nodes().size(); i-- > 0;) {
    const ONNXNode &node = graph.nodes()[i];
    bool any = isOneOf(node.op, {"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Trilu",
                                 "Where", "Max", "Min"});
    for (int output : node.outputs)
      any = any || (output >= 0 && leads[size_t(output)]);
    for (int input : node.inputs)
      if (any && input >= 0)
        leads[size_t(input)] = true;
  }
  double largest = 1;
  for (size_t i = 0; i < leads.size(); ++i) {
    const auto &constant = graph.values()[i].initializer;
    if (leads[i] && constant && constant->elements() <= 64)
      for (int64_t k = 0; k < constant->elements(); ++k)
        if (double size = std::fabs(constant->at(k)); size < beyond)
          largest = std::max(largest, size);
  }
  for (const ONNXNode &node : graph.nodes()) {
    if (node.op != "Constant" || !leads[size_t(node.outputs.front())])
      continue;
    std::vector<int64_t> values = node.getInts("value_ints");
    values.push_back(node.getInt("value_int", 0));
    for (int64_t value : values)
      if (double size = std::fabs(double(value)); size < beyond)
        largest = std::max(largest, size);
    if (double size = std::fabs(node.getFloat("value_float", 0)); size < beyond)
      largest = std::max(largest, size);
  }
  return int64_t(std::ceil(largest));
}

/// How far a constant of this type may lie from the number that it stands for.
double relativeError(ONNXType type) {
  return type == ONNXType::BF16 ? 4e-3 : type == ONNXType::F16 ? 5e-4 : 1e-6;
}

} // namespace

StatusOr<ONNXPatterns> ONNXPatterns::Evaluate(const ONNXGraph &graph,
                                              const std::vector<ONNXInputKind> &kinds) {
  int64_t threshold = largestThreshold(graph);
  int64_t sequence = 2 * threshold + 6;
  if (sequence > longestSequence)
    return Invalid(graph.path(), ": the graph compares positions with ", threshold,
                   ": windows of that length (in its attention mask) are not supported");
  ONNXPatterns result(graph);
  for (int64_t run : {0, 1}) {
    int64_t batch = run + 2, length = sequence + 5 * run;
    for (const ONNXInput &input : graph.inputs())
      if (input.shape.size() == 2 && input.shape[0] > 0)
        batch = input.shape[0];
    if (batch > 16)
      return Invalid(graph.path(), ": a fixed batch of ", batch, "; export with a dynamic one");
    result.runs.push_back({batch, length, EvaluateONNX(graph, kinds, batch, length)});
  }
  return result;
}

template <typename... Args> Status ONNXPatterns::error(int value, const Args &...args) const {
  return Invalid(graph->path(), ": ", graph->describe(value), ": ", args...);
}

//===-- Values -------------------------------------------------------------------------------------===//

bool ONNXPatterns::shapeIs(int value, const std::vector<int64_t> &shape) const {
  for (const Sizes &run : runs) {
    const ONNXKnown &found = run.values[size_t(value)];
    if (!found.hasShape || found.shape.size() != shape.size())
      return false;
    for (size_t d = 0; d < shape.size(); ++d)
      if (found.shape[d] != (shape[d] == batchSize        ? run.batch
                             : shape[d] == sequenceLength ? run.sequence
                                                          : shape[d]))
        return false;
  }
  return true;
}

bool ONNXPatterns::sameShape(int left, int right) const {
  for (const Sizes &run : runs) {
    const ONNXKnown &a = run.values[size_t(left)], &b = run.values[size_t(right)];
    if (!a.hasShape || !b.hasShape || a.shape != b.shape)
      return false;
  }
  return true;
}

int64_t ONNXPatterns::lastSize(int value) const {
  return known(value).hasShape && rank(value) ? known(value).shape.back() : -1;
}

int ONNXPatterns::strip(int value) const {
  while (value >= 0) {
    int at = graph->values()[size_t(value)].producer;
    if (at < 0)
      break;
    const ONNXNode &node = graph->nodes()[size_t(at)];
    if (node.inputs.empty() || node.inputs[0] < 0)
      break;
    int input = node.inputs[0];
    bool precision = isOneOf(node.op, {"Cast", "CastLike"}) && IsFloat(known(input).type) && IsFloat(known(value).type);
    // Of a slice the shape is only known when its steps are 1.
    bool nothing = isOneOf(node.op, {"Reshape", "Expand", "Slice"}) && sameShape(input, value);
    if (node.op != "Identity" && !precision && !nothing)
      break;
    value = input;
  }
  return value;
}

const ONNXNode *ONNXPatterns::producer(int value) const {
  value = strip(value);
  int at = value < 0 ? -1 : graph->values()[size_t(value)].producer;
  if (at < 0)
    return nullptr;
  const ONNXNode &node = graph->nodes()[size_t(at)];
  // What others say beside their result (a norm's deviation, attention's keys) is no pattern.
  return node.outputs.front() == value || node.op == "Split" ? &node : nullptr;
}

const ONNXNode *ONNXPatterns::producer(int value, const char *op) const {
  const ONNXNode *node = producer(value);
  if (!node || node->op != op)
    return nullptr;
  bool pair = isOneOf(node->op, {"Add", "Mul", "Div", "Pow", "MatMul", "Gemm", "RMSNormalization",
                                 "RotaryEmbedding", "Concat", "Slice"});
  for (size_t i = 0; i < (pair ? 2 : 1); ++i)
    if (i >= node->inputs.size() || node->inputs[i] < 0)
      return nullptr;
  return node;
}

int ONNXPatterns::rows(int value) const {
  value = strip(value);
  while (const ONNXNode *node = producer(value, "Reshape")) {
    if (lastSize(value) < 0 || lastSize(node->inputs[0]) != lastSize(value))
      break;
    value = strip(node->inputs[0]);
  }
  return value;
}

int ONNXPatterns::parameter(int value, size_t wanted) const {
  value = strip(value);
  if (value < 0)
    return -1;
  const auto &tensor = graph->values()[size_t(value)].initializer;
  return tensor && tensor->shape.size() == wanted && IsFloat(tensor->type) ? value : -1;
}

std::optional<double> ONNXPatterns::scalar(int value) const {
  if (value < 0 || !known(value).hasData || known(value).data.size() != 1)
    return std::nullopt;
  return known(value).data[0];
}

template <typename Test>
std::optional<std::pair<int, int>> ONNXPatterns::operands(const ONNXNode *node,
                                                          const Test &test) const {
  if (!node || node->inputs.size() != 2)
    return std::nullopt;
  for (int which : {0, 1})
    if (test(node->inputs[which]))
      return std::pair(node->inputs[which], node->inputs[1 - which]);
  return std::nullopt;
}

//===-- Linears, norms and the gated product -------------------------------------------------------===//

std::optional<ONNXWeight> ONNXPatterns::weight(int value) const {
  auto shapeOf = [&](int parameter) { return graph->values()[size_t(parameter)].initializer->shape; };
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

/// x of mean(x^2) over the last dimension.
std::optional<int> ONNXPatterns::meanSquare(int value) const {
  const ONNXNode *mean = producer(value, "ReduceMean");
  if (!mean || !mean->getInt("keepdims", 1) || mean->inputs.size() != 2)
    return std::nullopt;
  std::optional<double> axis = scalar(mean->inputs[1]);
  size_t dimensions = rank(mean->inputs[0]);
  if (!axis || !known(mean->inputs[0]).hasShape ||
      (*axis != -1 && *axis != double(dimensions) - 1))
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
    result = {rows(node->inputs[0]), parameter(node->inputs[1], 1), node->getFloat("epsilon", 1e-5)};
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
    result.activation = node->op == "Relu"  ? "relu"
                        : node->op != "Gelu" ? ""
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

//===-- Rotary embedding ---------------------------------------------------------------------------===//

/// The angle of pair i at position p is p f_i: f_i are read off at position 1 (f_i is at most 1, so
/// no turn is lost), and the tables must be what they say at every other position.
std::optional<std::vector<double>> ONNXPatterns::frequencies(int cosines, int sines,
                                                             int64_t dim) const {
  std::vector<double> result;
  for (const Sizes &run : runs) {
    const ONNXKnown &cosine = run.values[size_t(cosines)], &sine = run.values[size_t(sines)];
    if (!cosine.hasData || !sine.hasData || cosine.shape != sine.shape || cosine.shape.size() < 2)
      return std::nullopt;
    size_t dimensions = cosine.shape.size();
    int64_t width = cosine.shape.back();
    if (cosine.shape[dimensions - 2] != run.sequence || (width != dim && width != dim / 2))
      return std::nullopt;
    if (result.empty())
      for (int64_t i = 0; i < dim / 2; ++i)
        result.push_back(std::atan2(sine.data[size_t(width + i)], cosine.data[size_t(width + i)]));
    for (size_t k = 0; k < cosine.data.size(); ++k) {
      int64_t position = int64_t(k) / width % run.sequence;
      double angle = double(position) * result[k % size_t(width) % size_t(dim / 2)];
      double tolerance = 1e-6 * double(1 + position);
      if (!(std::fabs(cosine.data[k] - std::cos(angle)) < tolerance) ||
          !(std::fabs(sine.data[k] - std::sin(angle)) < tolerance))
        return std::nullopt;
    }
  }
  return result;
}

/// Which half of the last dimension of `whole` a value is.
std::optional<int> ONNXPatterns::half(int value, int whole) const {
  value = strip(value);
  int64_t width = lastSize(whole), dimensions = int64_t(rank(whole));
  if (width < 2 || lastSize(value) != width / 2)
    return std::nullopt;
  if (const ONNXNode *node = producer(value, "Split")) {
    int64_t axis = node->getInt("axis", 0);
    if (strip(node->inputs[0]) != whole || node->outputs.size() != 2 ||
        (axis != -1 && axis != dimensions - 1))
      return std::nullopt;
    return value == node->outputs[1];
  }
  const ONNXNode *node = producer(value, "Slice");
  if (!node || strip(node->inputs[0]) != whole || node->inputs.size() < 4)
    return std::nullopt;
  std::optional<double> start = scalar(node->inputs[1]), axis = scalar(node->inputs[3]);
  if (!start || !axis || (*axis != -1 && *axis != double(dimensions - 1)))
    return std::nullopt;
  if (*start == 0)
    return 0;
  return *start == double(width / 2) || *start == -double(width / 2) ? std::optional(1) : std::nullopt;
}

/// (-x2, x1) of x = (x1, x2).
bool ONNXPatterns::rotatedHalf(int value, int whole) const {
  const ONNXNode *node = producer(value, "Concat");
  if (!node || node->inputs.size() != 2)
    return false;
  int64_t axis = node->getInt("axis", 0);
  const ONNXNode *negated = producer(node->inputs[0], "Neg");
  return (axis == -1 || axis == int64_t(rank(whole)) - 1) && negated &&
         half(negated->inputs[0], whole) == 1 && half(node->inputs[1], whole) == 0;
}

//===-- Attention ----------------------------------------------------------------------------------===//

/// From [batch, heads, sequence, dim] back through rotary embedding, transposition and norm.
StatusOr<ONNXHeads> ONNXPatterns::heads(int value, bool rotates) const {
  ONNXHeads result;
  value = strip(value);
  if (rank(value) != 4)
    return error(value, "attention needs heads of rank 4");
  int64_t count = result.heads = known(value).shape[1];
  int64_t dim = result.dim = lastSize(value);
  if (!shapeIs(value, {batchSize, count, sequenceLength, dim}) || dim % 2)
    return error(value, "heads must be [batch, heads, sequence, an even size]");
  if (const ONNXNode *node = producer(value, "RotaryEmbedding")) {
    int64_t part = node->getInt("rotary_embedding_dim", 0);
    bool plain = node->inputs.size() == 3 && !node->getInt("interleaved", 0) &&
                 (part == 0 || part == dim) && node->inputs[2] >= 0;
    auto found = plain ? frequencies(node->inputs[1], node->inputs[2], dim) : std::nullopt;
    if (!found)
      return error(value, "only rotary embedding of whole heads in halves, with angles that grow with "
                          "the position and no factor on cos and sin, is supported");
    result.frequencies = *found;
    value = strip(node->inputs[0]);
  } else if (const ONNXNode *sum = producer(value, "Add"); sum && rotates) {
    // x cos + (-x2, x1) sin
    std::optional<std::vector<double>> found;
    for (int which : {0, 1}) {
      auto constant = [&](int x) { return known(x).hasData; };
      auto plain = operands(producer(sum->inputs[which], "Mul"), constant);
      auto rotated = operands(producer(sum->inputs[1 - which], "Mul"), constant);
      if (!plain || !rotated || !rotatedHalf(rotated->second, strip(plain->second)))
        continue;
      found = frequencies(plain->first, rotated->first, dim);
      if (found)
        value = strip(plain->second);
      break;
    }
    if (!found)
      return error(value, "expected rotary embedding: x cos + (-x2, x1) sin with angles that grow "
                          "with the position and no factor on cos and sin");
    result.frequencies = *found;
  }
  if (rotates && result.frequencies.empty())
    return error(value, "attention without rotary embedding of q and k is not supported");

  result.norm = norm(value);
  if (result.norm)
    value = result.norm->input;
  const ONNXNode *swapped = producer(value, "Transpose");
  if (!swapped || swapped->getInts("perm") != std::vector<int64_t>{0, 2, 1, 3})
    return error(value, "expected the transposition of heads and sequence");
  value = strip(swapped->inputs[0]);
  if (!result.norm)
    if ((result.norm = norm(value)))
      value = result.norm->input;
  const ONNXNode *split = producer(value, "Reshape");
  if (!split || !shapeIs(value, {batchSize, sequenceLength, count, dim}) ||
      lastSize(split->inputs[0]) != count * dim)
    return error(value, "expected heads to be split off a projection");
  result.projected = split->inputs[0];
  return result;
}

/// Before each key head was repeated for the query heads that share it.
int ONNXPatterns::unrepeated(int value) const {
  value = strip(value);
  const ONNXNode *merge = producer(value, "Reshape");
  const ONNXNode *repeat = merge ? producer(merge->inputs[0], "Expand") : nullptr;
  const ONNXNode *insert = repeat ? producer(repeat->inputs[0], "Unsqueeze") : nullptr;
  if (!insert || rank(value) != 4 || rank(insert->inputs[0]) != 4 || rank(merge->inputs[0]) != 5)
    return value;
  int64_t groups = known(insert->inputs[0]).shape[1], dim = lastSize(value);
  int64_t times = known(merge->inputs[0]).shape[2];
  bool fits = shapeIs(insert->inputs[0], {batchSize, groups, sequenceLength, dim}) &&
              shapeIs(repeat->inputs[0], {batchSize, groups, 1, sequenceLength, dim}) &&
              shapeIs(merge->inputs[0], {batchSize, groups, times, sequenceLength, dim}) &&
              shapeIs(value, {batchSize, groups * times, sequenceLength, dim});
  return fits ? strip(insert->inputs[0]) : value;
}

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
    if (chosen->inputs.size() != 3 || !scalar(chosen->inputs[2]) || *scalar(chosen->inputs[2]) > -1e4)
      return std::nullopt;
    result.chosen = true;
    result.mask = chosen->inputs[0];
    scaled = strip(chosen->inputs[1]);
  } else if (auto sum = operands(producer(scaled, "Add"), [&](int x) { return known(x).hasData; })) {
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

/// What the mask lets through at two lengths: causal, and perhaps limited to the last positions.
StatusOr<int64_t> ONNXPatterns::window(const Scores &scores) const {
  int64_t result = -1;
  for (const Sizes &run : runs) {
    int64_t length = run.sequence;
    std::vector<int64_t> first(size_t(length), 0); // the first key that each query sees
    if (scores.mask < 0 && !scores.causal)
      return error(scores.query, "the attention that reads it is not causal, which is not supported");
    const ONNXKnown *mask = scores.mask < 0 ? nullptr : &run.values[size_t(scores.mask)];
    if (mask && (!mask->hasData || mask->shape.size() < 2 || mask->shape.back() != length ||
                 mask->shape[mask->shape.size() - 2] != length))
      return error(scores.mask, "this attention mask cannot be computed from positions alone, or "
                                "is no matrix of sequence by sequence");
    int64_t copies = mask ? int64_t(mask->data.size()) / (length * length) : 1;
    for (int64_t copy = 0; copy < copies; ++copy)
      for (int64_t query = 0; query < length; ++query) {
        int64_t begin = -1;
        for (int64_t key = 0; key < length; ++key) {
          double entry = mask ? mask->data[size_t((copy * length + query) * length + key)] : 0;
          bool open = !mask ? true : scores.chosen ? entry != 0 : entry == 0;
          if (mask && !scores.chosen && entry != 0 && entry > -1e4)
            return error(scores.mask, "a bias on attention scores is not supported");
          open = open && !(scores.causal && key > query);
          if (open && begin < 0)
            begin = key;
          if (open != (begin >= 0 && key <= query))
            return error(scores.mask, "this attention mask is not causal, which is not supported");
        }
        if (begin < 0 || (copy > 0 && begin != first[size_t(query)]))
          return error(scores.mask, "this attention mask is not causal, which is not supported");
        first[size_t(query)] = begin;
      }
    int64_t reach = first.back() == 0 ? 0 : length - first.back();
    for (int64_t query = 0; query < length; ++query)
      if (first[size_t(query)] != (reach ? std::max<int64_t>(0, query - reach + 1) : 0))
        return error(scores.mask, "this attention mask is no sliding window");
    if (result >= 0 && reach != result)
      return error(scores.mask, "this attention mask changes with the length of the sequence");
    result = reach;
  }
  return result;
}

StatusOr<ONNXAttention> ONNXPatterns::attention(int value) const {
  value = strip(value);
  const ONNXNode *merge = producer(value, "Reshape");
  const ONNXNode *swapped = merge ? producer(merge->inputs[0], "Transpose") : nullptr;
  if (!swapped || swapped->getInts("perm") != std::vector<int64_t>{0, 2, 1, 3} ||
      rank(swapped->inputs[0]) != 4)
    return error(value, "expected attention's heads to be put together here");
  int attended = strip(swapped->inputs[0]);
  Scores found;
  if (const ONNXNode *node = producer(attended, "Attention")) {
    COMPRESSC_ASSIGN_OR_RETURN(found, attentionOp(*node));
  } else if (std::optional<Scores> spelled = scores(attended)) {
    found = *spelled;
  } else {
    return error(attended, "expected attention: softmax(scale q kᵀ + mask) v");
  }

  ONNXAttention result;
  COMPRESSC_ASSIGN_OR_RETURN(result.query, heads(found.query, true));
  COMPRESSC_ASSIGN_OR_RETURN(result.key, heads(unrepeated(found.key), true));
  COMPRESSC_ASSIGN_OR_RETURN(result.value, heads(unrepeated(found.value), false));
  int64_t count = result.query.heads, dim = result.query.dim;
  if (result.key.dim != dim || result.value.dim != dim ||
      result.key.heads != result.value.heads || count % result.key.heads)
    return error(attended, "the heads of q, k and v do not fit together");
  if (!shapeIs(value, {batchSize, sequenceLength, count * dim}))
    return error(value, "attention's output must be [batch, sequence, heads * dim]");
  if (result.value.norm)
    return error(attended, "a norm of v is not supported");
  if (result.query.frequencies != result.key.frequencies)
    return error(attended, "q and k are rotated by different angles");
  double expected = 1 / std::sqrt(double(dim));
  if (!(std::fabs(found.scale - expected) <= found.tolerance * expected))
    return error(attended, "scores are scaled by ", found.scale, "; only 1/sqrt(head size) = ",
                 expected, " is supported");
  COMPRESSC_ASSIGN_OR_RETURN(result.window, window(found));
  return result;
}

} // namespace compressc
