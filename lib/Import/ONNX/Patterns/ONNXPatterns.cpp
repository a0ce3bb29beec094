// What patterns are made of: values, and what may be looked through.
#include "ONNXPatterns.h"
#include "lib/Import/ONNX/Evaluate/ONNXLength.h"

namespace compressc {

StatusOr<ONNXPatterns> ONNXPatterns::Evaluate(const ONNXGraph &graph,
                                              const std::vector<ONNXInputKind> &kinds) {
  COMPRESSC_ASSIGN_OR_RETURN(int64_t sequence, TellingLength(graph));
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
    bool precision = node.isOneOf({"Cast", "CastLike"}) && IsFloat(known(input).type) &&
                     IsFloat(known(value).type);
    // Of a slice the shape is only known when its steps are 1.
    bool nothing = node.isOneOf({"Reshape", "Expand", "Slice"}) && sameShape(input, value);
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
  bool pair = node->isOneOf({"Add", "Mul", "Div", "Pow", "MatMul", "Gemm", "RMSNormalization",
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

} // namespace compressc
