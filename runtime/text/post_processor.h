// What a tokenizer puts around the ids of a text.
#pragma once

#include "compressc/runtime/status.h"
#include <nlohmann/json_fwd.hpp>
#include <vector>

namespace compressc {

struct PostProcessor {
  std::vector<int32_t> prefix, suffix;

  /// `json` is the "post_processor" of tokenizer.json; null adds nothing.
  static StatusOr<PostProcessor> FromJson(const nlohmann::json &json);
};

} // namespace compressc
