// Runs a graph node by node; see EvaluateONNX. Its operations are in files by what they do.
#pragma once

#include "ONNXShape.h"
#include <functional>

namespace compressc::evaluation {

/// More than masks of the sizes that are asked for need; a graph that is not trusted may ask for
/// anything.
constexpr int64_t mostElements = int64_t(1) << 22;
/// Of all values together.
constexpr int64_t mostData = int64_t(1) << 25;

class Evaluator {
public:
  explicit Evaluator(const ONNXGraph &graph) : graph(graph), values(graph.values().size()) {}
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

  /// Whether the data of a result may be computed.
  bool small(const Known &value) const;

  Known evaluate();
  /// The operations that make each element from one element of each operand; nullopt for others.
  std::optional<Known> elementwiseOp();
  Known elementwise(const std::function<double(const double *)> &function, size_t operands);
  Known copied();
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
  void keep(int value, Known result);

  const ONNXGraph &graph;
  int64_t left = mostData; // elements of data that may still be computed, and products
  const ONNXNode *node = nullptr;
  std::vector<Known> values;
};

} // namespace compressc::evaluation
