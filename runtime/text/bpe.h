// The BPE model of tokenizer.json: merges the pieces of a word, best pair first.
#pragma once

#include "absl/container/flat_hash_map.h"
#include "compressc/runtime/status.h"
#include "tokenizer_json.h"
#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace compressc {

class BpeModel {
public:
  /// `options` is the "model" of tokenizer.json; `file` has its lists. With `byteLevel`, words come
  /// as the bytes that the byte alphabet stands for, otherwise the characters of the text are the
  /// smallest pieces.
  static StatusOr<BpeModel> FromJson(const nlohmann::json &options, TokenizerJson &&file,
                                     bool byteLevel);

  /// Buffers of encodeWord(), kept between words.
  struct Scratch {
    struct Symbol {
      int32_t id, previous, next;
    };
    struct Candidate {
      uint32_t rank;
      int32_t position, left, right;
    };
    std::vector<Symbol> symbols;
    std::vector<Candidate> heap;
  };

  /// Appends the ids of a word, which is not empty.
  void encodeWord(std::string_view word, Scratch &scratch, std::vector<int32_t> &ids) const;

  /// Contents of the vocabulary, no two of which have the same id, in the file's spelling.
  const absl::flat_hash_map<std::string, int32_t> &vocabulary() const { return tokens; }

private:
  Status readVocabulary(std::vector<std::pair<std::string, int32_t>> &&vocabulary);
  Status readMerges(const TokenizerJson &file);
  Status readOptions(const nlohmann::json &json);
  void findSmallestPieces(bool byteLevel);
  bool addFallbackPieces(std::string_view character, Scratch &scratch) const;
  void addSmallestPieces(std::string_view word, Scratch &scratch) const;
  void mergeWord(std::string_view word, Scratch &scratch, std::vector<int32_t> &ids) const;
  void offer(Scratch &scratch, int32_t position) const;

  absl::flat_hash_map<std::string, int32_t> tokens;
  /// A pair of ids, as left << 32 | right, and its place among the merges.
  absl::flat_hash_map<uint64_t, uint32_t> ranks;
  std::vector<int32_t> merged; ///< the id that each merge makes
  bool isByteLevel = true;
  std::array<int32_t, 256> byteIds{};
  absl::flat_hash_map<uint32_t, int32_t> characterIds;
  bool byteFallback = false;
  std::array<int32_t, 256> fallbackIds{}; ///< of the tokens <0x00> to <0xFF>, -1 where there is none
  absl::flat_hash_map<std::string, int32_t> wholeWords; ///< filled when merges are ignored for them
  bool ignoreMerges = false, fuseUnknown = false;
  bool equalSplits = false; ///< merges that make one token have one rank
  int32_t unknownId = -1;
  uint64_t serial = 0; ///< tells this model's entries in the word cache from another's
};

/// The id of `token`, or -1.
int32_t FindToken(const absl::flat_hash_map<std::string, int32_t> &tokens, std::string_view token);

/// Larger ids are taken for damage: they would only cost memory.
constexpr int32_t maxTokenId = (1 << 22) - 1;

/// A token id from JSON.
StatusOr<int32_t> TokenIdFromJson(const nlohmann::json &json);

} // namespace compressc
