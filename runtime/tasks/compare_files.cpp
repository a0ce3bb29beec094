// Reading result files, which may come from anywhere.
#include "runtime/tasks/compare.h"
#include <cmath>
#include <nlohmann/json.hpp>

namespace compressc {
namespace {

using Json = nlohmann::json;

constexpr int64_t largest = int64_t(1) << 53; // beyond it JSON numbers are not exact

StatusOr<Json> parseObject(std::string_view text, const std::string &file,
                           const std::string &task) {
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded())
    return Invalid(file, ": is not valid JSON");
  if (!json.is_object())
    return Invalid(file, ": is not the result of `run ", task, " --json`");
  auto found = json.find("task");
  if (found != json.end() && (!found->is_string() || found->get<std::string>() != task))
    return Invalid(file, ": is not the result of `run ", task, " --json` but of another task");
  return json;
}

StatusOr<int64_t> integer(const Json &object, const char *key, const std::string &where,
                          int64_t low, int64_t high) {
  auto found = object.find(key);
  bool good = found != object.end() && found->is_number_integer() &&
              !(found->is_number_unsigned() && found->get<uint64_t>() > uint64_t(high));
  if (!good || found->get<int64_t>() < low || found->get<int64_t>() > high)
    return Invalid(where, ": \"", key, "\" must be an integer from ", low, " to ", high);
  return found->get<int64_t>();
}

StatusOr<std::string> string(const Json &object, const char *key, const std::string &where) {
  auto found = object.find(key);
  if (found == object.end() || !found->is_string())
    return Invalid(where, ": \"", key, "\" must be a string");
  std::string text = found->get<std::string>();
  for (char &c : text) // it is printed
    if (uint8_t(c) < 0x20 || c == 0x7F)
      c = ' ';
  return text;
}

} // namespace

StatusOr<MmluResultFile> ParseMmluResult(std::string_view text, const std::string &file) {
  COMPRESSC_ASSIGN_OR_RETURN(Json json, parseObject(text, file, "mmlu"));
  MmluResultFile result;
  result.file = std::string(file);
  if (json.contains("pipeline")) {
    COMPRESSC_ASSIGN_OR_RETURN(result.pipeline, string(json, "pipeline", file));
  }
  COMPRESSC_ASSIGN_OR_RETURN(result.split, string(json, "split", file));
  COMPRESSC_ASSIGN_OR_RETURN(result.shots, integer(json, "shots", file, 0, 1000));
  COMPRESSC_ASSIGN_OR_RETURN(result.weightBytes, integer(json, "weight_bytes", file, 0, largest));
  COMPRESSC_ASSIGN_OR_RETURN(result.originalWeightBytes,
                             integer(json, "original_weight_bytes", file, 0, largest));
  auto questions = json.find("questions");
  if (questions == json.end() || !questions->is_array())
    return Invalid(file, ": \"questions\" must be an array");
  for (size_t i = 0; i < questions->size(); ++i) {
    std::string where = absl::StrCat(file, ": questions[", i, "]");
    const Json &entry = (*questions)[i];
    if (!entry.is_object())
      return Invalid(where, " must be an object");
    ResultQuestion question;
    COMPRESSC_ASSIGN_OR_RETURN(int64_t row, integer(entry, "row", where, 0, largest));
    COMPRESSC_ASSIGN_OR_RETURN(question.subject, string(entry, "subject", where));
    COMPRESSC_ASSIGN_OR_RETURN(int64_t gold, integer(entry, "gold", where, 0, 3));
    COMPRESSC_ASSIGN_OR_RETURN(int64_t prediction, integer(entry, "prediction", where, 0, 3));
    question.gold = int(gold);
    question.prediction = int(prediction);
    if (!result.questions.emplace(row, std::move(question)).second)
      return Invalid(where, ": row ", row, " occurs twice");
  }
  if (result.questions.empty())
    return Invalid(file, ": holds no questions");
  return result;
}

StatusOr<PerplexityResultFile> ParsePerplexityResult(std::string_view text,
                                                     const std::string &file) {
  COMPRESSC_ASSIGN_OR_RETURN(Json json, parseObject(text, file, "perplexity"));
  PerplexityResultFile result;
  auto found = json.find("perplexity");
  if (found == json.end() || !found->is_number() || !std::isfinite(found->get<double>()) ||
      found->get<double>() < 1)
    return Invalid(file, ": \"perplexity\" must be a number of at least 1");
  result.perplexity = found->get<double>();
  COMPRESSC_ASSIGN_OR_RETURN(result.windows, integer(json, "windows", file, 1, largest));
  COMPRESSC_ASSIGN_OR_RETURN(result.context, integer(json, "context", file, 2, largest));
  return result;
}

} // namespace compressc
