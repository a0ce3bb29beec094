// What config.json says of a decoder-only model, checked.
#pragma once

#include "compressc/runtime/status.h"
#include <cstdint>
#include <string>
#include <vector>

namespace compressc {

struct RopeConfig {
  double theta = 10000;
  std::string scaling = "default"; // default, linear, llama3 or yarn
  double factor = 1;
  // llama3 only:
  double lowFrequency = 1;
  double highFrequency = 1;
  int64_t originalContext = 0; // yarn too
  // yarn only:
  double betaFast = 1;
  double betaSlow = 1;
  double attentionFactor = 1;
  bool fractional = false; // the file's "truncate" is false
};

struct ModelConfig {
  std::string architecture; // LlamaForCausalLM, Qwen2ForCausalLM or Qwen3ForCausalLM
  std::string dtype;        // float16, bfloat16 or float32; empty when the file does not say

  int64_t vocabularySize = 0;
  int64_t hiddenSize = 0;
  int64_t intermediateSize = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t kvHeads = 0;
  int64_t headDim = 0;
  int64_t contextLength = 0;

  std::string activation; // silu, gelu, gelu_tanh or relu
  double normEpsilon = 0;
  bool inputBias = false;  // of the projections to q, k and v
  bool outputBias = false; // of attention's output projection
  bool mlpBias = false;
  bool headNorms = false; // RMS norms of each head's q and k
  bool tiedHead = false;  // the head's weight is the embedding table
  int64_t headRank = 0;   // the head is two linears with this width between them (svd-factorize); 0: one

  RopeConfig rope;
  std::vector<int64_t> windows; // of each layer's attention; 0: the whole context
  std::vector<int32_t> endTokens;
};

/// `where` names the file in messages. Every number is checked for its range, so sizes computed
/// from the result do not overflow.
StatusOr<ModelConfig> ParseModelConfig(const std::string &text,
                                       const std::string &where = "config.json");

/// Adds the end tokens of generation_config.json, which may be more than config.json's.
Status AddEndTokens(ModelConfig &config, const std::string &text, const std::string &where);

/// The same config.json with another weight type ("float16", ...), under the keys that it uses.
StatusOr<std::string> WithDType(const std::string &text, const std::string &dtype,
                                const std::string &where = "config.json");

} // namespace compressc
