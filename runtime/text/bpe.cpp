#include "bpe.h"
#include "byte_level.h"
#include "../base/json_fields.h"
#include "token_decoder.h"
#include "unicode.h"
#include "word_cache.h"
#include <algorithm>
#include <atomic>

namespace compressc {

StatusOr<int32_t> TokenIdFromJson(const nlohmann::json &json) {
  if (!json.is_number_integer())
    return Invalid("the id must be an integer");
  if (json.is_number_unsigned() ? json.get<uint64_t>() > uint64_t(maxTokenId)
                                : json.get<int64_t>() < 0 || json.get<int64_t>() > maxTokenId)
    return Invalid("the id ", json.dump(), " is out of range (0 to ", maxTokenId, ")");
  return json.get<int32_t>();
}

int32_t FindToken(const absl::flat_hash_map<std::string, int32_t> &tokens, std::string_view token) {
  // Abseil's own string_view may be another class than the standard one.
  auto found = tokens.find(absl::string_view(token.data(), token.size()));
  return found == tokens.end() ? -1 : found->second;
}

StatusOr<BpeModel> BpeModel::FromJson(const nlohmann::json &options, TokenizerJson &&file,
                                      bool byteLevel) {
  static std::atomic<uint64_t> models{0};
  BpeModel model;
  model.serial = ++models;
  COMPRESSC_RETURN_IF_ERROR(model.readVocabulary(std::move(file.vocabulary)));
  COMPRESSC_RETURN_IF_ERROR(model.readOptions(options));
  if (model.byteFallback && byteLevel)
    return Invalid("byte_fallback does not go with ByteLevel, which spells every byte");
  COMPRESSC_RETURN_IF_ERROR(model.readMerges(file));
  model.findSmallestPieces(byteLevel);
  return model;
}

Status BpeModel::readVocabulary(std::vector<std::pair<std::string, int32_t>> &&vocabulary) {
  if (vocabulary.empty())
    return Invalid("vocab must be an object of tokens and ids, and not be empty");
  int32_t largest = 0;
  for (const auto &[token, id] : vocabulary)
    largest = std::max(largest, id);
  std::vector<int32_t> owners(size_t(largest) + 1, -1);
  for (size_t i = 0; i < vocabulary.size(); ++i) {
    auto &[token, id] = vocabulary[i];
    if (owners[id] >= 0)
      return Invalid("vocab: the tokens ", Quoted(vocabulary[owners[id]].first), " and ",
                     Quoted(token), " both have the id ", id);
    owners[id] = int32_t(i);
  }
  tokens.reserve(vocabulary.size());
  for (auto &[token, id] : vocabulary)
    if (!tokens.try_emplace(std::move(token), id).second)
      return Invalid("vocab: the token ", Quoted(token), " is listed twice");
  return absl::OkStatus();
}

Status BpeModel::readOptions(const nlohmann::json &json) {
  COMPRESSC_ASSIGN_OR_RETURN(ignoreMerges, BoolField(json, "ignore_merges", false));
  COMPRESSC_ASSIGN_OR_RETURN(fuseUnknown, BoolField(json, "fuse_unk", false));
  COMPRESSC_ASSIGN_OR_RETURN(std::string unknown, StringField(json, "unk_token"));
  if (!Field(json, "unk_token").is_null()) {
    unknownId = FindToken(tokens, unknown);
    if (unknownId < 0)
      return Invalid("unk_token ", Quoted(unknown), " is not in the vocabulary");
  }
  COMPRESSC_ASSIGN_OR_RETURN(byteFallback, BoolField(json, "byte_fallback", false));
  // Ours: SentencePiece ranks tokens, not pairs; other readers leave it aside.
  COMPRESSC_ASSIGN_OR_RETURN(equalSplits, BoolField(json, "equal_splits", false));
  for (const char *key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    COMPRESSC_ASSIGN_OR_RETURN(std::string affix, StringField(json, key));
    if (!affix.empty())
      return Invalid(key, " is not supported (only byte-level BPE is)");
  }
  const nlohmann::json &dropout = Field(json, "dropout");
  if (!dropout.is_null() && !(dropout.is_number() && dropout.get<double>() == 0))
    return Invalid("dropout makes ids random, set it to null");
  return absl::OkStatus();
}

Status BpeModel::readMerges(const TokenizerJson &file) {
  if (!file.hasMerges)
    return Invalid("merges must be a list");
  ranks.reserve(file.merges());
  merged.reserve(file.merges());
  std::string whole;
  uint32_t rank = 0;
  for (size_t i = 0; i < file.merges(); ++i) {
    std::string_view left = file.mergeSide(2 * i), right = file.mergeSide(2 * i + 1);
    whole.assign(left).append(right);
    int32_t ids[3];
    std::string_view names[3] = {left, right, whole};
    for (int k = 0; k < 3; ++k) {
      ids[k] = FindToken(tokens, names[k]);
      if (ids[k] < 0)
        return Invalid("merges[", i, "]: ", Quoted(names[k]), " is not in the vocabulary");
    }
    // A pair that is listed again has its last place. Splits of one token follow each other.
    bool same = equalSplits && !merged.empty() && merged.back() == ids[2];
    rank = same ? rank : uint32_t(i);
    ranks[uint64_t(ids[0]) << 32 | uint32_t(ids[1])] = rank;
    merged.push_back(ids[2]);
  }
  return absl::OkStatus();
}

void BpeModel::findSmallestPieces(bool byteLevel) {
  isByteLevel = byteLevel;
  if (byteLevel) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string name;
      unicode::append(name, CharacterOfByte(uint8_t(byte)));
      byteIds[byte] = FindToken(tokens, name);
    }
  } else {
    for (const auto &[name, id] : tokens) {
      size_t at = 0;
      if (name.empty())
        continue;
      uint32_t c = unicode::next(name, at);
      if (at == name.size())
        characterIds.emplace(c, id);
    }
    fallbackIds.fill(-1);
    for (const auto &[name, id] : tokens)
      if (int byte = byteFallback ? ByteOfFallbackToken(name) : -1; byte >= 0)
        fallbackIds[size_t(byte)] = id;
  }
  if (!ignoreMerges)
    return;
  wholeWords.reserve(tokens.size());
  for (const auto &[name, id] : tokens) {
    if (!byteLevel)
      wholeWords.emplace(name, id);
    else if (std::optional<std::string> bytes = BytesOfToken(name))
      wholeWords.emplace(*std::move(bytes), id);
  }
}

