// The `compare` command: arguments, table, JSON.
#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "compressc/runtime/safetensors.h"
#include "runtime/tasks/compare.h"
#include "runtime/tasks/json_text.h"
#include "runtime/tasks/output.h"
#include "runtime/tasks/text.h"
#include <cmath>
#include <cstdio>

namespace compressc {
namespace {

constexpr size_t fileLimit = size_t(1) << 30;

struct Options {
  std::vector<std::string> files;
  std::vector<std::string> perplexity;
  std::string kl, json;
};

StatusOr<Options> readArguments(absl::Span<const std::string> arguments) {
  Options options;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string &argument = arguments[i];
    if (argument == "--perplexity") {
      if (arguments.size() - i < 3)
        return Invalid("--perplexity needs two files: BASE.json NEW.json");
      options.perplexity = {arguments[i + 1], arguments[i + 2]};
      i += 2;
    } else if (argument == "--json" || argument == "--kl") {
      if (arguments.size() - i < 2)
        return Invalid(argument, " needs a file");
      (argument == "--json" ? options.json : options.kl) = arguments[++i];
    } else if (absl::StartsWith(argument, "--json=")) {
      options.json = argument.substr(7);
    } else if (absl::StartsWith(argument, "-")) {
      return Invalid("unknown option ", argument);
    } else {
      options.files.push_back(argument);
    }
  }
  if (options.files.size() != 2)
    return Invalid("compare needs two files that `run mmlu --json` or `run choice --json` wrote: BASE.json NEW.json");
  return options;
}

std::string percent(double value) {
  return std::isfinite(value) ? absl::StrFormat("%.2f %%", 100 * value) : "undefined";
}

std::string accuracyLine(const std::string &name, const GroupTally &tally) {
  Tally total = tally.total();
  return absl::StrFormat("%-22s %s, standard error %s (%s of %s)\n", name,
                         percent(total.accuracy()), percent(tally.standardError()),
                         FormatCount(total.correct), FormatCount(total.questions));
}

struct PerplexityPair {
  PerplexityResultFile base, compressed;
  double change() const { return compressed.perplexity / base.perplexity - 1; }
};

StatusOr<PerplexityPair> readPerplexity(const std::vector<std::string> &files) {
  PerplexityPair pair;
  COMPRESSC_ASSIGN_OR_RETURN(std::string before, ReadTextFile(files[0], fileLimit));
  COMPRESSC_ASSIGN_OR_RETURN(pair.base, ParsePerplexityResult(before, files[0]));
  COMPRESSC_ASSIGN_OR_RETURN(std::string after, ReadTextFile(files[1], fileLimit));
  COMPRESSC_ASSIGN_OR_RETURN(pair.compressed, ParsePerplexityResult(after, files[1]));
  return pair;
}

/// Everything that is reported.
struct Compared {
  QuestionsFile base, compressed;
  Comparison plain;
  std::optional<Comparison> normalised; // of tasks with length-normalised predictions
  std::optional<PerplexityPair> perplexity;
  std::optional<KlResultFile> kl;
};

std::string accuracyLines(const Comparison &c, const std::string &suffix) {
  return absl::StrCat(
      accuracyLine("accuracy" + suffix + ", base", c.base),
      accuracyLine("accuracy" + suffix + (suffix.empty() ? ", compressed" : ", new"), c.compressed),
      absl::StrFormat("%-22s %s of %s questions get the same answer (%s)\n", "agreement" + suffix,
                      FormatCount(c.agree), FormatCount(c.questions), percent(double(c.agree) / double(c.questions))),
      absl::StrFormat("%-22s p = %.4g (right only before: %d, only after: %d)\n", "McNemar, exact", c.mcNemar,
                      c.onlyBaseRight, c.onlyNewRight));
}

std::string tableOf(const Compared &all) {
  const Comparison &c = all.plain;
  const QuestionsFile &base = all.base, &compressed = all.compressed;
  std::string out;
  absl::StrAppendFormat(&out, "%-22s %s\n", "original, 16 bits",
                        FormatBytes(base.originalWeightBytes));
  absl::StrAppendFormat(&out, "%-22s %s\n", "base file", FormatBytes(base.weightBytes));
  absl::StrAppendFormat(&out, "%-22s %s, ratio %.4f\n", "compressed",
                        FormatBytes(compressed.weightBytes), c.ratio);
  out += accuracyLines(c, "");
  if (all.normalised)
    out += accuracyLines(*all.normalised, "_norm");
  if (const std::optional<PerplexityPair> &pair = all.perplexity)
    absl::StrAppendFormat(&out, "%-22s %.4f -> %.4f (%+.2f %%)\n", "perplexity",
                          pair->base.perplexity, pair->compressed.perplexity, 100 * pair->change());
  if (all.kl)
    absl::StrAppendFormat(&out,
                          "%-22s mean %.6f, 99th percentile %.6f, worst %.6f; %s of likeliest tokens agree\n",
                          "KL from the base", all.kl->mean, all.kl->p99, all.kl->worst, percent(all.kl->agreement));
  absl::StrAppendFormat(&out, "%-22s %s\n", "score",
                        c.score
                            ? absl::StrFormat("%.4f", *c.score)
                            : "undefined (the base answers nothing rightly, or accuracy doubled)");
  if (c.baseAtChance || c.newAtChance)
    absl::StrAppendFormat(
        &out,
        "note: the %s at chance (%.4g %% within 2 standard errors), so the accuracy%s little;\n"
        "      judge by perplexity and agreement\n",
        c.baseAtChance && c.newAtChance ? "accuracies of both models are"
        : c.baseAtChance                ? "base model's accuracy is"
                                        : "compressed model's accuracy is",
        100 * c.chance,
        c.baseAtChance ? " and the score mean" : " means");
  return out;
}

nlohmann::ordered_json describe(const GroupTally &tally) {
  return {{"correct", tally.total().correct},
          {"accuracy", tally.total().accuracy()},
          {"accuracy_stderr", NumberOrNull(tally.standardError())}};
}

std::string jsonOf(const Compared &all) {
  const Comparison &c = all.plain;
  const QuestionsFile &base = all.base, &compressed = all.compressed;
  nlohmann::ordered_json json;
  json["base"] = describe(c.base);
  json["base"]["weight_bytes"] = base.weightBytes;
  json["base"]["at_chance"] = c.baseAtChance;
  json["compressed"] = describe(c.compressed);
  json["compressed"]["weight_bytes"] = compressed.weightBytes;
  json["compressed"]["pipeline"] = compressed.pipeline;
  json["compressed"]["at_chance"] = c.newAtChance;
  json["original_weight_bytes"] = base.originalWeightBytes;
  json["ratio"] = c.ratio;
  json["questions"] = c.questions;
  json["questions_only_in_base"] = c.onlyInBase;
  json["questions_only_in_compressed"] = c.onlyInNew;
  json["agreement"] = double(c.agree) / double(c.questions);
  json["only_base_right"] = c.onlyBaseRight;
  json["only_compressed_right"] = c.onlyNewRight;
  json["mcnemar_p"] = c.mcNemar;
  json["score"] = NumberOrNull(c.score.value_or(NAN));
  if (all.normalised)
    json["normalised"] = {{"base", describe(all.normalised->base)},
                          {"compressed", describe(all.normalised->compressed)},
                          {"agreement", double(all.normalised->agree) / double(c.questions)},
                          {"only_base_right", all.normalised->onlyBaseRight},
                          {"only_compressed_right", all.normalised->onlyNewRight},
                          {"mcnemar_p", all.normalised->mcNemar}};
  if (const std::optional<PerplexityPair> &pair = all.perplexity)
    json["perplexity"] = {{"base", pair->base.perplexity},
                          {"compressed", pair->compressed.perplexity},
                          {"relative_change", pair->change()}};
  if (all.kl)
    json["kl"] = {{"mean", all.kl->mean},
                  {"p99", all.kl->p99},
                  {"worst", all.kl->worst},
                  {"top1_agreement", all.kl->agreement},
                  {"base_perplexity", all.kl->basePerplexity},
                  {"perplexity", all.kl->perplexity}};
  json["warnings"] = c.warnings;
  return JsonText(json);
}

StatusOr<QuestionsFile> readQuestions(const std::string &path) {
  COMPRESSC_ASSIGN_OR_RETURN(std::string text, ReadTextFile(path, fileLimit));
  return ParseQuestionsResult(text, path);
}

QuestionsFile normalised(QuestionsFile file) {
  for (auto &[row, question] : file.questions)
    question.prediction = question.normalised;
  return file;
}

Status compare(const Options &options) {
  Compared all;
  COMPRESSC_ASSIGN_OR_RETURN(all.base, readQuestions(options.files[0]));
  COMPRESSC_ASSIGN_OR_RETURN(all.compressed, readQuestions(options.files[1]));
  COMPRESSC_ASSIGN_OR_RETURN(all.plain, CompareResults(all.base, all.compressed));
  if (all.base.task == "choice") {
    COMPRESSC_ASSIGN_OR_RETURN(all.normalised, CompareResults(normalised(all.base), normalised(all.compressed)));
  }
  std::vector<std::string> &warnings = all.plain.warnings;
  if (!options.perplexity.empty()) {
    COMPRESSC_ASSIGN_OR_RETURN(all.perplexity, readPerplexity(options.perplexity));
    const PerplexityResultFile &base = all.perplexity->base, &compressed = all.perplexity->compressed;
    if (base.windows != compressed.windows || base.context != compressed.context ||
        base.beginning != compressed.beginning)
      warnings.push_back("the perplexities are of different windows or contexts");
  }
  if (!options.kl.empty()) {
    COMPRESSC_ASSIGN_OR_RETURN(std::string text, ReadTextFile(options.kl, fileLimit));
    COMPRESSC_ASSIGN_OR_RETURN(all.kl, ParseKlResult(text, options.kl));
  }
  for (const std::string &warning : warnings)
    std::fprintf(stderr, "warning: %s\n", warning.c_str());
  if (!options.json.empty())
    COMPRESSC_RETURN_IF_ERROR(WriteOutput(options.json, jsonOf(all)));
  if (options.json == "-")
    return absl::OkStatus();
  return WriteOutput("-", tableOf(all));
}

} // namespace

