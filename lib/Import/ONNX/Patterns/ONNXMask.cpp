#include "ONNXPatterns.h"

namespace compressc {

/// What the mask lets through at two lengths: causal, and perhaps limited to the last positions.
StatusOr<int64_t> ONNXPatterns::window(const Scores &scores) const {
  int64_t result = -1;
  for (const Sizes &run : runs) {
    int64_t length = run.sequence;
    std::vector<int64_t> first(size_t(length), 0); // the first key that each query sees
    if (scores.mask < 0 && !scores.causal)
      return error(scores.query,
                   "the attention that reads it is not causal, which is not supported");
    const ONNXKnown *mask = scores.mask < 0 ? nullptr : &run.values[size_t(scores.mask)];
    if (mask && (!mask->hasData || mask->data.empty() || mask->shape.size() < 2 ||
                 mask->shape.back() != length || mask->shape[mask->shape.size() - 2] != length))
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

} // namespace compressc
