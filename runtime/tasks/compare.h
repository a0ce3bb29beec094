// Two result files side by side: sizes, accuracies, agreement, significance, perplexity, score.
#pragma once

#include "absl/types/span.h"
#include "compressc/runtime/status.h"
#include "runtime/tasks/statistics.h"
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace compressc {

struct ResultQuestion {
  std::string subject;
  int gold = 0;
  int prediction = 0;
  int choices = 4;
  int normalised = 0; // the prediction by length-normalised scores, of a task that has them
};

/// What a task of questions wrote with --json, as far as a comparison needs it.
struct QuestionsFile {
  std::string file, task = "mmlu", pipeline;
  std::string split, digest; // which questions: of mmlu, of choice
  int64_t shots = 0;
  int64_t weightBytes = 0, originalWeightBytes = 0;
  std::map<int64_t, ResultQuestion> questions; // by row
};
StatusOr<QuestionsFile> ParseQuestionsResult(std::string_view json, const std::string &file);

struct PerplexityResultFile {
  double perplexity = 0;
  int64_t windows = 0, context = 0, beginning = -1; // the beginning token; -1: none
};
StatusOr<PerplexityResultFile> ParsePerplexityResult(std::string_view json,
                                                     const std::string &file);

/// What `run kl --base` wrote.
struct KlResultFile {
  double mean = 0, p99 = 0, worst = 0, agreement = 0, basePerplexity = 0, perplexity = 0;
};
StatusOr<KlResultFile> ParseKlResult(std::string_view json, const std::string &file);

struct Comparison {
  int64_t questions = 0; // rows that both files have
  int64_t onlyInBase = 0, onlyInNew = 0;
  GroupTally base, compressed;
  int64_t agree = 0; // equal predictions
  int64_t onlyBaseRight = 0, onlyNewRight = 0;
  double mcNemar = 1; // p-value
  double chance = 0; // accuracy of guesses
  bool baseAtChance = false, newAtChance = false;
  double ratio = 0;            // original 16-bit size / compressed size
  std::optional<double> score; // ratio / (1 + relative loss of accuracy)
  std::vector<std::string> warnings;
};
/// An error when the files cannot be about the same questions.
StatusOr<Comparison> CompareResults(const QuestionsFile &base, const QuestionsFile &compressed);

/// `BASE.json NEW.json [--perplexity BASE.json NEW.json] [--kl KL.json] [--json OUT]`; the process's exit code.
int CompareMain(absl::Span<const std::string> arguments);
std::string CompareHelp();

} // namespace compressc
