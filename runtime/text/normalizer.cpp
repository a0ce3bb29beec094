#include "normalizer.h"
#include "../base/json_fields.h"
#include "unicode.h"

namespace compressc {

static constexpr int maxDepth = 8;
static constexpr size_t maxSteps = 8;

StatusOr<Normalizer> Normalizer::FromJson(const nlohmann::json &json) {
  Normalizer result;
  if (!json.is_null())
    COMPRESSC_RETURN_IF_ERROR(WithContext(result.addSteps(json, 0), "normalizer"));
  return result;
}

Status Normalizer::addSteps(const nlohmann::json &json, int depth) {
  COMPRESSC_ASSIGN_OR_RETURN(std::string type, StringField(json, "type"));
  if (steps.size() >= maxSteps)
    return Invalid("more than ", maxSteps, " normalizers");
  if (type == "NFC") {
    steps.push_back({});
    return absl::OkStatus();
  }
  if (type == "Replace") {
    COMPRESSC_ASSIGN_OR_RETURN(std::string from, StringField(Field(json, "pattern"), "String"));
    COMPRESSC_ASSIGN_OR_RETURN(std::string to, StringField(json, "content"));
    if (from.empty())
      return Invalid("Replace: the pattern must be {\"String\": ...}");
    steps.push_back({std::move(from), std::move(to)});
    return absl::OkStatus();
  }
  if (type != "Sequence" || depth > maxDepth)
    return Invalid("the type ", Quoted(type),
                   " is not supported (only NFC, Replace and Sequence are)");
  const nlohmann::json &parts = Field(json, "normalizers");
  if (!parts.is_array())
    return Invalid("Sequence: normalizers must be a list");
  for (const nlohmann::json &part : parts)
    COMPRESSC_RETURN_IF_ERROR(addSteps(part, depth + 1));
  return absl::OkStatus();
}

static std::string replaced(std::string_view text, const std::string &from, const std::string &to) {
  std::string result;
  result.reserve(text.size() + text.size() / 4);
  size_t begin = 0;
  for (size_t at; (at = text.find(from, begin)) != std::string_view::npos; begin = at + from.size())
    result.append(text.substr(begin, at - begin)).append(to);
  return result.append(text.substr(begin));
}

std::string_view Normalizer::apply(std::string_view text, std::string &storage) const {
  std::string other;
  for (const Replacement &step : steps) {
    if (!step.from.empty()) {
      other = replaced(text, step.from, step.to);
    } else if (std::string_view composed = unicode::toNfc(text, other); composed.data() == text.data()) {
      continue;
    }
    storage.swap(other);
    text = storage;
  }
  return text;
}

} // namespace compressc
