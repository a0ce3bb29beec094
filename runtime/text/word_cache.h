// The ids of words seen lately. One small table for each thread, so that nothing is locked; an
// entry fills a cache line and is overwritten by the next word that falls on it.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

namespace compressc {

class WordCache {
public:
  struct Entry {
    uint64_t owner = 0; // 0: empty
    uint8_t wordSize = 0, idCount = 0;
    char word[30];
    int32_t ids[6];

    bool holds(uint64_t wantedOwner, std::string_view wanted) const {
      return owner == wantedOwner && wordSize == wanted.size() &&
             std::memcmp(word, wanted.data(), wanted.size()) == 0;
    }
    void store(uint64_t newOwner, std::string_view newWord, const int32_t *newIds, size_t count) {
      if (count > std::size(ids))
        return;
      owner = newOwner;
      wordSize = uint8_t(newWord.size());
      idCount = uint8_t(count);
      std::memcpy(word, newWord.data(), newWord.size());
      std::memcpy(ids, newIds, count * sizeof(int32_t));
    }
  };
  static_assert(sizeof(Entry) == 64);

  static WordCache &OfThisThread() {
    static thread_local std::unique_ptr<WordCache> cache;
    if (!cache)
      cache = std::make_unique<WordCache>();
    return *cache;
  }

  /// Where the word belongs; null when it is too long.
  Entry *entryFor(uint64_t owner, std::string_view word) {
    if (word.size() > sizeof(Entry::word))
      return nullptr;
    uint64_t hash = owner + word.size();
    for (size_t at = 0; at < word.size(); at += 8) {
      uint64_t eight = 0;
      std::memcpy(&eight, word.data() + at, word.size() - at < 8 ? word.size() - at : 8);
      hash = (hash ^ eight) * 0x9E3779B97F4A7C15;
      hash ^= hash >> 32;
    }
    return &entries[hash % entries.size()];
  }

private:
  std::array<Entry, 8192> entries;
};

} // namespace compressc
