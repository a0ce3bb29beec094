#include "split_regex.h"
#include "unicode.h"

namespace compressc {

void CharacterClass::addRange(uint32_t first, uint32_t last) { ranges.push_back({first, last}); }

void CharacterClass::addCategories(uint32_t set, bool complement) {
  // The categories are disjoint and cover everything, so a complement is a set of them too.
  categories |= complement ? ~set : set;
}

void CharacterClass::addFlag(uint16_t flag, bool complement) {
  (complement ? absentFlags : flags) |= flag;
}

bool CharacterClass::addOtherCase() {
  if (categories || flags || absentFlags || negated)
    return false;
  bool members[128] = {};
  for (const Range &range : ranges) {
    if (range.last >= 128)
      return false;
    for (uint32_t c = range.first; c <= range.last; ++c)
      members[c] = true;
  }
  for (uint32_t c = 'a'; c <= 'z'; ++c) {
    uint32_t upper = c - 'a' + 'A';
    if (!members[c] && !members[upper])
      continue;
    addRange(c, c);
    addRange(upper, upper);
    if (c == 'k')
      addRange(0x212A, 0x212A); // KELVIN SIGN
    if (c == 's')
      addRange(0x017F, 0x017F); // LATIN SMALL LETTER LONG S
  }
  return true;
}

bool CharacterClass::containsSlow(uint32_t c) const {
  uint16_t word = properties[c];
  bool found =
      (categories >> (word & unicode::categoryMask) & 1) || (word & flags) || (~word & absentFlags);
  for (size_t i = 0; i < ranges.size() && !found; ++i)
    found = c >= ranges[i].first && c <= ranges[i].last;
  return found != negated;
}

void CharacterClass::finish() {
  properties = unicode::propertyTable();
  for (uint32_t c = 0; c < 128; ++c)
    if (containsSlow(c))
      ascii[c >> 6] |= uint64_t(1) << (c & 63);
}

} // namespace compressc
