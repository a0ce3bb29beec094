// Tasks whose items are questions with a right choice: selection, tallies by subject and group, results as JSON, CSV
// and a table.
#pragma once

#include "runtime/tasks/selection.h"
#include "runtime/tasks/statistics.h"
#include "runtime/tasks/task.h"
#include <map>
#include <nlohmann/json.hpp>

namespace compressc {

struct ScoredQuestion {
  QuestionRow question;
  std::vector<int> predictions; // of each measure
  std::vector<double> logprobs; // of each choice
};

/// What a run leaves behind. A measure is one way to predict from log-probabilities: "" the plain one, others have a
/// suffix, which goes to the names of their results.
struct QuestionRun : RunFacts {
  std::string task, title;
  nlohmann::ordered_json data = nlohmann::ordered_json::object(); // which questions were asked, and how
  uint64_t seed = 1234;
  double fraction = 1;
  bool hasSubjects = false; // below the groups
  std::vector<std::string> measures = {""};
  std::vector<ScoredQuestion> questions;
};

std::string QuestionsJson(const QuestionRun &run);
/// subject,group,questions,correct,accuracy,stderr: a line for each subject, then each group (subject "all"), then
/// everything (group "all" too). Without subjects their column and lines are left out. Rates are fractions; an
/// undefined standard error is empty.
std::string QuestionsCsv(const QuestionRun &run);
std::string QuestionsTable(const QuestionRun &run);

/// The first of the greatest.
int Greatest(absl::Span<const double> values);

class QuestionTask : public Task {
public:
  void define(Options &options) override { selection.define(options); }
  Status load() override;
  void grade(size_t item, absl::Span<const double> logProbabilities) override;
  std::string progress() const override;
  StatusOr<Results> report(const RunFacts &facts) override;

protected:
  /// All rows of the data, in order.
  virtual StatusOr<std::vector<QuestionRow>> read() = 0;
  /// Sets what is predicted: from a log-probability for each choice, unless overridden.
  virtual void answer(size_t item, absl::Span<const double> logProbabilities, ScoredQuestion &scored) const;
  /// Sets title, data, and what else differs from the default.
  virtual void describe(QuestionRun &run) const = 0;

  Selection selection;
  std::vector<ScoredQuestion> questions; // that are asked; load() fills in the rows
private:
  int64_t answered = 0, right = 0;
};

} // namespace compressc
