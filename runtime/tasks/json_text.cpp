#include "runtime/tasks/json_text.h"
#include "absl/strings/str_cat.h"
#include <cmath>

namespace compressc {
namespace {

std::string dump(const nlohmann::ordered_json &json, int indent) {
  return json.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

} // namespace

nlohmann::ordered_json NumberOrNull(double value) {
  if (!std::isfinite(value))
    return nullptr;
  return value;
}

std::string JsonText(const nlohmann::ordered_json &json) { return dump(json, 2) + "\n"; }

std::string JsonLine(const nlohmann::ordered_json &json) { return dump(json, -1) + "\n"; }

std::string JsonTextWithLines(const nlohmann::ordered_json &object, const std::string &key,
                              const std::vector<nlohmann::ordered_json> &lines) {
  std::string text = dump(object, 2);
  text.resize(text.size() - 2); // "\n}"
  absl::StrAppend(&text, ",\n  ", dump(key, -1), ": [");
  for (size_t i = 0; i < lines.size(); ++i)
    absl::StrAppend(&text, i ? ",\n    " : "\n    ", dump(lines[i], -1));
  absl::StrAppend(&text, "\n  ]\n}\n");
  return text;
}

} // namespace compressc
