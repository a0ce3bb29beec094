#include "runtime/tasks/questions.h"
#include "absl/strings/str_format.h"
#include "compressc/runtime/kernel.h"
#include "runtime/tasks/csv.h"
#include "runtime/tasks/json_text.h"
#include "runtime/tasks/text.h"
#include <algorithm>
#include <cmath>

namespace compressc {
namespace {

using Json = nlohmann::ordered_json;

/// By one measure: of a subject, a group or everything.
struct Rate {
  Tally tally;
  double error = 0;
};
using Rates = std::vector<Rate>; // of each measure

struct Tallies {
  std::map<std::string, Rates> subjects, groups;
  Rates overall;
};

Tallies tally(const QuestionRun &run) {
  Tallies result;
  for (size_t measure = 0; measure < run.measures.size(); ++measure) {
    GroupTally overall;
    std::map<std::string, GroupTally> groups;
    for (const ScoredQuestion &scored : run.questions) {
      const QuestionRow &question = scored.question;
      bool right = scored.predictions[measure] == question.gold;
      overall.add(question.subject, right);
      groups[question.group].add(question.subject, right);
    }
    for (const auto &[name, tally] : overall.subjects)
      result.subjects[name].push_back({tally, tally.standardError()});
    for (const auto &[name, group] : groups)
      result.groups[name].push_back({group.total(), group.standardError()});
    result.overall.push_back({overall.total(), overall.standardError()});
  }
  result.groups.erase(""); // questions of no group
  return result;
}

Json describe(const QuestionRun &run, const Rates &rates) {
  Json json = {{"questions", rates[0].tally.questions}};
  for (size_t i = 0; i < rates.size(); ++i) {
    json["correct" + run.measures[i]] = rates[i].tally.correct;
    json["accuracy" + run.measures[i]] = rates[i].tally.accuracy();
    json["accuracy" + run.measures[i] + "_stderr"] = NumberOrNull(rates[i].error);
  }
  return json;
}

std::string csvLine(const std::string &names, const Rates &rates) {
  std::string line = absl::StrCat(names, ",", rates[0].tally.questions);
  for (const Rate &rate : rates)
    absl::StrAppend(&line, ",", rate.tally.correct, absl::StrFormat(",%.6f,", rate.tally.accuracy()),
                    std::isfinite(rate.error) ? absl::StrFormat("%.6f", rate.error) : "");
  return line + "\n";
}

/// Names of other measures than the plain one are longer.
int columnWidth(bool plain) { return plain ? 9 : 14; }

std::string tableLine(const std::string &name, const Rates &rates) {
  std::string line = absl::StrFormat("%-20s %9s", name, FormatCount(rates[0].tally.questions));
  for (const Rate &rate : rates) {
    int width = columnWidth(&rate == &rates[0]);
    absl::StrAppendFormat(&line, " %*s %*.2f %*s", width, FormatCount(rate.tally.correct), width,
                          100 * rate.tally.accuracy(), width,
                          std::isfinite(rate.error) ? absl::StrFormat("%.2f", 100 * rate.error) : "-");
  }
  return line + "\n";
}

} // namespace

std::string QuestionsJson(const QuestionRun &run) {
  Tallies tallies = tally(run);
  Json json;
  json["task"] = run.task;
  json["model"] = run.model.name;
  json["pipeline"] = run.model.pipeline;
  for (size_t i = 0; i < run.measures.size(); ++i) {
    json["accuracy" + run.measures[i]] = tallies.overall[i].tally.accuracy();
    json["accuracy" + run.measures[i] + "_stderr"] = NumberOrNull(tallies.overall[i].error);
  }
  json["weight_bytes"] = run.model.weightBytes;
  json["original_weight_bytes"] = run.model.originalWeightBytes;
  json["device"] = run.device;
  int64_t memory = 0; // of the GPU that held most
  for (const GpuUse &gpu : run.gpus)
    memory = std::max(memory, gpu.allocatedBytes);
  json["gpu_memory_bytes"] = memory;
  if (!run.gpus.empty())
    json["gpus"] = GpuUseJson(run.gpus);
  json.update(run.data);
  json["fraction"] = run.fraction;
  json["seed"] = run.seed;
  json["tokenizer"] = {{"adds_special_tokens", run.model.addSpecialTokens}, {"special_tokens", run.specialTokens}};
  if (!run.answerTokens.empty())
    json["tokenizer"]["answer_tokens"] = run.answerTokens;
  json["prompt_tokens"] = run.promptTokens;
  json["computed_tokens"] = run.computedTokens;
  json["truncated_prompts"] = run.truncatedPrompts;
  json["tokenize_seconds"] = run.tokenizeSeconds;
  json["seconds"] = run.seconds;
  json["instruction_set"] = std::string(InstructionSet());
  for (const auto &[name, rates] : tallies.groups)
    json["groups"][name] = describe(run, rates);
  if (run.hasSubjects)
    for (const auto &[name, rates] : tallies.subjects)
      json["subjects"][name] = describe(run, rates);
  std::vector<Json> lines;
  for (const ScoredQuestion &scored : run.questions) {
    Json &line = lines.emplace_back();
    line["row"] = scored.question.row;
    if (!scored.question.subject.empty())
      line[run.hasSubjects ? "subject" : "group"] = scored.question.subject;
    line["gold"] = scored.question.gold;
    for (size_t i = 0; i < run.measures.size(); ++i)
      line["prediction" + run.measures[i]] = scored.predictions[i];
    line["logprobs"] = scored.logprobs;
  }
  return JsonTextWithLines(json, "questions", lines);
}

std::string QuestionsCsv(const QuestionRun &run) {
  Tallies tallies = tally(run);
  std::map<std::string, std::string> groupOf;
  for (const ScoredQuestion &scored : run.questions)
    groupOf[scored.question.subject] = scored.question.group;
  std::string all = run.hasSubjects ? "all," : "", csv = run.hasSubjects ? "subject," : "";
  csv += "group,questions";
  for (const std::string &measure : run.measures)
    absl::StrAppend(&csv, ",correct", measure, ",accuracy", measure, ",stderr", measure);
  csv += "\n";
  if (run.hasSubjects)
    for (const auto &[name, rates] : tallies.subjects)
      csv += csvLine(QuoteCsvField(name) + "," + QuoteCsvField(groupOf[name]), rates);
  for (const auto &[name, rates] : tallies.groups)
    csv += csvLine(all + QuoteCsvField(name), rates);
  return csv + csvLine(all + "all", tallies.overall);
}

std::string QuestionsTable(const QuestionRun &run) {
  Tallies tallies = tally(run);
  std::string out = absl::StrFormat("%s: %s\n\n", run.title, run.model.name);
  absl::StrAppendFormat(&out, "%-20s %9s", "group", "questions");
  for (const std::string &measure : run.measures)
    for (const std::string &column :
         {"correct" + measure, (measure.empty() ? "acc." : "acc" + measure) + " %", "stderr" + measure + " %"})
      absl::StrAppendFormat(&out, " %*s", columnWidth(measure.empty()), column);
  out += "\n";
  for (const auto &[name, rates] : tallies.groups)
    out += tableLine(name, rates);
  out += tableLine("overall", tallies.overall);
  absl::StrAppendFormat(&out, "\nweights          %s, %s at 16 bits\n",
                        FormatBytes(run.model.weightBytes),
                        FormatBytes(run.model.originalWeightBytes));
  for (const GpuUse &gpu : run.gpus)
    if (gpu.usage)
      absl::StrAppendFormat(&out, "%-16s %s\n", gpu.name, DeviceUsageText(*gpu.usage));
  absl::StrAppendFormat(&out, "prompt tokens    %s, %s computed after prefix sharing\n",
                        FormatCount(run.promptTokens), FormatCount(run.computedTokens));
  if (run.truncatedPrompts > 0)
    absl::StrAppendFormat(&out,
                          "cut on the left  %s prompts longer than the context of %s tokens\n",
                          FormatCount(run.truncatedPrompts), FormatCount(run.model.contextLength));
  double seconds = std::max(run.seconds, 1e-9);
  absl::StrAppendFormat(
      &out,
      "time             %.1f s: %.1f computed tokens/s, %.1f prompt tokens/s, %.2f questions/s\n",
      run.seconds, double(run.computedTokens) / seconds, double(run.promptTokens) / seconds,
      double(run.questions.size()) / seconds);
  return out;
}

int Greatest(absl::Span<const double> values) {
  return int(std::max_element(values.begin(), values.end()) - values.begin());
}

Status QuestionTask::load() {
  COMPRESSC_RETURN_IF_ERROR(selection.readRows());
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<QuestionRow> rows, read());
  COMPRESSC_ASSIGN_OR_RETURN(rows, SelectQuestions(std::move(rows), selection));
  for (QuestionRow &row : rows)
    questions.push_back({std::move(row), {}, {}});
  return absl::OkStatus();
}

void QuestionTask::answer(size_t, absl::Span<const double> logProbabilities, ScoredQuestion &scored) const {
  scored.logprobs.assign(logProbabilities.begin(), logProbabilities.end());
  scored.predictions = {Greatest(logProbabilities)};
}

void QuestionTask::grade(size_t item, absl::Span<const double> logProbabilities) {
  answer(item, logProbabilities, questions[item]);
  ++answered;
  right += questions[item].predictions[0] == questions[item].question.gold;
}

std::string QuestionTask::progress() const {
  return absl::StrCat("accuracy ", right * 1000 / answered / 10, ".", right * 1000 / answered % 10, " %");
}

StatusOr<Results> QuestionTask::report(const RunFacts &facts) {
  QuestionRun run;
  static_cast<RunFacts &>(run) = facts;
  run.task = text().name;
  run.seed = selection.seed;
  run.fraction = selection.fraction;
  run.questions = questions;
  describe(run);
  return Results{QuestionsJson(run), QuestionsCsv(run), QuestionsTable(run)};
}

} // namespace compressc
