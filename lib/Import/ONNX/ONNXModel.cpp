#include "ONNXModel.h"
#include "ONNXRope.h"
#include "compressc/runtime/text.h"
#include <algorithm>
#include <cmath>
#include <limits>

namespace compressc {

namespace {

/// An epsilon is a short decimal that the graph rounded to fp32.
double withoutRounding(double value) {
  char text[32];
  for (int digits = 1; digits < 17; ++digits) {
    std::snprintf(text, sizeof text, "%.*g", digits, value);
    if (double shorter = std::strtod(text, nullptr); float(shorter) == float(value))
      return shorter;
  }
  return value;
}

struct Layer {
  int output; // the value that the layer makes, for messages
  ONNXNorm attentionNorm, mlpNorm;
  ONNXLinear query, key, value, attentionOutput, gate, up, down;
  ONNXAttention attention;
  std::string activation;
};

class Raiser {
public:
  Raiser(const ONNXGraph &graph, const ONNXPatterns &patterns) : graph(graph), patterns(patterns) {}
  StatusOr<ONNXModel> raise();

private:
  template <typename... Args> Status error(int value, const Args &...args) {
    return Invalid(graph.path(), ": ", graph.describe(patterns.strip(value)), ": ", args...);
  }
  StatusOr<ONNXLinear> linear(int value, const char *role);
  StatusOr<ONNXNorm> norm(int value, const char *role);
  /// Sets `hidden` from a layer's output to its input.
  StatusOr<Layer> layer(int &hidden);
  Status mlp(int input, const ONNXLinear &down, Layer &layer);
  Status attention(int input, const ONNXLinear &output, Layer &layer);
  std::optional<std::pair<int, ONNXLinear>> residual(int value);
  Status describe(const std::vector<Layer> &layers);
  Status checkUniform(const Layer &layer, const Layer &first);
  void bind(const std::string &module, const ONNXLinear &linear);

