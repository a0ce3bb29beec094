#include "runtime/tasks/compare.h"
#include <algorithm>
#include <cmath>

namespace compressc {
namespace {

/// Within two standard errors of it, or below it.
bool isAtChance(const GroupTally &tally, double chance) {
  double error = tally.standardError();
  if (!std::isfinite(error))
    return true;
  return tally.total().accuracy() - 2 * error <= chance;
}

} // namespace

StatusOr<Comparison> CompareResults(const QuestionsFile &base, const QuestionsFile &compressed) {
  Comparison result;
  if (base.task != compressed.task)
    return Invalid(base.file, " is of the task ", base.task, " and ", compressed.file, " of ", compressed.task,
                   ": compare results of one task");
  if (base.split != compressed.split)
    return Invalid(base.file, " asks the ", base.split, " split and ", compressed.file, " the ",
                   compressed.split, " split: their rows are different questions");
  if (base.digest != compressed.digest)
    return Invalid(base.file, " and ", compressed.file, " ask questions of different data files");
  if (base.shots != compressed.shots)
    result.warnings.push_back(absl::StrCat("the prompts differ: ", base.shots, "-shot against ",
                                           compressed.shots, "-shot"));
  if (base.originalWeightBytes != compressed.originalWeightBytes)
    result.warnings.push_back(
        absl::StrCat("the original sizes differ (", base.originalWeightBytes, " and ",
                     compressed.originalWeightBytes,
                     " bytes): this may be another model; the first file's is used"));
  if (compressed.weightBytes <= 0 || base.originalWeightBytes <= 0)
    return Invalid("both files must name sizes over 0 bytes to be compared");

  for (const auto &[row, left] : base.questions) {
    auto found = compressed.questions.find(row);
    if (found == compressed.questions.end()) {
      ++result.onlyInBase;
      continue;
    }
    const ResultQuestion &right = found->second;
    if (left.subject != right.subject || left.gold != right.gold || left.choices != right.choices)
      return Invalid("row ", row, " is another question in ", compressed.file, " than in ",
                     base.file, ": the data files differ");
    bool baseRight = left.prediction == left.gold, newRight = right.prediction == right.gold;
    ++result.questions;
    result.chance += 1 / double(left.choices);
    result.base.add(left.subject, baseRight);
    result.compressed.add(left.subject, newRight);
    result.agree += left.prediction == right.prediction;
    result.onlyBaseRight += baseRight && !newRight;
    result.onlyNewRight += newRight && !baseRight;
  }
  if (result.questions == 0)
    return Invalid(base.file, " and ", compressed.file, " have no question in common");
  result.onlyInNew = int64_t(compressed.questions.size()) - result.questions;
  if (result.onlyInBase + result.onlyInNew > 0)
    result.warnings.push_back(absl::StrCat("the question sets differ: only the ", result.questions,
                                           " common questions are compared (", result.onlyInBase,
                                           " are only in the first file, ", result.onlyInNew,
                                           " only in the second)"));

  result.chance /= double(result.questions);
  result.mcNemar = McNemarExact(result.onlyBaseRight, result.onlyNewRight);
  result.baseAtChance = isAtChance(result.base, result.chance);
  result.newAtChance = isAtChance(result.compressed, result.chance);
  result.ratio = double(base.originalWeightBytes) / double(compressed.weightBytes);
  double before = result.base.total().accuracy(), after = result.compressed.total().accuracy();
  if (before > 0) {
    double divisor = 1 + (before - after) / before;
    if (divisor > 0)
      result.score = result.ratio / divisor;
  }
  return result;
}

} // namespace compressc
