// JSON as text that a person can read too.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace compressc {

/// JSON has no NaN and no infinity: null stands for them.
nlohmann::ordered_json NumberOrNull(double value);

/// Indented by two, invalid UTF-8 replaced, with a line end.
std::string JsonText(const nlohmann::ordered_json &json);

/// On one line, with its end.
std::string JsonLine(const nlohmann::ordered_json &json);

/// As JsonText, with one more key whose array has an element a line.
std::string JsonTextWithLines(const nlohmann::ordered_json &object, const std::string &key,
                              const std::vector<nlohmann::ordered_json> &lines);

} // namespace compressc
