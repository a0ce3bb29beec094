// What is done to text before it is cut into tokens: the "normalizer" of tokenizer.json.
#pragma once

#include "compressc/runtime/status.h"
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace compressc {

class Normalizer {
public:
  /// NFC, Replace of one string by another, and sequences of these; null does nothing.
  static StatusOr<Normalizer> FromJson(const nlohmann::json &json);

  /// The normalised text: `text` itself where nothing changes, else in `storage`.
  std::string_view apply(std::string_view text, std::string &storage) const;

private:
  struct Replacement {
    std::string from, to; // no `from`: NFC
  };
  Status addSteps(const nlohmann::json &json, int depth);

  std::vector<Replacement> steps;
};

} // namespace compressc
