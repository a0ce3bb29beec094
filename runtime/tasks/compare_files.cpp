// Reading result files, which may come from anywhere.
#include "runtime/tasks/compare.h"
#include <cmath>
#include <tuple>
#include <nlohmann/json.hpp>

namespace compressc {
namespace {

using Json = nlohmann::json;

constexpr int64_t largest = int64_t(1) << 53; // beyond it JSON numbers are not exact

/// The result of `task`, or of `other`.
StatusOr<Json> parseObject(std::string_view text, const std::string &file, const std::string &task,
                           const std::string &other = "") {
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded())
    return Invalid(file, ": is not valid JSON");
  if (!json.is_object())
    return Invalid(file, ": is not the result of `run ", task, " --json`");
  auto found = json.find("task");
  bool isOther = found != json.end() && !other.empty() && *found == other;
  if (found != json.end() && *found != task && !isOther)
    return Invalid(file, ": is not the result of `run ", task, " --json` but of another task");
  return json;
}

StatusOr<double> number(const Json &object, const char *key, const std::string &where, double low) {
  auto found = object.find(key);
  if (found == object.end() || !found->is_number() || !std::isfinite(found->get<double>()) ||
      found->get<double>() < low)
    return Invalid(where, ": \"", key, "\" must be a number of at least ", low);
  return found->get<double>();
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

StatusOr<QuestionsFile> ParseQuestionsResult(std::string_view text, const std::string &file) {
  COMPRESSC_ASSIGN_OR_RETURN(Json json, parseObject(text, file, "mmlu", "choice"));
  bool isChoice = json.contains("task") && json["task"] == "choice";
  QuestionsFile result;
  result.file = file;
  if (json.contains("pipeline")) {
    COMPRESSC_ASSIGN_OR_RETURN(result.pipeline, string(json, "pipeline", file));
  }
  if (isChoice) {
    result.task = "choice";
    COMPRESSC_ASSIGN_OR_RETURN(result.digest, string(json, "data_digest", file));
  } else {
    COMPRESSC_ASSIGN_OR_RETURN(result.split, string(json, "split", file));
    COMPRESSC_ASSIGN_OR_RETURN(result.shots, integer(json, "shots", file, 0, 1000));
  }
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
    int64_t last = 3;
    if (isChoice) {
      auto logprobs = entry.find("logprobs");
      if (logprobs == entry.end() || !logprobs->is_array() || logprobs->empty())
        return Invalid(where, ": \"logprobs\" must be an array, of each choice");
      last = int64_t(logprobs->size()) - 1;
      COMPRESSC_ASSIGN_OR_RETURN(int64_t normalised, integer(entry, "prediction_norm", where, 0, last));
      question.normalised = int(normalised);
    }
    if (!isChoice || entry.contains("group")) {
      COMPRESSC_ASSIGN_OR_RETURN(question.subject, string(entry, isChoice ? "group" : "subject", where));
    }
    COMPRESSC_ASSIGN_OR_RETURN(int64_t gold, integer(entry, "gold", where, 0, last));
    COMPRESSC_ASSIGN_OR_RETURN(int64_t prediction, integer(entry, "prediction", where, 0, last));
    question.gold = int(gold);
    question.prediction = int(prediction);
    question.choices = int(last) + 1;
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
  COMPRESSC_ASSIGN_OR_RETURN(result.perplexity, number(json, "perplexity", file, 1));
  COMPRESSC_ASSIGN_OR_RETURN(result.windows, integer(json, "windows", file, 1, largest));
  COMPRESSC_ASSIGN_OR_RETURN(result.context, integer(json, "context", file, 2, largest));
  if (json.contains("beginning_token")) {
    COMPRESSC_ASSIGN_OR_RETURN(result.beginning, integer(json, "beginning_token", file, 0, largest));
  }
  return result;
}

StatusOr<KlResultFile> ParseKlResult(std::string_view text, const std::string &file) {
  COMPRESSC_ASSIGN_OR_RETURN(Json json, parseObject(text, file, "kl"));
  if (json.contains("saved"))
    return Invalid(file, ": is the result of `run kl --save`; give that of `run kl --base`");
  KlResultFile result;
  for (auto [key, value, low] :
       {std::tuple("kl_mean", &result.mean, 0), std::tuple("kl_p99", &result.p99, 0),
        std::tuple("kl_worst", &result.worst, 0), std::tuple("top1_agreement", &result.agreement, 0),
        std::tuple("base_perplexity", &result.basePerplexity, 1), std::tuple("perplexity", &result.perplexity, 1)}) {
    COMPRESSC_ASSIGN_OR_RETURN(*value, number(json, key, file, low));
  }
  return result;
}

} // namespace compressc