  const ONNXGraph &graph;
  const ONNXPatterns &patterns;
  ONNXModel model;
};

StatusOr<ONNXLinear> Raiser::linear(int value, const char *role) {
  std::optional<ONNXLinear> found = patterns.linear(value);
  if (!found)
    return error(value, "expected the linear ", role, ": a product with an initialiser");
  return *found;
}

StatusOr<ONNXNorm> Raiser::norm(int value, const char *role) {
  std::optional<ONNXNorm> found = patterns.norm(value);
  if (!found)
    return error(value, "expected the norm ", role, ": x / sqrt(mean(x^2) + epsilon) * weight");
  return *found;
}

/// x and the linear of x + linear.
std::optional<std::pair<int, ONNXLinear>> Raiser::residual(int value) {
  const ONNXNode *sum = patterns.producer(value, "Add");
  if (!sum)
    return std::nullopt;
  // The stream may itself look like a linear with a residual for bias: a bias is an initialiser.
  for (int which : {1, 0})
    if (auto found = patterns.linear(sum->inputs[size_t(which)]))
      return std::pair(sum->inputs[size_t(1 - which)], *found);
  return std::nullopt;
}

Status Raiser::mlp(int input, const ONNXLinear &down, Layer &layer) {
  std::optional<ONNXGated> gated = patterns.gated(down.input);
  if (!gated)
    return error(down.input, "expected the gated product of an MLP: activation(gate) * up");
  layer.activation = gated->activation;
  layer.down = down;
  COMPRESSC_ASSIGN_OR_RETURN(layer.gate, linear(gated->gate, "to gate"));
  COMPRESSC_ASSIGN_OR_RETURN(layer.up, linear(gated->up, "to up"));
  COMPRESSC_ASSIGN_OR_RETURN(layer.mlpNorm, norm(layer.gate.input, "before the MLP"));
  if (patterns.norm(layer.up.input) != layer.mlpNorm ||
      !patterns.sameRows(layer.mlpNorm.input, input))
    return error(down.input, "gate and up do not read the same norm of the residual stream");
  return absl::OkStatus();
}

Status Raiser::attention(int input, const ONNXLinear &output, Layer &layer) {
  layer.attentionOutput = output;
  COMPRESSC_ASSIGN_OR_RETURN(layer.attention, patterns.attention(output.input));
  const ONNXAttention &found = layer.attention;
  COMPRESSC_ASSIGN_OR_RETURN(layer.query, linear(found.query.projected, "to q"));
  COMPRESSC_ASSIGN_OR_RETURN(layer.key, linear(found.key.projected, "to k"));
  COMPRESSC_ASSIGN_OR_RETURN(layer.value, linear(found.value.projected, "to v"));
  COMPRESSC_ASSIGN_OR_RETURN(layer.attentionNorm, norm(layer.query.input, "before attention"));
  if (patterns.norm(layer.key.input) != layer.attentionNorm ||
      patterns.norm(layer.value.input) != layer.attentionNorm ||
      !patterns.sameRows(layer.attentionNorm.input, input))
    return error(output.input, "q, k and v do not read the same norm of the residual stream");
  return absl::OkStatus();
}

StatusOr<Layer> Raiser::layer(int &hidden) {
  Layer result;
  result.output = hidden;
  auto outer = residual(hidden);
  if (!outer)
    return error(hidden, "expected a layer's residual sum with the output of its MLP, or the "
                         "embedding");
  auto inner = residual(outer->first);
  if (!inner)
    return error(outer->first, "expected a layer's residual sum with the output of its attention");
  COMPRESSC_RETURN_IF_ERROR(mlp(outer->first, outer->second, result));
  COMPRESSC_RETURN_IF_ERROR(attention(inner->first, inner->second, result));
  hidden = inner->first;
  return result;
}

Status Raiser::checkUniform(const Layer &layer, const Layer &first) {
  auto biases = [](const Layer &l) {
    return std::array<bool, 7>{
        l.query.bias >= 0, l.key.bias >= 0, l.value.bias >= 0, l.attentionOutput.bias >= 0,
        l.gate.bias >= 0,  l.up.bias >= 0,  l.down.bias >= 0};
  };
  auto sizes = [](const Layer &l) {
    return std::array<int64_t, 4>{l.attention.query.heads, l.attention.key.heads,
                                  l.attention.query.dim, l.gate.weight.rows};
  };
  if (sizes(layer) != sizes(first))
    return error(layer.output,
                 "this layer's sizes differ from other layers', which is not supported");
  auto b = biases(layer);
  if (b != biases(first) || b[0] != b[1] || b[1] != b[2] || b[4] != b[5] || b[5] != b[6])
    return error(layer.output, "biases on some of the linears of a kind only are not supported");
  const std::optional<ONNXNorm> &q = layer.attention.query.norm, &k = layer.attention.key.norm;
  if (q.has_value() != k.has_value() || q.has_value() != first.attention.query.norm.has_value())
    return error(layer.output, "norms of q or k that not every layer has are not supported");
  double epsilon = first.attentionNorm.epsilon;
  if (layer.attentionNorm.epsilon != epsilon || layer.mlpNorm.epsilon != epsilon ||
      (q && (q->epsilon != epsilon || k->epsilon != epsilon)))
    return error(layer.output, "norms of different epsilons are not supported");
  if (layer.activation != first.activation)
    return error(layer.output, "layers of different activations are not supported");
  if (layer.attention.query.frequencies != first.attention.query.frequencies)
    return error(layer.output, "layers of different rotary embeddings are not supported");
  return absl::OkStatus();
}

void Raiser::bind(const std::string &module, const ONNXLinear &linear) {
  model.matrices[module + ".weight"] = linear.weight;
  if (linear.bias >= 0)
    model.vectors[module + ".bias"] = linear.bias;
}

Status Raiser::describe(const std::vector<Layer> &layers) {
  const Layer &first = layers.front();
  Decoder &config = model.config;
  config.layers = int64_t(layers.size());
  config.heads = first.attention.query.heads;
  config.kvHeads = first.attention.key.heads;
  config.headDim = first.attention.query.dim;
  config.intermediateSize = first.gate.weight.rows;
  config.activation = first.activation;
  config.inputBias = first.query.bias >= 0;
  config.outputBias = first.attentionOutput.bias >= 0;
  config.mlpBias = first.gate.bias >= 0;
  config.headNorms = first.attention.query.norm.has_value();
  std::optional<RopeConfig> rope = FitRope(first.attention.query.frequencies);
  if (!rope)
    return error(first.output, "the frequencies of its rotary embedding are neither theta^(-2i/D), "
                               "nor these scaled linearly or as llama3 does");
  config.rope = *rope;
  for (size_t i = 0; i < layers.size(); ++i) {
    const Layer &layer = layers[i];
    COMPRESSC_RETURN_IF_ERROR(checkUniform(layer, first));
    config.windows.push_back(layer.attention.window);
    std::string prefix = absl::StrCat("model.layers.", i, ".");
    model.vectors[prefix + "input_layernorm.weight"] = layer.attentionNorm.weight;
    bind(prefix + "self_attn.q_proj", layer.query);
    bind(prefix + "self_attn.k_proj", layer.key);
    bind(prefix + "self_attn.v_proj", layer.value);
    bind(prefix + "self_attn.o_proj", layer.attentionOutput);
    if (config.headNorms) {
      model.vectors[prefix + "self_attn.q_norm.weight"] = layer.attention.query.norm->weight;
      model.vectors[prefix + "self_attn.k_norm.weight"] = layer.attention.key.norm->weight;
    }
    model.vectors[prefix + "post_attention_layernorm.weight"] = layer.mlpNorm.weight;
    bind(prefix + "mlp.gate_proj", layer.gate);
    bind(prefix + "mlp.up_proj", layer.up);
    bind(prefix + "mlp.down_proj", layer.down);
  }
  return absl::OkStatus();
}

StatusOr<ONNXModel> Raiser::raise() {
  COMPRESSC_ASSIGN_OR_RETURN(ONNXLinear head, linear(graph.outputs().front(), "to the logits"));
  if (head.bias >= 0)
    return error(graph.outputs().front(), "a bias of the logits is not supported");
  COMPRESSC_ASSIGN_OR_RETURN(ONNXNorm finalNorm, norm(head.input, "before the logits"));

  std::vector<Layer> layers;
  int hidden = finalNorm.input;
  while (!patterns.producer(hidden, "Gather")) {
    COMPRESSC_ASSIGN_OR_RETURN(Layer next, layer(hidden));
    layers.push_back(std::move(next));
  }
  std::reverse(layers.begin(), layers.end());
  if (layers.empty())
    return error(hidden, "the graph has no decoder layer");
  const ONNXNode &gather = *patterns.producer(hidden, "Gather");
  ONNXWeight table{patterns.parameter(gather.inputs[0], 2)};
  if (table.value < 0 || gather.getInt("axis", 0) != 0)
    return error(hidden, "expected the embedding: rows of an initialiser");
  const std::vector<int64_t> &shape = graph.values()[size_t(table.value)].initializer->shape;
  table.rows = shape[0];
  table.columns = shape[1];

  COMPRESSC_RETURN_IF_ERROR(describe(layers));
  Decoder &config = model.config;
  config.vocabularySize = table.rows;
  config.hiddenSize = table.columns;
  config.tiedHead = head.weight == table;
  config.normEpsilon = withoutRounding(finalNorm.epsilon);
  if (layers.front().attentionNorm.epsilon != finalNorm.epsilon)
    return error(graph.outputs().front(), "norms of different epsilons are not supported");
  model.matrices["model.embed_tokens.weight"] = table;
  model.vectors["model.norm.weight"] = finalNorm.weight;
  if (!config.tiedHead)
    model.matrices["lm_head.weight"] = head.weight;
  return std::move(model);
}

/// Which graph input the embedding's rows are chosen by.
StatusOr<size_t> tokenInput(const ONNXGraph &graph) {
  for (const ONNXNode &node : graph.nodes()) {
    if (node.op != "Gather" || node.inputs.size() != 2 || node.inputs[0] < 0 || node.inputs[1] < 0)
      continue;
    const auto &table = graph.values()[size_t(node.inputs[0])].initializer;
    if (!table || !IsFloat(table->type) || table->shape.size() != 2)
      continue;
    int index = node.inputs[1];
    while (graph.values()[size_t(index)].producer >= 0) {
      const ONNXNode &cast = graph.nodes()[size_t(graph.values()[size_t(index)].producer)];
      if ((cast.op != "Cast" && cast.op != "Identity") || cast.inputs.empty() || cast.inputs[0] < 0)
        break;
      index = cast.inputs[0];
    }
    for (size_t i = 0; i < graph.inputs().size(); ++i)
      if (graph.inputs()[i].value == index)
        return i;
  }
  return Invalid(graph.path(), ": no input of token ids that choose an embedding's rows (Gather)");
}

} // namespace

StatusOr<ONNXModel> RaiseONNX(const ONNXGraph &graph) {
  constexpr size_t mostInputs = 3;
  if (graph.outputs().size() != 1)
    return Invalid(graph.path(), ": ", graph.outputs().size(),
                   " outputs; only one, the logits, is supported: export with use_cache=False");
  for (const ONNXInput &input : graph.inputs()) {
    std::string name = Quoted(graph.values()[size_t(input.value)].name);
    if (input.shape.size() != 2 || (input.type != ONNXType::I64 && input.type != ONNXType::I32 &&
                                    input.type != ONNXType::Bool))
      return Invalid(graph.path(), ": input ", name,
                     " is neither token ids nor an attention mask nor "
                     "position ids of shape [batch, sequence]: export with use_cache=False");
    if (input.shape[1] >= 0)
      return Invalid(graph.path(), ": input ", name, " has a fixed length of ", input.shape[1],
                     ": export with a dynamic sequence dimension");
  }
  if (graph.inputs().size() > mostInputs)
    return Invalid(graph.path(), ": ", graph.inputs().size(),
                   " inputs; token ids, an attention mask "
                   "and position ids are supported");
  COMPRESSC_ASSIGN_OR_RETURN(size_t tokens, tokenInput(graph));

  // A mask and position ids look the same: the graph is a causal decoder under one reading only.
  std::optional<Status> failure;
  for (unsigned reading = 0; reading < (1u << graph.inputs().size()); ++reading) {
    if (reading & (1u << tokens))
      continue;
    std::vector<ONNXInputKind> kinds;
    for (size_t i = 0; i < graph.inputs().size(); ++i)
      kinds.push_back(i == tokens           ? ONNXInputKind::Unknown
                      : reading & (1u << i) ? ONNXInputKind::Positions
                                            : ONNXInputKind::Ones);
    COMPRESSC_ASSIGN_OR_RETURN(ONNXPatterns patterns, ONNXPatterns::Evaluate(graph, kinds));
    StatusOr<ONNXModel> model = Raiser(graph, patterns).raise();
    if (model.ok())
      return model;
    if (!failure)
      failure = model.status();
  }
  return *failure;
}

} // namespace compressc