std::string CompareHelp() {
  return "usage: compressc compare BASE.json NEW.json [--perplexity BASE.json NEW.json] "
         "[--kl KL.json] [--json OUT]\n\n"
         "  Compares two results of `run mmlu --json` or of `run choice --json` question by question:\n"
         "  sizes, accuracies with standard errors, agreement, the exact McNemar test, and the score\n"
         "  (original size / compressed size) / (1 + (original - compressed accuracy) / original\n"
         "  accuracy), where the original size is that of all parameters at 16 bits.\n\n"
         "options:\n"
         "  --perplexity BASE.json NEW.json\n"
         "      Two results of `run perplexity --json`, compared too.\n"
         "  --kl KL.json\n"
         "      The compressed model's result of `run kl --base`, reported too.\n"
         "  --json OUT\n"
         "      Write the comparison as JSON; - is standard output, in place of the table.\n\n"
         "examples:\n"
         "  compressc compare base.json w4.json\n"
         "  compressc compare base.json w4.json --perplexity base-ppl.json w4-ppl.json --json "
         "c.json\n"
         "  compressc compare base-choice.json w4-choice.json --kl w4-kl.json\n";
}

int CompareMain(absl::Span<const std::string> arguments) {
  for (const std::string &argument : arguments)
    if (argument == "--help" || argument == "-h") {
      std::fputs(CompareHelp().c_str(), stdout);
      return 0;
    }
  StatusOr<Options> options = readArguments(arguments);
  if (!options.ok()) {
    std::fprintf(stderr, "compressc: error: %s; see compressc compare --help\n",
                 std::string(options.status().message()).c_str());
    return 2;
  }
  if (Status status = compare(*options); !status.ok()) {
    std::fprintf(stderr, "compressc: error: %s\n", std::string(status.message()).c_str());
    return 1;
  }
  return 0;
}

} // namespace compressc
