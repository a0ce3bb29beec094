// Cuts a stretch of text into the words that BPE merges within.
#pragma once

#include "absl/functional/function_ref.h"
#include "compressc/runtime/status.h"
#include "split_regex.h"
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <variant>
#include <vector>

namespace compressc {

class PreTokenizer {
public:
  /// `json` is the "pre_tokenizer" of tokenizer.json; null means that a stretch is one word.
  static StatusOr<PreTokenizer> FromJson(const nlohmann::json &json);

  /// Whether the words' bytes are written in the byte alphabet (byte_level.h).
  bool byteLevel() const { return hasByteLevel; }

  using Sink = absl::FunctionRef<void(std::string_view)>;
  /// `text` must be valid UTF-8. The words are never empty and live during the call of `sink`.
  void split(std::string_view text, SplitRegex::State &state, Sink sink) const {
    run(0, text, state, sink);
  }

private:
  struct Digit {}; ///< matches one numeric character
  struct Step {
    std::variant<SplitRegex, std::string, Digit> matcher;
    enum Behavior { Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous } behavior;
    bool invert = false;
  };

  Status addSteps(const nlohmann::json &json, int depth);
  Status addSplit(const nlohmann::json &json);
  Status addByteLevel(const nlohmann::json &json);
  void run(size_t index, std::string_view text, SplitRegex::State &state, Sink sink) const;
  void apply(const Step &step, std::string_view text, SplitRegex::State &state, Sink sink) const;

  std::vector<Step> steps;
  bool hasByteLevel = false;
  bool addPrefixSpace = false;
  size_t prefixStep = 0; ///< the step before which the space is added
};

} // namespace compressc
