#include "runtime/tasks/prompt_file.h"
#include "absl/strings/match.h"
#include "compressc/runtime/safetensors.h"
#include "compressc/runtime/text.h"
#include <nlohmann/json.hpp>

namespace compressc {
namespace {

constexpr size_t fileLimit = size_t(1) << 28;

StatusOr<std::string> parseLine(std::string_view line, const std::string &where) {
  nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
  if (json.is_discarded())
    return Invalid(where, ": not valid JSON in UTF-8");
  if (!json.is_object() || !json.contains("prompt") || !json["prompt"].is_string())
    return Invalid(where, ": expected an object with a string \"prompt\"");
  return json["prompt"].get<std::string>();
}

} // namespace

StatusOr<std::vector<std::string>> ReadPrompts(const std::string &path) {
  COMPRESSC_ASSIGN_OR_RETURN(std::string contents, ReadTextFile(path, fileLimit));
  bool json = absl::EndsWith(path, ".jsonl") || absl::EndsWith(path, ".jsonl.gz");
  std::vector<std::string> prompts;
  std::string_view text = contents;
  for (int64_t number = 1; !text.empty(); ++number) {
    size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r'))
      line.remove_suffix(1);
    if (line.find_first_not_of(" \t") == std::string_view::npos)
      continue;
    std::string where = absl::StrCat(path, ":", number);
    if (!IsUtf8(line))
      return Invalid(where, ": not valid UTF-8");
    std::string prompt(line);
    if (json) {
      COMPRESSC_ASSIGN_OR_RETURN(prompt, parseLine(line, where));
    }
    prompts.push_back(std::move(prompt));
  }
  if (prompts.empty())
    return Invalid(path, ": holds no prompts");
  return prompts;
}

} // namespace compressc
