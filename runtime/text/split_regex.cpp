#include "split_regex.h"
#include "unicode.h"
#include <algorithm>
#include <memory>

namespace compressc {

namespace {
constexpr int maxDepth = 32;
constexpr size_t maxNodes = 10000;
constexpr uint32_t unbounded = UINT32_MAX;
} // namespace

/// Parses a pattern into a small tree, then writes the program.
class SplitRegexCompiler {
public:
  explicit SplitRegexCompiler(std::string_view pattern) : text(pattern) {}

  StatusOr<SplitRegex> compile() {
    Node top;
    COMPRESSC_RETURN_IF_ERROR(parseAlternatives(top, false, 0));
    if (at < text.size())
      return refused("an unmatched ')'");
    emit(top);
    regex.program.push_back({SplitRegex::Op::Done});
    return std::move(regex);
  }

private:
  struct Node {
    enum Kind { Class, Group, Ahead, NotAhead } kind = Group;
    uint32_t classIndex = 0;
    uint32_t least = 1, most = 1;
    bool possessive = false;
    std::vector<std::vector<Node>> alternatives;
  };

  static std::string quoted(std::string_view part) { return "'" + std::string(part) + "'"; }

  Status refused(std::string_view what) const {
    return Invalid(what, " at byte ", at, " is not supported here");
  }

  bool take(std::string_view expected) {
    if (text.substr(at, expected.size()) != expected)
      return false;
    at += expected.size();
    return true;
  }

  Status parseAlternatives(Node &group, bool caseless, int depth) {
    if (depth > maxDepth)
      return refused("nesting this deep");
    do {
      group.alternatives.emplace_back();
      COMPRESSC_RETURN_IF_ERROR(parseSequence(group.alternatives.back(), caseless, depth));
    } while (take("|"));
    return absl::OkStatus();
  }

  Status parseSequence(std::vector<Node> &sequence, bool caseless, int depth) {
    char before =
        0; // the caseless letter before, for the foldings of two letters into one character
    while (at < text.size() && text[at] != '|' && text[at] != ')') {
      if (++nodes > maxNodes)
        return refused("a pattern this long");
      size_t start = at;
      Node node;
      COMPRESSC_RETURN_IF_ERROR(parseAtom(node, caseless, depth));
      if (caseless && node.kind == Node::Class) {
        char letter = char(text[start] | 0x20);
        for (std::string_view folded : {"ss", "ff", "fi", "fl", "st"})
          if (before == folded[0] && letter == folded[1])
            return refused("ignoring case in letters that have a ligature");
        before = letter;
      }
      COMPRESSC_RETURN_IF_ERROR(parseQuantifier(node));
      sequence.push_back(std::move(node));
    }
    return absl::OkStatus();
  }

  Status parseAtom(Node &node, bool caseless, int depth) {
    if (text[at] == '(')
      return parseGroup(node, caseless, depth);
    CharacterClass set;
    node.kind = Node::Class;
    if (take("[")) {
      COMPRESSC_RETURN_IF_ERROR(parseClass(set));
    } else if (take(".")) {
      set.addRange('\n', '\n');
      set.negate();
    } else if (text[at] == '\\') {
      uint32_t literal = 0;
      bool isLiteral = false;
      COMPRESSC_RETURN_IF_ERROR(parseEscape(set, literal, isLiteral));
      if (isLiteral)
        set.addRange(literal, literal);
    } else if (std::string_view("^$*+?{").find(text[at]) != std::string_view::npos) {
      return refused(quoted(text.substr(at, 1)));
    } else {
      uint32_t literal = unicode::next(text, at);
      set.addRange(literal, literal);
    }
    if (caseless && !set.addOtherCase())
      return refused("ignoring the case of other than ASCII letters");
    set.finish();
    node.classIndex = uint32_t(regex.classes.size());
    regex.classes.push_back(std::move(set));
    return absl::OkStatus();
  }

  Status parseGroup(Node &node, bool caseless, int depth) {
    if (take("(?i:"))
      caseless = true;
    else if (take("(?="))
      node.kind = Node::Ahead;
    else if (take("(?!"))
      node.kind = Node::NotAhead;
    else if (!take("(?:") &&
             (text.substr(at, 2) == "(?" || text.substr(at, 2) == "(*" || !take("(")))
      return refused(quoted(text.substr(at, 3)));
    COMPRESSC_RETURN_IF_ERROR(parseAlternatives(node, caseless, depth + 1));
    return take(")") ? absl::OkStatus() : refused("a group without its end");
  }

  Status parseQuantifier(Node &node) {
    bool counted = false;
    if (take("?")) {
      node.least = 0;
    } else if (take("*")) {
      node.least = 0;
      node.most = unbounded;
    } else if (take("+")) {
      node.most = unbounded;
    } else if (take("{")) {
      counted = true;
      if (!parseNumber(node.least))
        return refused("this '{'");
      node.most = node.least;
      if (take(",") && !parseNumber(node.most))
        node.most = unbounded;
      if (!take("}") || node.most < node.least)
        return refused("this '{'");
    } else {
      return absl::OkStatus();
    }
    if (!counted && take("+"))
      node.possessive = true;
    if (at < text.size() && std::string_view("?*+{").find(text[at]) != std::string_view::npos)
      return refused("a quantifier after a quantifier");
    if (node.kind == Node::Class)
      return absl::OkStatus();
    if (node.kind != Node::Group || node.possessive || counted)
      return refused("this quantifier of a group");
    if (node.most == unbounded && canBeEmpty(node))
      return refused("repeating a group that can be empty");
    return absl::OkStatus();
  }

