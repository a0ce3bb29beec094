// Qwen3: norms of each head's q and k, a head dimension of its own.
#include "Decoder.h"
#include "compressc/runtime/text.h"

namespace compressc {

namespace {

StatusOr<std::unique_ptr<Model>> parse(const ConfigFields &fields) {
  COMPRESSC_ASSIGN_OR_RETURN(
      Decoder config,
      ParseDecoder(fields, {.contextLength = 32768, .kvHeads = 32, .headDim = 128}));
  COMPRESSC_ASSIGN_OR_RETURN(config.inputBias, fields.boolean("attention_bias", false));
  config.outputBias = config.inputBias;
  config.headNorms = true;
  COMPRESSC_RETURN_IF_ERROR(ParseQwenWindows(fields, config));
  return std::make_unique<DecoderModel>(std::move(config));
}

StatusOr<ConfigJson> configOfGGUF(const Family &family, const GGUFMetadata &metadata) {
  COMPRESSC_ASSIGN_OR_RETURN(ConfigJson config,
                             DecoderConfigOfGGUF(metadata, family, "silu", true));
  COMPRESSC_RETURN_IF_ERROR(AddAttentionBias(metadata, config));
  COMPRESSC_ASSIGN_OR_RETURN(bool mlp, metadata.hasBias({"ffn_gate", "ffn_up", "ffn_down"}));
  if (mlp)
    return Invalid(metadata.file.path(),
                   ": biases on the feed-forward layers are not supported for qwen3");
  AddNoWindows(config);
  COMPRESSC_RETURN_IF_ERROR(FinishGGUFConfig(metadata, config));
  return config;
}

bool configOfGraph(const Family &family, const Decoder &graph, ConfigJson &config) {
  if (!graph.headNorms || graph.inputBias != graph.outputBias || graph.mlpBias)
    return false;
  WriteDecoder(graph, family, config);
  WriteQwenWindows(graph.windows, config);
  return true;
}

} // namespace

extern const Family qwen3Family{"Qwen3ForCausalLM", "qwen3", "qwen3", parse, configOfGGUF,
                                configOfGraph};

} // namespace compressc
