#include "runtime/tasks/mmlu_report.h"
#include "absl/strings/str_format.h"
#include "runtime/tasks/csv.h"
#include "runtime/tasks/json_text.h"
#include "runtime/tasks/text.h"
#include <algorithm>
#include <cmath>

namespace compressc {
namespace {

nlohmann::ordered_json describe(const Tally &tally, double standardError) {
  return {{"questions", tally.questions},
          {"correct", tally.correct},
          {"accuracy", tally.accuracy()},
          {"accuracy_stderr", NumberOrNull(standardError)}};
}

std::string csvLine(const std::string &subject, const std::string &group, const Tally &tally,
                    double standardError) {
  std::string error = std::isfinite(standardError) ? absl::StrFormat("%.6f", standardError) : "";
  return absl::StrFormat("%s,%s,%d,%d,%.6f,%s\n", QuoteCsvField(subject), QuoteCsvField(group),
                         tally.questions, tally.correct, tally.accuracy(), error);
}

std::string tableLine(const std::string &name, const Tally &tally, double standardError) {
  std::string error =
      std::isfinite(standardError) ? absl::StrFormat("%.2f", 100 * standardError) : "-";
  return absl::StrFormat("%-20s %9s %9s %9.2f %9s\n", name, FormatCount(tally.questions),
                         FormatCount(tally.correct), 100 * tally.accuracy(), error);
}

} // namespace

MmluTallies TallyQuestions(const std::vector<ScoredQuestion> &questions,
                           const SubjectGroups &groups) {
  MmluTallies tallies;
  for (const ScoredQuestion &question : questions) {
    bool right = question.prediction == question.gold;
    tallies.overall.add(question.subject, right);
    tallies.groups[groups.groupOf(question.subject)].add(question.subject, right);
  }
  return tallies;
}

std::string MmluJson(const MmluRun &run, const SubjectGroups &groups) {
  MmluTallies tallies = TallyQuestions(run.questions, groups);
  Tally total = tallies.overall.total();
  nlohmann::ordered_json json;
  json["task"] = "mmlu";
  json["model"] = run.model.name;
  json["pipeline"] = run.model.pipeline;
  json["accuracy"] = total.accuracy();
  json["accuracy_stderr"] = NumberOrNull(tallies.overall.standardError());
  json["weight_bytes"] = run.model.weightBytes;
  json["original_weight_bytes"] = run.model.originalWeightBytes;
  json["device"] = run.device;
  int64_t memory = 0; // of the GPU that held most
  for (const GpuUse &gpu : run.gpus)
    memory = std::max(memory, gpu.allocatedBytes);
  json["gpu_memory_bytes"] = memory;
  if (!run.gpus.empty())
    json["gpus"] = GpuUseJson(run.gpus);
  json["split"] = run.split;
  json["shots"] = run.shots;
  json["normalised_over"] = run.normalised;
  json["fraction"] = run.fraction;
  json["seed"] = run.seed;
  json["tokenizer"] = {{"adds_special_tokens", run.model.addSpecialTokens},
                       {"special_tokens", run.specialTokens},
                       {"answer_tokens", run.answerTokens}};
  json["prompt_tokens"] = run.promptTokens;
  json["computed_tokens"] = run.computedTokens;
  json["truncated_prompts"] = run.truncatedPrompts;
  json["tokenize_seconds"] = run.tokenizeSeconds;
  json["seconds"] = run.seconds;
  json["instruction_set"] = std::string(InstructionSet());
  for (const auto &[name, group] : tallies.groups)
    json["groups"][name] = describe(group.total(), group.standardError());
  for (const auto &[name, tally] : tallies.overall.subjects)
    json["subjects"][name] = describe(tally, tally.standardError());
  std::vector<nlohmann::ordered_json> lines;
  for (const ScoredQuestion &question : run.questions)
    lines.push_back({{"row", question.row},
                     {"subject", question.subject},
                     {"gold", question.gold},
                     {"prediction", question.prediction},
                     {"logprobs", question.logprobs}});
  return JsonTextWithLines(json, "questions", lines);
}

std::string MmluCsv(const MmluRun &run, const SubjectGroups &groups) {
  MmluTallies tallies = TallyQuestions(run.questions, groups);
  std::string csv = "subject,group,questions,correct,accuracy,stderr\n";
  for (const auto &[name, tally] : tallies.overall.subjects)
    csv += csvLine(name, groups.groupOf(name), tally, tally.standardError());
  for (const auto &[name, group] : tallies.groups)
    csv += csvLine("all", name, group.total(), group.standardError());
  csv += csvLine("all", "all", tallies.overall.total(), tallies.overall.standardError());
  return csv;
}

std::string MmluTable(const MmluRun &run, const SubjectGroups &groups) {
  MmluTallies tallies = TallyQuestions(run.questions, groups);
  std::string out =
      absl::StrFormat("MMLU, %s split, %d-shot: %s\n\n", run.split, run.shots, run.model.name);
  absl::StrAppendFormat(&out, "%-20s %9s %9s %9s %9s\n", "group", "questions", "correct", "acc. %",
                        "stderr %");
  for (const auto &[name, group] : tallies.groups)
    out += tableLine(name, group.total(), group.standardError());
  out += tableLine("overall", tallies.overall.total(), tallies.overall.standardError());
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

} // namespace compressc
