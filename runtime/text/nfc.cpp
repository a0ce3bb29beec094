// Canonical composition. The Unicode version is that of the tables, not of a system library, since
// token ids depend on it.
#include "absl/container/flat_hash_map.h"
#include "unicode.h"
#include "unicode_tables.h"
#include <algorithm>
#include <tuple>
#include <vector>

namespace compressc::unicode {

// Hangul syllables are composed by arithmetic (Unicode, chapter 3.12).
constexpr uint32_t hangulBase = 0xAC00, leadBase = 0x1100, vowelBase = 0x1161, tailBase = 0x11A7;
constexpr uint32_t leads = 19, vowels = 21, tails = 28, syllables = leads * vowels * tails;

namespace {
struct Tables {
  absl::flat_hash_map<uint32_t, uint8_t> combining;
  absl::flat_hash_map<uint32_t, std::pair<uint32_t, uint32_t>> parts;
  absl::flat_hash_map<uint64_t, uint32_t> pairs;

  Tables() {
    for (const CombiningRange &range : combiningClasses())
      for (uint32_t c = range.first; c <= range.last; ++c)
        combining.emplace(c, range.combiningClass);
    for (const Decomposition &entry : canonicalDecompositions()) {
      parts.emplace(entry.composed, std::make_pair(entry.first, entry.second));
      if (entry.composes)
        pairs.emplace(uint64_t(entry.first) << 32 | entry.second, entry.composed);
    }
  }

  void decompose(uint32_t c, std::vector<uint32_t> &out) const {
    if (c - hangulBase < syllables) {
      uint32_t index = c - hangulBase;
      out.push_back(leadBase + index / (vowels * tails));
      out.push_back(vowelBase + index / tails % vowels);
      if (index % tails)
        out.push_back(tailBase + index % tails);
      return;
    }
    // First parts decompose further, second parts never do.
    auto found = parts.find(c);
    if (found == parts.end()) {
      out.push_back(c);
      return;
    }
    decompose(found->second.first, out);
    if (found->second.second)
      out.push_back(found->second.second);
  }

  uint8_t combiningClass(uint32_t c) const {
    auto found = combining.find(c);
    return found == combining.end() ? 0 : found->second;
  }

  /// What the two compose to, or 0.
  uint32_t compose(uint32_t first, uint32_t second) const {
    if (first - leadBase < leads && second - vowelBase < vowels)
      return hangulBase + ((first - leadBase) * vowels + second - vowelBase) * tails;
    if (first - hangulBase < syllables && (first - hangulBase) % tails == 0 &&
        second - tailBase - 1 < tails - 1)
      return first + second - tailBase;
    auto found = pairs.find(uint64_t(first) << 32 | second);
    return found == pairs.end() ? 0 : found->second;
  }
};
} // namespace

static bool needsWork(std::string_view text) {
  // Everything below U+0300 is its own composition; those characters have lead bytes below 0xCC.
  size_t at = 0;
  while (at < text.size() && uint8_t(text[at]) < 0xCC)
    ++at;
  const uint16_t *table = propertyTable();
  while (at < text.size())
    if (uint8_t(text[at]) < 0x80)
      ++at;
    else if (table[next(text, at)] & nfcRelevant)
      return true;
  return false;
}

std::string_view toNfc(std::string_view text, std::string &storage) {
  if (!needsWork(text))
    return text;
  static const Tables tables;
  std::vector<uint32_t> points;
  points.reserve(text.size());
  for (size_t at = 0; at < text.size();)
    tables.decompose(next(text, at), points);

  std::vector<uint8_t> classes(points.size());
  for (size_t i = 0; i < points.size(); ++i)
    classes[i] = points[i] < 0x300 ? 0 : tables.combiningClass(points[i]);

  // Canonical order: each run of marks sorted by class, equal classes in their order.
  struct Mark {
    uint8_t combiningClass;
    size_t place;
    uint32_t point;
  };
  std::vector<Mark> run;
  for (size_t i = 0; i < points.size();) {
    size_t end = i;
    while (end < points.size() && classes[end] != 0)
      ++end;
    if (end - i > 1 && !std::is_sorted(classes.begin() + i, classes.begin() + end)) {
      run.clear();
      for (size_t k = i; k < end; ++k)
        run.push_back({classes[k], k, points[k]});
      std::sort(run.begin(), run.end(), [](const Mark &a, const Mark &b) {
        return std::tie(a.combiningClass, a.place) < std::tie(b.combiningClass, b.place);
      });
      for (size_t k = i; k < end; ++k) {
        classes[k] = run[k - i].combiningClass;
        points[k] = run[k - i].point;
      }
    }
    i = end + 1;
  }

  // A character composes with the last starter unless one of its own or a higher class lies
  // between.
  size_t out = 0, starter = SIZE_MAX;
  int between = -1; // the highest class since the starter, -1 when nothing is there
  for (size_t i = 0; i < points.size(); ++i) {
    if (starter != SIZE_MAX && between < int(classes[i])) {
      if (uint32_t composed = tables.compose(points[starter], points[i])) {
        points[starter] = composed;
        continue;
      }
    }
    points[out] = points[i];
    classes[out] = classes[i];
    if (classes[out] == 0) {
      starter = out;
      between = -1;
    } else {
      between = classes[out];
    }
    ++out;
  }

  storage.clear();
  storage.reserve(text.size());
  for (size_t i = 0; i < out; ++i)
    append(storage, points[i]);
  return storage;
}

} // namespace compressc::unicode
