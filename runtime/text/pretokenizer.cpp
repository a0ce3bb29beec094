#include "pretokenizer.h"
#include "../base/json_fields.h"
#include "unicode.h"

namespace compressc {

// What ByteLevel with use_regex cuts at: GPT-2's pattern, fixed by the format.
static constexpr std::string_view byteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
static constexpr int maxDepth = 8;
static constexpr size_t maxSteps = 64;

StatusOr<PreTokenizer> PreTokenizer::FromJson(const nlohmann::json &json) {
  PreTokenizer result;
  result.prefixStep = SIZE_MAX;
  if (!json.is_null())
    COMPRESSC_RETURN_IF_ERROR(WithContext(result.addSteps(json, 0), "pre_tokenizer"));
  return result;
}

Status PreTokenizer::addSteps(const nlohmann::json &json, int depth) {
  COMPRESSC_ASSIGN_OR_RETURN(std::string type, StringField(json, "type"));
  if (depth > maxDepth || steps.size() >= maxSteps)
    return Invalid("too many pre-tokenizers inside each other");
  if (hasByteLevel)
    return Invalid("ByteLevel must be the last pre-tokenizer");
  if (type == "Sequence") {
    const nlohmann::json &parts = Field(json, "pretokenizers");
    if (!parts.is_array())
      return Invalid("Sequence: pretokenizers must be a list");
    for (const nlohmann::json &part : parts)
      COMPRESSC_RETURN_IF_ERROR(addSteps(part, depth + 1));
    return absl::OkStatus();
  }
  if (type == "Split")
    return WithContext(addSplit(json), "Split");
  if (type == "Digits") {
    COMPRESSC_ASSIGN_OR_RETURN(bool individual, BoolField(json, "individual_digits", false));
    steps.push_back({Digit(), individual ? Step::Isolated : Step::Contiguous});
    return absl::OkStatus();
  }
  if (type == "ByteLevel")
    return WithContext(addByteLevel(json), "ByteLevel");
  return Invalid("the type ", Quoted(type),
                 " is not supported (only Split, Digits, ByteLevel and Sequence are)");
}

Status PreTokenizer::addSplit(const nlohmann::json &json) {
  Step step;
  const nlohmann::json &pattern = Field(json, "pattern");
  COMPRESSC_ASSIGN_OR_RETURN(std::string regex, StringField(pattern, "Regex"));
  COMPRESSC_ASSIGN_OR_RETURN(std::string literal, StringField(pattern, "String"));
  if (!pattern.is_object() || pattern.size() != 1 || regex.empty() == literal.empty())
    return Invalid("pattern must be {\"Regex\": ...} or {\"String\": ...}");
  if (!regex.empty()) {
    StatusOr<SplitRegex> compiled = SplitRegex::Compile(regex);
    if (!compiled.ok())
      return WithContext(compiled.status(), absl::StrCat("the pattern ", Quoted(regex)));
    step.matcher = *std::move(compiled);
  } else {
    step.matcher = literal;
  }

  COMPRESSC_ASSIGN_OR_RETURN(std::string behavior, StringField(json, "behavior"));
  if (behavior == "Removed")
    step.behavior = Step::Removed;
  else if (behavior == "Isolated")
    step.behavior = Step::Isolated;
  else if (behavior == "MergedWithPrevious")
    step.behavior = Step::MergedWithPrevious;
  else if (behavior == "MergedWithNext")
    step.behavior = Step::MergedWithNext;
  else if (behavior == "Contiguous")
    step.behavior = Step::Contiguous;
  else
    return Invalid("the behavior ", Quoted(behavior), " is not known");
  COMPRESSC_ASSIGN_OR_RETURN(step.invert, BoolField(json, "invert", false));
  steps.push_back(std::move(step));
  return absl::OkStatus();
}

Status PreTokenizer::addByteLevel(const nlohmann::json &json) {
  COMPRESSC_ASSIGN_OR_RETURN(addPrefixSpace, BoolField(json, "add_prefix_space", true));
  COMPRESSC_ASSIGN_OR_RETURN(bool useRegex, BoolField(json, "use_regex", true));
  hasByteLevel = true;
  prefixStep = addPrefixSpace ? steps.size() : SIZE_MAX;
  if (useRegex) {
    COMPRESSC_ASSIGN_OR_RETURN(SplitRegex compiled, SplitRegex::Compile(byteLevelPattern));
    steps.push_back({std::move(compiled), Step::Isolated});
  }
  return absl::OkStatus();
}

/// Runs the steps from `index` on, depth first, so that a word is used while it is in the cache.
void PreTokenizer::run(size_t index, std::string_view text, SplitRegex::State &state,
                       Sink sink) const {
  std::string withSpace;
  if (index == prefixStep && !text.empty() && text[0] != ' ') {
    withSpace.reserve(text.size() + 1);
    withSpace.append(1, ' ').append(text);
    text = withSpace;
  }
  if (index == steps.size()) {
    if (!text.empty())
      sink(text);
    return;
  }
  if (index + 1 == steps.size() && prefixStep != steps.size())
    return apply(steps[index], text, state, sink);
  apply(steps[index], text, state,
        [&](std::string_view piece) { run(index + 1, piece, state, sink); });
}

void PreTokenizer::apply(const Step &step, std::string_view text, SplitRegex::State &state,
                         Sink sink) const {
  const uint16_t *properties = unicode::propertyTable();
  const auto *regex = std::get_if<SplitRegex>(&step.matcher);
  int64_t stepsLeft = regex ? regex->allowance(text.size()) : 0;
  auto find = [&](size_t from) -> std::optional<SplitRegex::Match> {
    if (regex) {
      state.steps = stepsLeft;
      std::optional<SplitRegex::Match> match = regex->find(text, from, state);
      stepsLeft = state.steps;
      return match;
    }
    if (const auto *literal = std::get_if<std::string>(&step.matcher)) {
      size_t begin = text.find(*literal, from);
      return begin == std::string_view::npos
                 ? std::nullopt
                 : std::optional(SplitRegex::Match{begin, begin + literal->size()});
    }
    for (size_t begin = from, end = from; begin < text.size(); begin = end)
      if (properties[unicode::next(text, end)] & unicode::numeric)
        return SplitRegex::Match{begin, end};
    return std::nullopt;
  };

  // Pieces come in order and may still grow to the right; `pending` is the last one.
  bool hasPending = false, lastMatched = false;
  size_t pendingBegin = 0, pendingEnd = 0;
  auto piece = [&](size_t begin, size_t end, bool matched) {
    matched = matched != step.invert;
    bool join = false;
    switch (step.behavior) {
    case Step::Removed:
      if (matched)
        return;
      break;
    case Step::Isolated:
      break;
    case Step::MergedWithPrevious:
      join = matched && !lastMatched;
      break;
    case Step::MergedWithNext:
      join = lastMatched && !matched;
      break;
    case Step::Contiguous:
      join = matched == lastMatched;
      break;
    }
    lastMatched = matched;
    if (hasPending && join) {
      pendingEnd = end;
      return;
    }
    if (hasPending && pendingBegin < pendingEnd)
      sink(text.substr(pendingBegin, pendingEnd - pendingBegin));
    hasPending = true;
    pendingBegin = begin;
    pendingEnd = end;
  };

  size_t covered = 0, from = 0;
  size_t lastEnd = SIZE_MAX;
  while (from <= text.size()) {
    std::optional<SplitRegex::Match> match = find(from);
    if (!match)
      break;
    if (match->begin == match->end && match->end == lastEnd) {
      // An empty match right behind the last match does not count.
      if (from >= text.size())
        break;
      unicode::next(text, from);
      continue;
    }
    if (covered < match->begin)
      piece(covered, match->begin, false);
    piece(match->begin, match->end, true);
    covered = from = lastEnd = match->end;
  }
  if (covered < text.size())
    piece(covered, text.size(), false);
  if (hasPending && pendingBegin < pendingEnd)
    sink(text.substr(pendingBegin, pendingEnd - pendingBegin));
}

} // namespace compressc
