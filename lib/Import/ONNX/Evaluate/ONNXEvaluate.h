// What a graph computes from the shape of its inputs alone: shapes, positions, masks, angles.
#pragma once

#include "compressc/Import/ONNX.h"

namespace compressc {

/// A value of the graph at one size of batch and sequence. The data is there when it depends on no
/// token and on no large initialiser; booleans are 0 and 1.
struct ONNXKnown {
  bool hasShape = false;
  ONNXType type = ONNXType::F32;
  std::vector<int64_t> shape;
  bool hasData = false;
  std::vector<double> data;

  int64_t elements() const;
};

/// What a graph input holds: unknown values, or the same row in each sequence.
enum class ONNXInputKind { Unknown, Ones, Positions };

/// Runs the graph in doubles, node by node, for inputs of `sequence` tokens each; all data that
/// does not depend on inputs of unknown values comes out, of everything else the shape as far as it
/// can be told. `kinds` are of graph.inputs(), which are [batch, sequence]. What a node makes of
/// operands that do not fit is unknown, and so is data beyond what masks need (32 million numbers in
/// all): a pattern that needs it will not match.
std::vector<ONNXKnown> EvaluateONNX(const ONNXGraph &graph, const std::vector<ONNXInputKind> &kinds,
                                    int64_t batch, int64_t sequence);

} // namespace compressc
