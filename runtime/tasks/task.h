// What a task is: what it asks of a model, and what it makes of the answers. Everything else is the runner's
// (runner.h): sharing of prefixes, the journal, progress, files of results, GPUs.
#pragma once

#include "compressc/runtime/model.h"
#include "compressc/runtime/thread_pool.h"
#include "runtime/tasks/gpu_use.h"
#include "runtime/tasks/options.h"
#include <memory>
#include <string>
#include <vector>

namespace compressc {

struct TaskText {
  std::string name, summary, details, examples; // as in Command
  std::string unit = "questions";               // what progress counts: these, or "tokens"
  bool keepsAnswers = false;                    // --journal and --fresh
  bool hasTable = false;                        // --csv
};

/// What is asked of a model. An item, a question or a window, has one request or more, one behind the other.
struct Work {
  std::vector<Request> requests;
  std::vector<size_t> items;                 // of each request, ascending from 0
  std::vector<std::vector<int32_t>> targets; // of each request, the token that is scored at each wanted position;
  std::vector<int32_t> answers;              // or the tokens that are scored at all of them
  bool alone = false;                        // normalised over `answers`, not over the vocabulary
  bool distributions = false;                // nothing is scored: Task::measure is given all logits
  int64_t truncated = 0;                     // requests that were cut to the model's context

  size_t count() const { return items.empty() ? 0 : items.back() + 1; }
  int64_t promptTokens() const;
  int64_t positions() const; // wanted
  /// How many log-probabilities each item gives.
  std::vector<size_t> sizes() const;
};

/// Of a run, for its report.
struct RunFacts {
  ModelInfo model;
  std::vector<int32_t> specialTokens; // what encoding puts before each prompt
  std::vector<int32_t> answerTokens;  // Work::answers
  std::string device = "cpu";         // or the first GPU's name
  std::vector<GpuUse> gpus;           // that the model ran on
  int64_t promptTokens = 0, computedTokens = 0, truncatedPrompts = 0;
  double seconds = 0;         // scoring
  double tokenizeSeconds = 0; // before it
};

/// As they are written: the table for people goes to standard output.
struct Results {
  std::string json, csv, table;
};

class Task {
public:
  virtual ~Task() = default;
  virtual TaskText text() const = 0;
  /// Its own options, members of it.
  virtual void define(Options &options) = 0;
  /// Reads the data, before the model is opened: what is wrong is said at once.
  virtual Status load() = 0;
  /// Whether the options asked for something that needs no model, and this did it.
  virtual StatusOr<bool> doneWithoutModel() { return false; }
  virtual StatusOr<Work> ask(const Tokenizer &tokenizer, const ModelInfo &model, ThreadPool &pool) = 0;
  /// Log-probabilities of an item, in the order of its requests, their wanted positions, and `answers`. Items come in
  /// any order, those of the journal first, each once.
  virtual void grade(size_t item, absl::Span<const double> logProbabilities) = 0;
  /// In place of grade(): the logits behind a wanted position. Several threads call it.
  virtual void measure(int32_t request, int32_t position, absl::Span<const float> logits);
  /// What the progress line says of the answers so far.
  virtual std::string progress() const { return ""; }
  virtual StatusOr<Results> report(const RunFacts &facts) = 0;
};

} // namespace compressc
