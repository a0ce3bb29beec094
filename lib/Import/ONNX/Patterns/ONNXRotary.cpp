#include "ONNXPatterns.h"
#include <cmath>

namespace compressc {

/// The angle of pair i at position p is p f_i: f_i are read off at position 1 (f_i is at most 1, so
/// no turn is lost), and the tables must be what they say at every other position.
std::optional<std::vector<double>> ONNXPatterns::frequencies(int cosines, int sines,
                                                             int64_t dim) const {
  std::vector<double> result;
  for (const Sizes &run : runs) {
    const ONNXKnown &cosine = run.values[size_t(cosines)], &sine = run.values[size_t(sines)];
    if (!cosine.hasData || !sine.hasData || cosine.data.empty() || cosine.shape != sine.shape ||
        cosine.shape.size() < 2)
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
  return *start == double(width / 2) || *start == -double(width / 2) ? std::optional(1)
                                                                     : std::nullopt;
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

/// The frequencies that heads are rotated by; sets `value` to what was rotated.
StatusOr<std::vector<double>> ONNXPatterns::unrotated(int &value, int64_t dim) const {
  if (const ONNXNode *node = producer(value, "RotaryEmbedding")) {
    int64_t part = node->getInt("rotary_embedding_dim", 0);
    bool plain = node->inputs.size() == 3 && !node->getInt("interleaved", 0) &&
                 (part == 0 || part == dim) && node->inputs[2] >= 0;
    auto found = plain ? frequencies(node->inputs[1], node->inputs[2], dim) : std::nullopt;
    if (!found)
      return error(value,
                   "only rotary embedding of whole heads in halves, with angles that grow with "
                   "the position and no factor on cos and sin, is supported");
    value = strip(node->inputs[0]);
    return *found;
  }
  if (const ONNXNode *sum = producer(value, "Add")) {
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
    return *found;
  }
  return error(value, "attention without rotary embedding of q and k is not supported");
}

} // namespace compressc