  bool parseNumber(uint32_t &number) {
    size_t start = at;
    number = 0;
    while (at < text.size() && at - start < 4 && text[at] >= '0' && text[at] <= '9')
      number = number * 10 + uint32_t(text[at++] - '0');
    return at > start;
  }

  static bool canBeEmpty(const Node &group) {
    return std::any_of(group.alternatives.begin(), group.alternatives.end(), [](const auto &parts) {
      return std::all_of(parts.begin(), parts.end(), [](const Node &node) {
        return node.least == 0 || (node.kind == Node::Group && canBeEmpty(node)) ||
               node.kind == Node::Ahead || node.kind == Node::NotAhead;
      });
    });
  }

  Status parseClass(CharacterClass &set) {
    bool negated = take("^");
    bool first = true;
    while (!take("]")) {
      if (at >= text.size())
        return refused("a class without its end");
      // Elsewhere these mean a class inside a class, an intersection, or a literal: ask for the
      // escape.
      if (text[at] == '[' || text.substr(at, 2) == "&&")
        return refused("an operator in a class");
      bool hyphen = text[at] == '-';
      if (hyphen && !first && text.substr(at, 2) != "-]")
        return refused("this '-' in a class");
      first = false;
      uint32_t begin = 0, end = 0;
      bool isLiteral = false;
      COMPRESSC_RETURN_IF_ERROR(parseClassMember(set, begin, isLiteral));
      if (!isLiteral)
        continue;
      end = begin;
      if (!hyphen && text.substr(at, 1) == "-" && text.substr(at, 2) != "-]") {
        ++at;
        if (at >= text.size() || text[at] == '[')
          return refused("this range in a class");
        COMPRESSC_RETURN_IF_ERROR(parseClassMember(set, end, isLiteral));
        if (!isLiteral || end < begin)
          return refused("this range in a class");
      }
      set.addRange(begin, end);
    }
    if (first)
      return refused("an empty class");
    if (negated)
      set.negate();
    return absl::OkStatus();
  }

  Status parseClassMember(CharacterClass &set, uint32_t &literal, bool &isLiteral) {
    if (text[at] == '\\')
      return parseEscape(set, literal, isLiteral);
    literal = unicode::next(text, at);
    isLiteral = true;
    return absl::OkStatus();
  }

  Status parseEscape(CharacterClass &set, uint32_t &literal, bool &isLiteral) {
    isLiteral = false;
    std::string_view escape = text.substr(at, 2);
    if (escape.size() < 2)
      return refused("a '\\' at the end");
    at += 2;
    char kind = escape[1];
    switch (kind) {
    case 's':
    case 'S':
      set.addFlag(unicode::whiteSpace, kind == 'S');
      return absl::OkStatus();
    case 'w':
    case 'W':
      set.addFlag(unicode::word, kind == 'W');
      return absl::OkStatus();
    case 'd':
    case 'D':
      set.addCategories(unicode::categorySet("Nd"), kind == 'D');
      return absl::OkStatus();
    case 'p':
    case 'P': {
      bool complement = kind == 'P';
      if (!take("{"))
        return refused("a property without '{'");
      if (take("^"))
        complement = !complement;
      size_t end = text.find('}', at);
      std::string_view name = text.substr(at, end == std::string_view::npos ? end : end - at);
      uint32_t categories = unicode::categorySet(name);
      if (end == std::string_view::npos || categories == 0)
        return refused("the property " + quoted(name.substr(0, 20)));
      set.addCategories(categories, complement);
      at = end + 1;
      return absl::OkStatus();
    }
    default:
      isLiteral = true;
      return parseLiteralEscape(kind, literal);
    }
  }

  Status parseLiteralEscape(char kind, uint32_t &literal) {
    constexpr std::string_view letters = "tnvfrae", meanings = "\t\n\v\f\r\a\x1b";
    if (size_t index = letters.find(kind); index != std::string_view::npos) {
      literal = uint32_t(meanings[index]);
      return absl::OkStatus();
    }
    if (kind == 'x' || kind == 'u') {
      bool braces = kind == 'x' && take("{");
      size_t digits = 0, most = braces ? 8 : kind == 'u' ? 4 : 2;
      literal = 0;
      for (; digits < most && at < text.size() && isHexDigit(text[at]); ++digits, ++at)
        literal = literal * 16 +
                  uint32_t(text[at] <= '9' ? text[at] - '0' : (text[at] | 0x20) - 'a' + 10);
      // \x80 and above would be a byte, not a character, without the braces.
      if (digits == 0 || (kind == 'u' && digits < 4) || (braces && !take("}")) ||
          (kind == 'x' && !braces && literal >= 0x80) || literal >= unicode::limit)
        return refused("this number of a character");
      return absl::OkStatus();
    }
    bool letterOrDigit = isHexDigit(kind) || ((kind | 0x20) >= 'a' && (kind | 0x20) <= 'z');
    if (letterOrDigit || uint8_t(kind) >= 0x80)
      return refused("this escape");
    literal = uint32_t(kind);
    return absl::OkStatus();
  }

