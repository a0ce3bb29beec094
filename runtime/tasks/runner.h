// Runs a task: opens the model, scores what the task asks for, keeps answers on the way, writes results.
#pragma once

#include "runtime/tasks/command.h"
#include "runtime/tasks/task.h"
#include <map>

namespace compressc {

/// The subcommand of a task.
Command TaskCommand(std::shared_ptr<Task> task);

/// Model::score, or what a test puts in its place.
using Scorer = std::function<Status(const std::vector<Request> &, const Targets &, const ScoreCallback &,
                                    const std::function<void(const PlannedBatch &)> &)>;
Scorer ScorerOf(Model &model);

struct WorkCallbacks {
  /// An item's log-probabilities; items come in the order of computation.
  std::function<Status(size_t item, absl::Span<const double> logProbabilities)> onItem = {};
  std::function<void()> onPosition = {};
};
/// Asks for all items but those that are `known`. Returns how many rows went through the model, after prefix sharing.
StatusOr<int64_t> ScoreWork(const Scorer &score, const Work &work, const WorkCallbacks &callbacks,
                            const std::map<size_t, std::vector<double>> &known = {});

} // namespace compressc
