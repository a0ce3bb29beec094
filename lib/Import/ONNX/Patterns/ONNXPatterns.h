// The parts of a decoder as they appear in ONNX graphs, found by dataflow.
#pragma once

#include "lib/Import/ONNX/Evaluate/ONNXEvaluate.h"
#include "compressc/runtime/text.h"
#include <optional>

namespace compressc {

/// A matrix among the initialisers, [N, K], or [K, N] when it is transposed.
struct ONNXWeight {
  int value = -1;
  bool transposed = false;
  int64_t rows = 0, columns = 0; // N, K
  bool operator==(const ONNXWeight &) const = default;
};

struct ONNXLinear {
  int input = -1;
  ONNXWeight weight;
  int bias = -1; // an initialiser [N]
};

struct ONNXNorm {
  int input = -1;
  int weight = -1; // an initialiser [D]
  double epsilon = 0;
  bool operator==(const ONNXNorm &) const = default;
};

struct ONNXGated {
  int gate = -1, up = -1;
  std::string activation; // as ModelConfig calls it
};

/// q, k or v of an attention, back to what projected it.
struct ONNXHeads {
  int projected = -1; // [batch, sequence, heads * dim]
  int64_t heads = 0, dim = 0;
  std::vector<double> frequencies; // of the rotary embedding; empty without one
  std::optional<ONNXNorm> norm;    // of each head
};

struct ONNXAttention {
  ONNXHeads query, key, value;
  int64_t window = 0; // 0: the whole context
};

/// Looks through what changes no number or only its precision: activations are fp32 here. A pattern
/// that is not there gives nullopt; something that is there but cannot be expressed, an error.
class ONNXPatterns {
public:
  /// Runs the graph at two sizes that patterns are checked at.
  static StatusOr<ONNXPatterns> Evaluate(const ONNXGraph &graph,
                                         const std::vector<ONNXInputKind> &kinds);

  int strip(int value) const;
  const ONNXNode *producer(int value) const; // of the stripped value
  /// The same when it is this operation and has its operands.
  const ONNXNode *producer(int value, const char *op) const;
  bool sameRows(int left, int right) const { return rows(left) == rows(right); }

  std::optional<ONNXLinear> linear(int value) const;
  std::optional<ONNXNorm> norm(int value) const;
  std::optional<ONNXGated> gated(int value) const;
  /// `value` is what the output projection reads.
  StatusOr<ONNXAttention> attention(int value) const;
  /// The initialiser of this rank that a value is, -1 when it is none.
  int parameter(int value, size_t rank) const;

private:
  struct Scores {
    int query, key, value;               // [batch, heads, sequence, dim]
    int mask = -1;                       // booleans, or what is added to the scores
    bool causal = false, chosen = false; // chosen: the mask selects scores, is not added
    double scale = 1, tolerance = 0;
  };
  /// Sizes of a shape that change with the input.
  static constexpr int64_t batchSize = -1, sequenceLength = -2;
  struct Sizes {
    int64_t batch, sequence;
    std::vector<ONNXKnown> values;
  };

  explicit ONNXPatterns(const ONNXGraph &graph) : graph(&graph) {}
  template <typename... Args> Status error(int value, const Args &...args) const {
    return Invalid(graph->path(), ": ", graph->describe(value), ": ", args...);
  }
  /// strip, and leading dimensions that are folded or unfolded: operations on rows don't care.
  int rows(int value) const;
  const ONNXKnown &known(int value) const { return runs[0].values[size_t(value)]; }
  bool shapeIs(int value, const std::vector<int64_t> &shape) const;
  bool sameShape(int left, int right) const;
  size_t rank(int value) const { return known(value).shape.size(); }
  int64_t lastSize(int value) const;
  std::optional<double> scalar(int value) const;
  std::optional<ONNXWeight> weight(int value) const;
  /// The value that a product with (or a quotient by) scalars starts from; their product in
  /// `scale`.
  int unscaled(int value, double &scale, double &tolerance) const;
  /// The operand that `test` accepts, and the other one.
  template <typename Test>
  std::optional<std::pair<int, int>> operands(const ONNXNode *node, const Test &test) const {
    if (!node || node->inputs.size() != 2)
      return std::nullopt;
    for (size_t which : {0, 1})
      if (test(node->inputs[which]))
        return std::pair(node->inputs[which], node->inputs[1 - which]);
    return std::nullopt;
  }

  std::optional<int> meanSquare(int value) const;
  std::optional<std::pair<int, double>> inverseRoot(int value) const;
  std::optional<std::pair<int, double>> normalised(int value) const;
  std::optional<int> half(int value, int whole) const;
  bool rotatedHalf(int value, int whole) const;
  std::optional<std::vector<double>> frequencies(int cosines, int sines, int64_t dim) const;
  StatusOr<std::vector<double>> unrotated(int &value, int64_t dim) const;
  StatusOr<ONNXHeads> heads(int value, bool rotates) const;
  int unrepeated(int value) const;
  std::optional<Scores> scores(int value) const;
  StatusOr<Scores> attentionOp(const ONNXNode &node) const;
  StatusOr<int64_t> window(const Scores &scores) const;

  const ONNXGraph *graph;
  std::vector<Sizes> runs;
};

} // namespace compressc
