// Qwen2 and Qwen2.5: biases on q, k and v, windows on the later layers.
#include "Decoder.h"
#include "compressc/runtime/text.h"

namespace compressc {

namespace {

StatusOr<std::unique_ptr<Model>> parse(const ConfigFields &fields) {
  COMPRESSC_ASSIGN_OR_RETURN(Decoder config,
                             ParseDecoder(fields, {.contextLength = 32768, .kvHeads = 32}));
  config.inputBias = true;
  COMPRESSC_RETURN_IF_ERROR(ParseQwenWindows(fields, config));
  return std::make_unique<DecoderModel>(std::move(config));
}

StatusOr<ConfigJson> configOfGGUF(const Family &family, const GGUFMetadata &metadata) {
  COMPRESSC_ASSIGN_OR_RETURN(ConfigJson config,
                             DecoderConfigOfGGUF(metadata, family, "silu", false));
  COMPRESSC_ASSIGN_OR_RETURN(bool input, metadata.hasBias({"attn_q", "attn_k", "attn_v"}));
  COMPRESSC_ASSIGN_OR_RETURN(bool output, metadata.hasBias({"attn_output"}));
  COMPRESSC_ASSIGN_OR_RETURN(bool mlp, metadata.hasBias({"ffn_gate", "ffn_up", "ffn_down"}));
  if ((!input && !metadata.file.tensors().empty()) || output || mlp)
    return Invalid(metadata.file.path(),
                   ": qwen2 has biases on q, k and v and on nothing else");
  AddNoWindows(config);
  COMPRESSC_RETURN_IF_ERROR(FinishGGUFConfig(metadata, config));
  return config;
}

bool configOfGraph(const Family &family, const Decoder &graph, ConfigJson &config) {
  if (graph.headNorms || !graph.inputBias || graph.outputBias || graph.mlpBias)
    return false;
  WriteDecoder(graph, family, config);
  WriteQwenWindows(graph.windows, config);
  return true;
}

} // namespace

extern const Family qwen2Family{"Qwen2ForCausalLM", "qwen2", "qwen2", parse, configOfGGUF,
                                configOfGraph};

} // namespace compressc