  static bool isHexDigit(char c) {
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
  }

  uint32_t here() const { return uint32_t(regex.program.size()); }
  uint32_t add(SplitRegex::Op op, uint32_t argument = 0) {
    regex.program.push_back({op, argument});
    return here() - 1;
  }

  void emit(const Node &node) {
    using Op = SplitRegex::Op;
    if (node.kind == Node::Class) {
      bool once = node.least == 1 && node.most == 1;
      add(once ? Op::One : node.possessive ? Op::RepeatPossessive : Op::Repeat, node.classIndex);
      regex.program.back().least = node.least;
      regex.program.back().most = node.most;
      return;
    }
    if (node.kind != Node::Group) {
      uint32_t ahead = add(node.kind == Node::Ahead ? Op::Ahead : Op::NotAhead);
      emitAlternatives(node);
      add(Op::Done);
      regex.program[ahead].argument = here();
      return;
    }
    // Split tries the next instruction first and its argument after that.
    uint32_t skip = 0;
    if (node.least == 0)
      skip = add(Op::Split);
    uint32_t body = here();
    emitAlternatives(node);
    if (node.most == unbounded) {
      uint32_t leave = add(Op::Split);
      add(Op::Jump, body);
      regex.program[leave].argument = here();
    }
    if (node.least == 0)
      regex.program[skip].argument = here();
  }

  void emitAlternatives(const Node &group) {
    using Op = SplitRegex::Op;
    std::vector<uint32_t> ends;
    for (size_t i = 0; i < group.alternatives.size(); ++i) {
      bool last = i + 1 == group.alternatives.size();
      uint32_t split = last ? 0 : add(Op::Split);
      for (const Node &node : group.alternatives[i])
        emit(node);
      if (!last) {
        ends.push_back(add(Op::Jump));
        regex.program[split].argument = here();
      }
    }
    for (uint32_t end : ends)
      regex.program[end].argument = here();
  }

  std::string_view text;
  size_t at = 0, nodes = 0;
  SplitRegex regex;
};

StatusOr<SplitRegex> SplitRegex::Compile(std::string_view pattern) {
  return SplitRegexCompiler(pattern).compile();
}

/// The end of the match of the program from `instruction` on, or `none`.
size_t SplitRegex::match(std::string_view text, size_t position, uint32_t instruction,
                         State &state) const {
  const size_t base = state.choices.size();
  while (true) {
    const Instruction &current = program[instruction];
    bool failed = false;
    switch (current.op) {
    case Op::Done:
      state.choices.resize(base);
      return position;
    case Op::One:
      failed = position == text.size() ||
               !classes[current.argument].contains(unicode::next(text, position));
      ++instruction;
      break;
    case Op::Repeat:
    case Op::RepeatPossessive: {
      const CharacterClass &set = classes[current.argument];
      uint32_t count = 0;
      size_t lowest = position, start = position;
      while (count < current.most && position < text.size()) {
        size_t behind = position;
        if (!set.contains(unicode::next(text, behind)))
          break;
        position = behind;
        if (++count == current.least)
          lowest = position;
      }
      state.steps -= int64_t(position - start);
      failed = count < current.least;
      if (!failed && current.op == Op::Repeat && position > lowest)
        state.choices.push_back({instruction, position, lowest});
      ++instruction;
      break;
    }
    case Op::Split:
      state.choices.push_back({current.argument, position, none});
      ++instruction;
      break;
    case Op::Jump:
      instruction = current.argument;
      break;
    case Op::Ahead:
    case Op::NotAhead: {
      bool found = match(text, position, instruction + 1, state) != none;
      failed = found != (current.op == Op::Ahead);
      instruction = current.argument;
      break;
    }
    }
    if (--state.steps <= 0) {
      state.choices.resize(base);
      return none;
    }
    if (!failed)
      continue;
    if (state.choices.size() == base)
      return none;
    State::Choice &choice = state.choices.back();
    if (choice.lowest == none) {
      instruction = choice.instruction;
      position = choice.position;
      state.choices.pop_back();
      continue;
    }
    // A repetition gives back one character.
    choice.position = unicode::previous(text, choice.position);
    position = choice.position;
    instruction = choice.instruction + 1;
    if (position == choice.lowest)
      state.choices.pop_back();
  }
}

std::optional<SplitRegex::Match> SplitRegex::find(std::string_view text, size_t from,
                                                  State &state) const {
  for (size_t begin = from;; unicode::next(text, begin)) {
    if (size_t end = match(text, begin, 0, state); end != none)
      return Match{begin, end};
    if (begin >= text.size() || state.steps <= 0)
      return std::nullopt;
  }
}

} // namespace compressc
