// Byte-level BPE as Hugging Face's tokenizer.json describes it (SmolLM2, Llama 3, Qwen2/2.5/3).
#pragma once

#include "absl/types/span.h"
#include "compressc/runtime/status.h"
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace compressc {

class Tokenizer {
public:
  /// `json` is the text of tokenizer.json (untrusted); `name` is the file, for messages. What the file
  /// asks for and we do not have (another model type, normalizer, pre-tokenizer …) is an error here.
  static StatusOr<std::unique_ptr<Tokenizer>> FromJson(std::string_view json, std::string_view name);
  static StatusOr<std::unique_ptr<Tokenizer>> FromFile(const std::string &path);
  ~Tokenizer();

  /// Token ids of UTF-8 text. Invalid UTF-8 is replaced by U+FFFD. `addSpecialTokens` runs the
  /// post-processor's template (Llama 3: BOS).
  std::vector<int32_t> encode(std::string_view text, bool addSpecialTokens = true) const;
  /// Text of the ids; unknown ids are skipped, invalid UTF-8 becomes U+FFFD.
  std::string decode(absl::Span<const int32_t> ids, bool skipSpecialTokens = true) const;
  /// Appends what `id` adds to the bytes of the ids before it. A character may have its bytes in several
  /// ids: `bytes` need not be UTF-8.
  void appendBytes(int32_t id, std::string &bytes, bool skipSpecialTokens = true) const;

  /// The id of a vocabulary entry or added token given by its exact content, or -1.
  int32_t tokenId(std::string_view token) const;
  /// 1 + the largest id.
  int64_t size() const;

private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

} // namespace compressc
