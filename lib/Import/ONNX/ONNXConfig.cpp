#include "ONNXConfig.h"
#include "ONNXRope.h"
#include "absl/strings/str_join.h"
#include "compressc/runtime/text.h"
#include <algorithm>
#include <cmath>

namespace compressc {

namespace {

/// What the two configurations compute differently.
std::vector<std::string> differences(const Decoder &a, const Decoder &b) {
  std::vector<std::string> result;
  auto check = [&](bool same, const char *what) {
    if (!same)
      result.push_back(what);
  };
  check(a.vocabularySize == b.vocabularySize, "vocab_size");
  check(a.hiddenSize == b.hiddenSize, "hidden_size");
  check(a.intermediateSize == b.intermediateSize, "intermediate_size");
  check(a.layers == b.layers, "num_hidden_layers");
  check(a.heads == b.heads, "num_attention_heads");
  check(a.kvHeads == b.kvHeads, "num_key_value_heads");
  check(a.headDim == b.headDim, "head_dim");
  check(a.activation == b.activation, "hidden_act");
  check(std::fabs(a.normEpsilon - b.normEpsilon) <= 1e-6 * b.normEpsilon, "rms_norm_eps");
  check(a.inputBias == b.inputBias && a.outputBias == b.outputBias, "attention_bias");
  check(a.mlpBias == b.mlpBias, "mlp_bias");
  check(a.headNorms == b.headNorms, "norms of q and k");
  check(a.tiedHead == b.tiedHead, "tie_word_embeddings");
  // No graph says yarn: its factor on cosines and sines is refused.
  check(a.rope.scaling != "yarn" &&
            SameFrequencies(RopeFrequencies(a.rope, b.headDim), RopeFrequencies(b.rope, b.headDim)),
        "rope_parameters");
  check(a.windows == b.windows, "sliding_window");
  return result;
}

} // namespace

StatusOr<std::string> ONNXConfig(const Decoder &graph, const std::string &text,
                                 const std::string &where, std::string &warning) {
  COMPRESSC_ASSIGN_OR_RETURN(ConfigJson json, ParseConfigObject(text, where));
  ConfigFields fields(json, where);
  if (!fields.find("max_position_embeddings"))
    return fields.error("max_position_embeddings",
                        "missing: the longest context in tokens, which the graph cannot say");
  bool described = fields.find("model_type") || fields.find("architectures");
  StatusOr<std::unique_ptr<Model>> config = ParseModel(text, where);
  if (config.ok()) {
    const Decoder *decoder = (*config)->decoder();
    std::vector<std::string> different =
        decoder ? differences(*decoder, graph) : std::vector<std::string>{"model_type"};
    if (different.empty())
      return text;
    warning = absl::StrCat(
        where, " says otherwise than the graph, which counts: ", absl::StrJoin(different, ", "));
  } else if (described) {
    warning = absl::StrCat(std::string(config.status().message()), "; the graph counts");
  }
  for (const Family *family : Families())
    if (family->configOfGraph && family->configOfGraph(*family, graph, json))
      return json.dump(2) + "\n";
  return Invalid(where, ": no family of models has the graph's biases, norms of q and k and windows "
                        "together; the graph alone can't be exported as a checkpoint");
}

} // namespace compressc
