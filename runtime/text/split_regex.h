// The regular expressions of pre-tokenizers: what the Split patterns of byte-level BPE use, with
// the character properties of unicode.h. A pattern that uses anything else is refused when it is
// compiled.
#pragma once

#include "compressc/runtime/status.h"
#include <optional>
#include <string_view>
#include <vector>

namespace compressc {

/// A set of code points.
class CharacterClass {
public:
  void addRange(uint32_t first, uint32_t last);
  /// Code points whose property word has one of these categories, or a flag (unicode.h).
  void addCategories(uint32_t set, bool complement);
  void addFlag(uint16_t flag, bool complement);
  void negate() { negated = !negated; }
  /// Adds the other case of every letter. False when that is not a matter of ASCII letters.
  bool addOtherCase();
  /// To be called when the class is complete.
  void finish();

  bool contains(uint32_t c) const {
    return c < 128 ? (ascii[c >> 6] >> (c & 63)) & 1 : containsSlow(c);
  }

private:
  bool containsSlow(uint32_t c) const;

  struct Range {
    uint32_t first, last;
  };
  std::vector<Range> ranges;
  uint32_t categories = 0;
  uint16_t flags = 0, absentFlags = 0;
  bool negated = false;
  const uint16_t *properties = nullptr;
  uint64_t ascii[2] = {0, 0};
};

class SplitRegex {
public:
  struct Match {
    size_t begin, end;
  };

  /// Scratch space of find() and what is left of its allowance of steps.
  struct State {
    struct Choice {
      uint32_t instruction;
      size_t position, lowest;
    };
    std::vector<Choice> choices;
    /// Patterns come from files, so their backtracking is bounded: at 0 nothing matches any more.
    int64_t steps = 0;
  };

  static StatusOr<SplitRegex> Compile(std::string_view pattern);

  /// Steps that are ample for a text of this size, unless the pattern backtracks without end.
  int64_t allowance(size_t bytes) const {
    return int64_t(bytes + 100) * (200 + 8 * int64_t(program.size()));
  }

  /// The leftmost match that starts at `from` or later, by the order of the alternatives.
  std::optional<Match> find(std::string_view text, size_t from, State &state) const;

private:
  friend class SplitRegexCompiler;
  enum class Op : uint8_t { One, Repeat, RepeatPossessive, Split, Jump, Ahead, NotAhead, Done };
  struct Instruction {
    Op op;
    uint32_t argument = 0; // the class, or where to go on
    uint32_t least = 0, most = 0;
  };
  static constexpr size_t none = SIZE_MAX;

  size_t match(std::string_view text, size_t position, uint32_t instruction, State &state) const;

  std::vector<CharacterClass> classes;
  std::vector<Instruction> program;
};

} // namespace compressc
