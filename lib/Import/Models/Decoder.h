// What Llama, Qwen2 and Qwen3 share: a decoder of pre-normed layers.
#pragma once

#include "Family.h"

namespace compressc {

struct DecoderSizes : CommonConfig {
  int64_t hiddenSize = 0;
  int64_t intermediateSize = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t kvHeads = 0;
  int64_t headDim = 0;

  std::string activation; // silu, gelu, gelu_tanh or relu
  double normEpsilon = 0;
};

struct Decoder : DecoderSizes {
  bool inputBias = false;  // of the projections to q, k and v
  bool outputBias = false; // of attention's output projection
  bool mlpBias = false;
  bool headNorms = false; // RMS norms of each head's q and k
  int64_t headRank = 0;   // the head is two linears with this width between them (svd-factorize); 0: one
  RopeConfig rope;
  std::vector<int64_t> windows;    // of each layer's attention; 0: the whole context
  bool ggufPairsQueryRows = false; // GGUF files interleave the rows of q and k
};

class DecoderModel : public Model {
public:
  explicit DecoderModel(Decoder decoder) : config(std::move(decoder)) {}
  const CommonConfig &common() const override { return config; }
  GraphValue build(GraphBuilder &builder) const override;
  const Decoder *decoder() const override { return &config; }

private:
  Decoder config;
};

//===-- config.json -------------------------------------------------------------------------------===//

/// What a family's configuration class of transformers has when config.json is silent; 0: derived
/// from other fields.
struct SizeDefaults {
  int64_t contextLength, kvHeads = 0, headDim = 0;
};

Status ParseSizes(const ConfigFields &fields, const SizeDefaults &defaults, DecoderSizes &config);

/// One of lm.gated_activation's, from the field `key`.
StatusOr<std::string> ParseActivation(const ConfigFields &fields, const std::string &key,
                                      const std::string &fallback);

/// Sizes, activation, norms' epsilon, rope and the head.
StatusOr<Decoder> ParseDecoder(const ConfigFields &fields, const SizeDefaults &defaults);

/// layer_types: `window` for each sliding_attention; the result is left as it is when the field is
/// absent. `why` says what is wrong with a sliding layer where there is no window.
Status ParseLayerTypes(const ConfigFields &fields, int64_t window, const std::string &why,
                       std::vector<int64_t> &windows);

/// Qwen's sliding_window, max_window_layers and layer_types.
Status ParseQwenWindows(const ConfigFields &fields, Decoder &config);

//===-- GGUF --------------------------------------------------------------------------------------===//

/// Everything but the biases, the windows, how the head is tied and the token ids: see
/// FinishGGUFConfig. `read`: settings that the family reads itself, see checkNothingElse.
StatusOr<ConfigJson> DecoderConfigOfGGUF(const GGUFMetadata &metadata, const Family &family,
                                         const char *activation, bool hasHeadDim,
                                         std::initializer_list<const char *> read = {});
/// attention_bias: q, k, v and the output have biases, all or none of them.
Status AddAttentionBias(const GGUFMetadata &metadata, ConfigJson &config);
/// Qwen's GGUF files have no windows.
void AddNoWindows(ConfigJson &config);
Status FinishGGUFConfig(const GGUFMetadata &metadata, ConfigJson &config);

//===-- ONNX --------------------------------------------------------------------------------------===//

/// Replaces every field that says what `graph` computes, but for biases of the MLP and windows.
void WriteDecoder(const Decoder &graph, const Family &family, ConfigJson &config);
void WriteQwenWindows(const std::vector<int64_t> &windows, ConfigJson &config);

} // namespace compressc
