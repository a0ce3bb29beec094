// What config.json says of a model of any family.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace compressc {

struct CommonConfig {
  std::string architecture; // LlamaForCausalLM, ...
  std::string dtype;        // float16, bfloat16 or float32; empty when the file does not say
  int64_t vocabularySize = 0;
  int64_t contextLength = 0;
  bool tiedHead = false; // the head's weight is the embedding table
  std::vector<int32_t> endTokens;
};

} // namespace compressc
