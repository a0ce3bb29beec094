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
};

/// What `run mmlu --json` wrote, as far as a comparison needs it.
struct MmluResultFile {
  std::string file, pipeline, split;
  int64_t shots = 0;
  int64_t weightBytes = 0, originalWeightBytes = 0;
  std::map<int64_t, ResultQuestion> questions; // by row
};
StatusOr<MmluResultFile> ParseMmluResult(std::string_view json, const std::string &file);

struct PerplexityResultFile {
  double perplexity = 0;
  int64_t windows = 0, context = 0;
};
StatusOr<PerplexityResultFile> ParsePerplexityResult(std::string_view json,
                                                     const std::string &file);

struct Comparison {
  int64_t questions = 0; // rows that both files have
  int64_t onlyInBase = 0, onlyInNew = 0;
  GroupTally base, compressed;
  int64_t agree = 0; // equal predictions
  int64_t onlyBaseRight = 0, onlyNewRight = 0;
  double mcNemar = 1; // p-value
  bool baseAtChance = false, newAtChance = false;
  double ratio = 0;            // original 16-bit size / compressed size
  std::optional<double> score; // ratio / (1 + relative loss of accuracy)
  std::vector<std::string> warnings;
};
/// An error when the files cannot be about the same questions.
StatusOr<Comparison> CompareResults(const MmluResultFile &base, const MmluResultFile &compressed);

/// `BASE.json NEW.json [--perplexity BASE.json NEW.json] [--json OUT]`; the process's exit code.
int CompareMain(absl::Span<const std::string> arguments);
std::string CompareHelp();

} // namespace compressc
