#include "ONNXLength.h"
#include "compressc/runtime/text.h"
#include <algorithm>
#include <cmath>

namespace compressc {

namespace {

/// A mask has the square of it in entries.
constexpr int64_t longestSequence = 600;

/// The largest number that a position may be compared with: of all constants that lead to a
/// comparison. Larger than any length: "to the end", or minus infinity.
int64_t largestThreshold(const ONNXGraph &graph) {
  constexpr double beyond = 2147483648.0;
  std::vector<bool> leads(graph.values().size());
  for (size_t i = graph.nodes().size(); i-- > 0;) {
    const ONNXNode &node = graph.nodes()[i];
    bool any = node.isOneOf({"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Trilu",
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

} // namespace

StatusOr<int64_t> TellingLength(const ONNXGraph &graph) {
  constexpr int64_t margin = 6;
  int64_t threshold = largestThreshold(graph), most = (longestSequence - margin) / 2;
  if (threshold > most)
    return Invalid(
        graph.path(), ": the graph compares positions with ", threshold,
        ", as a sliding window's attention mask does: masks are checked entry by entry at twice "
        "that length, so windows longer than ",
        most, " are not supported; export the model with full attention");
  return 2 * threshold + margin;
}

} // namespace compressc
