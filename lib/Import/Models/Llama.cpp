// Llama 2 and 3, SmolLM2 and whatever else has their layers.
#include "Decoder.h"
#include <algorithm>

namespace compressc {

namespace {

/// Llama has no windows, whatever fields its file carries.
StatusOr<std::unique_ptr<Model>> parse(const ConfigFields &fields) {
  COMPRESSC_ASSIGN_OR_RETURN(Decoder config, ParseDecoder(fields, {.contextLength = 2048}));
  COMPRESSC_ASSIGN_OR_RETURN(config.inputBias, fields.boolean("attention_bias", false));
  config.outputBias = config.inputBias;
  COMPRESSC_ASSIGN_OR_RETURN(config.mlpBias, fields.boolean("mlp_bias", false));
  config.ggufPairsQueryRows = true;
  if (!fields.find("eos_token_id") && !fields.isNull("eos_token_id"))
    config.endTokens.push_back(2); // transformers' default, which it does not write
  return std::make_unique<DecoderModel>(std::move(config));
}

StatusOr<ConfigJson> configOfGGUF(const Family &family, const GGUFMetadata &metadata) {
  COMPRESSC_ASSIGN_OR_RETURN(ConfigJson config,
                             DecoderConfigOfGGUF(metadata, family, "silu", true));
  COMPRESSC_RETURN_IF_ERROR(AddAttentionBias(metadata, config));
  COMPRESSC_ASSIGN_OR_RETURN(config["mlp_bias"],
                             metadata.hasBias({"ffn_gate", "ffn_up", "ffn_down"}));
  COMPRESSC_RETURN_IF_ERROR(FinishGGUFConfig(metadata, config));
  return config;
}

bool configOfGraph(const Family &family, const Decoder &graph, ConfigJson &config) {
  bool windows = std::any_of(graph.windows.begin(), graph.windows.end(), [](int64_t w) { return w; });
  if (graph.headNorms || graph.inputBias != graph.outputBias || windows)
    return false;
  WriteDecoder(graph, family, config);
  return true;
}

} // namespace

extern const Family llamaFamily{"LlamaForCausalLM", "llama", "llama", parse, configOfGGUF,
                                configOfGraph};

} // namespace compressc
