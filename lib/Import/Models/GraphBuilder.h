// What a family builds its graph with. No MLIR, so that readers of configurations need none.
#pragma once

#include "lib/Import/HuggingFace/Rope.h"
#include <functional>
#include <string_view>

namespace compressc {

/// A value of the graph that is being built.
struct GraphValue {
  void *value = nullptr;
  explicit operator bool() const { return value; }
};

/// A module or a weight, as Hugging Face and as GGUF files call it.
struct WeightName {
  std::string huggingFace, gguf;

  WeightName operator/(const WeightName &inner) const {
    return {huggingFace + "." + inner.huggingFace, gguf + "." + inner.gguf};
  }
  WeightName operator/(const char *inner) const { return *this / WeightName{inner, inner}; }
  /// "q_proj" of "model.layers.0.self_attn.q_proj".
  std::string last() const { return huggingFace.substr(huggingFace.rfind('.') + 1); }
};

/// What is special about how files store a weight.
struct WeightForm {
  int64_t ggufPairedHeads = 0; // GGUF interleaves the rows of this many heads: see unpermute_rows
  double added = 0;            // the model adds this to the vector; GGUF files hold the sum
};

struct LinearOptions {
  bool bias = false;
  int64_t ggufPairedHeads = 0;
  std::string label = {}; // the weight's name in the IR; empty: the last part of the module's
};

/// `name` is a value's name in the printed IR.
class GraphBuilder {
public:
  virtual ~GraphBuilder() = default;

  /// Declares a weight, binds it to the checkpoint's tensor and loads it in the checkpoint's type (a
  /// sum in fp32), rows in Hugging Face's order. A weight that is missing or has another shape is an error of the
  /// import; building goes on, so families need not check. `alias` is another name for this use.
  virtual GraphValue weight(const WeightName &weight, const std::vector<int64_t> &shape,
                            std::string_view name, const WeightForm &form = {},
                            std::string_view alias = {}) = 0;

  /// scale * the row of each token.
  virtual GraphValue embedding(GraphValue table, double scale, std::string_view name) = 0;
  virtual GraphValue rmsNorm(GraphValue x, GraphValue weight, double epsilon,
                             std::string_view name) = 0;
  virtual GraphValue linear(GraphValue x, GraphValue weight, GraphValue bias,
                            std::string_view name) = 0;
  virtual GraphValue rotate(GraphValue x, int64_t headDim, const RopeConfig &rope,
                            std::string_view name) = 0;
  struct Attention {
    int64_t heads, kvHeads, headDim;
    double scale;
    int64_t window; // 0: the whole context
  };
  virtual GraphValue attention(GraphValue query, GraphValue key, GraphValue value,
                               const Attention &attention, std::string_view name) = 0;
  /// activation(gate) * up; the activation as lm.gated_activation calls it.
  virtual GraphValue gated(std::string_view activation, GraphValue gate, GraphValue up,
                           std::string_view name) = 0;
  virtual GraphValue add(GraphValue left, GraphValue right, std::string_view name) = 0;
  virtual GraphValue selectRows(GraphValue x, std::string_view name) = 0;
  /// A decoder layer; `body` turns its input into its result.
  virtual GraphValue block(int64_t layer, GraphValue hidden,
                           const std::function<GraphValue(GraphValue)> &body) = 0;

  /// The RMS norm whose weight is `module`'s, over `width` columns.
  GraphValue norm(GraphValue x, const WeightName &module, int64_t width, double epsilon,
                  std::string_view name, const WeightForm &form = {}) {
    return rmsNorm(x, weight(module / "weight", {width}, module.last(), form), epsilon, name);
  }
  /// The linear whose weight [rows, columns] and bias are `module`'s.
  GraphValue linear(GraphValue x, const WeightName &module, int64_t rows, int64_t columns,
                    std::string_view name, const LinearOptions &options = {}) {
    WeightForm form{.ggufPairedHeads = options.ggufPairedHeads};
    std::string label = options.label.empty() ? module.last() : options.label;
    GraphValue matrix = weight(module / "weight", {rows, columns}, label, form);
    GraphValue bias =
        options.bias ? weight(module / "bias", {rows}, label + "_bias", form) : GraphValue();
    return linear(x, matrix, bias, name);
  }
};

} // namespace compressc
