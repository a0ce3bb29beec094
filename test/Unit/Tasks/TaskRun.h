// A task run as the runner does it, without a model.
#pragma once

#include "../../TemporaryDirectory.h"
#include "runtime/tasks/runner.h"
#include "runtime/tasks/tasks.h"
#include <nlohmann/json.hpp>

namespace compressc {

struct TaskRun {
  Work work;
  Results results;
  nlohmann::json json;
};

/// The logits behind a position.
using FakeLogits = std::function<std::vector<float>(int32_t request, int32_t position)>;

inline StatusOr<TaskRun> RunTask(Task &task, const std::vector<std::string> &arguments, const Tokenizer &tokenizer,
                                 const ModelInfo &model, const Scorer &score, const FakeLogits &logits = {},
                                 const std::function<void()> &onPosition = {}) {
  Options options;
  task.define(options);
  COMPRESSC_RETURN_IF_ERROR(options.parse(arguments));
  COMPRESSC_RETURN_IF_ERROR(task.load());
  ThreadPool pool(1);
  TaskRun run;
  COMPRESSC_ASSIGN_OR_RETURN(run.work, task.ask(tokenizer, model, pool));
  if (run.work.distributions) {
    for (size_t request = 0; request < run.work.requests.size(); ++request)
      for (int32_t position : run.work.requests[request].wanted)
        task.measure(int32_t(request), position, logits(int32_t(request), position));
  } else {
    WorkCallbacks callbacks;
    callbacks.onItem = [&](size_t item, absl::Span<const double> values) {
      task.grade(item, values);
      return absl::OkStatus();
    };
    callbacks.onPosition = onPosition;
    COMPRESSC_RETURN_IF_ERROR(ScoreWork(score, run.work, callbacks).status());
  }
  RunFacts facts;
  facts.model = model;
  facts.seconds = 1.5;
  COMPRESSC_ASSIGN_OR_RETURN(run.results, task.report(facts));
  run.json = nlohmann::json::parse(run.results.json, nullptr, false);
  return run;
}

} // namespace compressc