void BpeModel::encodeWord(std::string_view word, Scratch &scratch,
                          std::vector<int32_t> &ids) const {
  // Positions within a word are 32-bit.
  constexpr size_t longest = size_t(1) << 30;
  while (word.size() > longest) {
    size_t cut = unicode::previous(word, longest);
    mergeWord(word.substr(0, cut), scratch, ids);
    word.remove_prefix(cut);
  }
  WordCache &cache = WordCache::OfThisThread();
  WordCache::Entry *entry = cache.entryFor(serial, word);
  if (entry && entry->holds(serial, word)) {
    ids.insert(ids.end(), entry->ids, entry->ids + entry->idCount);
    return;
  }
  size_t before = ids.size();
  int32_t whole = ignoreMerges ? FindToken(wholeWords, word) : -1;
  if (whole >= 0)
    ids.push_back(whole);
  else
    mergeWord(word, scratch, ids);
  if (entry)
    entry->store(serial, word, ids.data() + before, ids.size() - before);
}

/// The tokens of a character's bytes; false when one of them is missing.
bool BpeModel::addFallbackPieces(std::string_view character, Scratch &scratch) const {
  if (!byteFallback)
    return false;
  for (char byte : character)
    if (fallbackIds[uint8_t(byte)] < 0)
      return false;
  for (char byte : character) {
    auto position = int32_t(scratch.symbols.size());
    scratch.symbols.push_back({fallbackIds[uint8_t(byte)], position - 1, position + 1});
  }
  return true;
}

void BpeModel::addSmallestPieces(std::string_view word, Scratch &scratch) const {
  scratch.symbols.clear();
  bool afterUnknown = false;
  for (size_t at = 0; at < word.size();) {
    int32_t id = -1;
    if (isByteLevel) {
      id = byteIds[uint8_t(word[at++])];
    } else {
      size_t begin = at;
      auto found = characterIds.find(unicode::next(word, at));
      if (found != characterIds.end())
        id = found->second;
      else if (addFallbackPieces(word.substr(begin, at - begin), scratch)) {
        afterUnknown = false;
        continue;
      }
    }
    bool unknown = id < 0;
    // Without a token for the unknown, what the vocabulary cannot spell leaves no trace.
    if (unknown)
      id = afterUnknown && fuseUnknown ? -1 : unknownId;
    if (id >= 0) {
      auto position = int32_t(scratch.symbols.size());
      scratch.symbols.push_back({id, position - 1, position + 1});
    }
    afterUnknown = unknown;
  }
}

/// Compares so that the heap's top has the lowest rank, the leftmost among equals.
static bool worse(const BpeModel::Scratch::Candidate &a, const BpeModel::Scratch::Candidate &b) {
  return a.rank != b.rank ? a.rank > b.rank : a.position > b.position;
}

void BpeModel::offer(Scratch &scratch, int32_t position) const {
  const Scratch::Symbol &left = scratch.symbols[position];
  int32_t rightId = scratch.symbols[left.next].id;
  auto found = ranks.find(uint64_t(left.id) << 32 | uint32_t(rightId));
  if (found != ranks.end())
    scratch.heap.push_back({found->second, position, left.id, rightId});
}

void BpeModel::mergeWord(std::string_view word, Scratch &scratch, std::vector<int32_t> &ids) const {
  addSmallestPieces(word, scratch);
  auto &symbols = scratch.symbols;
  auto &heap = scratch.heap;
  if (symbols.empty())
    return;
  symbols.back().next = -1;
  heap.clear();
  for (int32_t i = 0; symbols[i].next >= 0; ++i)
    offer(scratch, i);
  std::make_heap(heap.begin(), heap.end(), worse);

  while (!heap.empty()) {
    Scratch::Candidate best = heap.front();
    std::pop_heap(heap.begin(), heap.end(), worse);
    heap.pop_back();
    // Merges around it may have changed the pair since it was offered; absorbed symbols have id -1.
    Scratch::Symbol &left = symbols[best.position];
    if (left.id != best.left || left.next < 0 || symbols[left.next].id != best.right)
      continue;
    Scratch::Symbol &right = symbols[left.next];
    left.id = merged[best.rank];
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0)
      symbols[left.next].previous = best.position;
    for (int32_t position : {left.previous, best.position}) {
      if (position < 0 || symbols[position].next < 0)
        continue;
      size_t count = heap.size();
      offer(scratch, position);
      if (heap.size() > count)
        std::push_heap(heap.begin(), heap.end(), worse);
    }
  }
  for (int32_t i = 0; i >= 0; i = symbols[i].next)
    ids.push_back(symbols[i].id);
}

} // namespace compressc
