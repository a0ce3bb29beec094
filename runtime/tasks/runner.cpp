#include "runtime/tasks/runner.h"
#include "compressc/runtime/digest.h"
#include "compressc/runtime/kernel.h"
#include "compressc/runtime/progress.h"
#include "runtime/tasks/deployment.h"
#include "runtime/tasks/interrupt.h"
#include "runtime/tasks/journal.h"
#include "runtime/tasks/output.h"
#include <chrono>
#include <cstdio>

namespace compressc {
namespace {

struct RunnerOptions {
  std::shared_ptr<Task> task;
  TaskText text;
  std::string json, csv, journal;
  bool fresh = false, quiet = false;
  DeploymentOptions deployment;
};

double secondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Where answers are kept while questions are asked; "": nowhere.
std::string journalPath(const RunnerOptions &options) {
  if (!options.text.keepsAnswers || !options.journal.empty())
    return options.journal;
  for (const std::string &output : {options.json, options.csv})
    if (WritesFile(output))
      return output + ".journal";
  return "";
}

void appendTokens(std::string &text, const char *before, const std::vector<int32_t> &tokens) {
  text += before;
  for (int32_t token : tokens)
    absl::StrAppend(&text, " ", token);
}

/// All that answers depend on, to the bit.
StatusOr<std::string> journalKey(const Model &model, const Work &work) {
  COMPRESSC_ASSIGN_OR_RETURN(std::shared_ptr<MappedFile> program, MappedFile::Open("/proc/self/exe"));
  std::string text = absl::StrCat(program->identity(), " ", model.weightsIdentity(), " ",
                                  model.device() ? model.device()->name() : std::string(InstructionSet()),
                                  work.alone ? " alone" : "");
  appendTokens(text, "", work.answers);
  for (size_t i = 0; i < work.requests.size(); ++i) {
    absl::StrAppend(&text, "\n", work.items[i], ":");
    appendTokens(text, "", work.requests[i].tokens);
    appendTokens(text, " at", work.requests[i].wanted);
    if (!work.targets.empty())
      appendTokens(text, " for", work.targets[i]);
  }
  return TextDigest(text);
}

/// Says what is kept, and how to go on.
Status stopped(const Status &status, const AnswerJournal *journal, size_t questions) {
  std::string message(absl::IsCancelled(status) ? "interrupted" : status.message());
  if (!journal)
    return Status(status.code(),
                  absl::StrCat(message, "; nothing was written, and no answers are kept without --json, --csv or "
                                        "--journal"));
  return Status(status.code(),
                absl::StrCat(message, "; ", journal->size(), " of ", questions, " questions are kept in ",
                             journal->path(), ": the same command asks the rest, --fresh all"));
}

/// How many rows went through the model.
StatusOr<int64_t> measureAll(Task &task, Model &model, const Work &work, ThreadPool &pool, Progress &progress) {
  int64_t width = model.info().vocabularySize, computed = 0;
  COMPRESSC_RETURN_IF_ERROR(model.logits(work.requests, [&](const PlannedBatch &batch, const float *logits) -> Status {
    COMPRESSC_RETURN_IF_ERROR(CheckInterrupt());
    pool.parallelFor(int64_t(batch.uses.size()), [&](int64_t i, int) {
      const RowUse &use = batch.uses[size_t(i)];
      task.measure(use.request, use.position, {logits + use.selectedIndex * width, size_t(width)});
    });
    progress.advance(int64_t(batch.uses.size()));
    computed += batch.batch.rows();
    return absl::OkStatus();
  }));
  progress.finish();
  return computed;
}

/// Items go to the task as they are done, and to the journal, if there is one.
StatusOr<int64_t> scoreItems(const RunnerOptions &options, Model &model, const Work &work, AnswerJournal *journal,
                             Progress &progress) {
  auto start = std::chrono::steady_clock::now();
  Task &task = *options.task;
  bool countsTokens = options.text.unit == "tokens";
  auto grade = [&](size_t item, absl::Span<const double> logProbabilities) {
    task.grade(item, logProbabilities);
    if (!countsTokens)
      progress.advance(1, task.progress());
  };
  std::map<size_t, std::vector<double>> known;
  if (journal)
    known = journal->kept();
  for (const auto &[item, logProbabilities] : known)
    grade(item, logProbabilities);
  WorkCallbacks callbacks;
  callbacks.onItem = [&](size_t item, absl::Span<const double> logProbabilities) -> Status {
    grade(item, logProbabilities);
    return journal ? journal->add(item, logProbabilities, secondsSince(start)) : absl::OkStatus();
  };
  if (countsTokens)
    callbacks.onPosition = [&] { progress.advance(); };
  StatusOr<int64_t> computed = ScoreWork(ScorerOf(model), work, callbacks, known);
  if (computed.ok())
    progress.finish();
  else if (options.text.keepsAnswers)
    return stopped(computed.status(), journal, work.count());
  return computed;
}

Status runTask(const RunnerOptions &options) {
  Task &task = *options.task;
  COMPRESSC_RETURN_IF_ERROR(task.load());
  COMPRESSC_ASSIGN_OR_RETURN(bool done, task.doneWithoutModel());
  if (done)
    return absl::OkStatus();

  COMPRESSC_ASSIGN_OR_RETURN(std::unique_ptr<Deployment> deployment, OpenDeployment(options.deployment));
  Model &model = *deployment->model;
  RunFacts facts;
  facts.model = model.info();
  if (facts.model.addSpecialTokens)
    facts.specialTokens = model.tokenizer().encode("", true);
  if (const Device *device = model.device())
    facts.device = device->name();

  auto start = std::chrono::steady_clock::now();
  COMPRESSC_ASSIGN_OR_RETURN(Work work, task.ask(model.tokenizer(), facts.model, deployment->pool));
  facts.tokenizeSeconds = secondsSince(start);
  facts.answerTokens = work.answers;
  facts.promptTokens = work.promptTokens();
  facts.truncatedPrompts = work.truncated;

  std::unique_ptr<AnswerJournal> journal;
  if (std::string path = journalPath(options); !path.empty()) {
    COMPRESSC_ASSIGN_OR_RETURN(std::string key, journalKey(model, work));
    COMPRESSC_ASSIGN_OR_RETURN(journal,
                               AnswerJournal::Open(path, options.text.name, key, work.sizes(), options.fresh));
    if (!journal->kept().empty())
      std::fprintf(stderr,
                   "note: %zu of %zu questions were answered before and are taken from %s; --fresh asks them again\n",
                   journal->kept().size(), work.count(), path.c_str());
  }

  start = std::chrono::steady_clock::now();
  GpuUseWatch watch(model);
  Progress progress(options.text.name, options.text.unit == "tokens" ? work.positions() : int64_t(work.count()),
                    options.text.unit, options.quiet);
  COMPRESSC_ASSIGN_OR_RETURN(facts.computedTokens,
                             work.distributions
                                 ? measureAll(task, model, work, deployment->pool, progress)
                                 : scoreItems(options, model, work, journal.get(), progress));
  facts.seconds = secondsSince(start) + (journal ? journal->keptSeconds() : 0);
  facts.gpus = watch.end();

  COMPRESSC_ASSIGN_OR_RETURN(Results results, task.report(facts));
  if (!options.json.empty())
    COMPRESSC_RETURN_IF_ERROR(WriteOutput(options.json, results.json));
  if (!options.csv.empty())
    COMPRESSC_RETURN_IF_ERROR(WriteOutput(options.csv, results.csv));
  if (journal)
    COMPRESSC_RETURN_IF_ERROR(journal->remove());
  bool outputTaken = options.json == "-" || options.csv == "-";
  std::fputs(results.table.c_str(), outputTaken ? stderr : stdout);
  return absl::OkStatus();
}

} // namespace

int64_t Work::promptTokens() const {
  int64_t count = 0;
  for (const Request &request : requests)
    count += int64_t(request.tokens.size());
  return count;
}

int64_t Work::positions() const {
  int64_t count = 0;
  for (const Request &request : requests)
    count += int64_t(request.wanted.size());
  return count;
}

std::vector<size_t> Work::sizes() const {
  std::vector<size_t> sizes(count(), 0);
  for (size_t i = 0; i < requests.size(); ++i)
    sizes[items[i]] += requests[i].wanted.size() * (answers.empty() ? 1 : answers.size());
  return sizes;
}

void Task::measure(int32_t, int32_t, absl::Span<const float>) {}

Scorer ScorerOf(Model &model) {
  return [&model](const std::vector<Request> &requests, const Targets &targets, const ScoreCallback &onScore,
                  const std::function<void(const PlannedBatch &)> &onBatch) {
    return model.score(requests, targets, onScore, onBatch);
  };
}

StatusOr<int64_t> ScoreWork(const Scorer &score, const Work &work, const WorkCallbacks &callbacks,
                            const std::map<size_t, std::vector<double>> &known) {
  // Where each request's log-probabilities begin in its item's.
  std::vector<size_t> begin(work.requests.size(), 0), left = work.sizes();
  size_t perPosition = work.answers.empty() ? 1 : work.answers.size();
  for (size_t i = 1; i < begin.size(); ++i)
    if (work.items[i] == work.items[i - 1])
      begin[i] = begin[i - 1] + work.requests[i - 1].wanted.size() * perPosition;
  std::vector<std::vector<double>> values(work.count());
  for (size_t item = 0; item < values.size(); ++item) {
    if (known.contains(item))
      left[item] = 0;
    values[item].resize(left[item]);
  }
  auto wantedIndex = [&](int32_t request, int32_t position) {
    const std::vector<int32_t> &wanted = work.requests[size_t(request)].wanted;
    return size_t(std::lower_bound(wanted.begin(), wanted.end(), position) - wanted.begin());
  };

  Targets targets;
  targets.tokens = [&](int32_t request, int32_t position) {
    if (!work.answers.empty())
      return absl::MakeConstSpan(work.answers);
    return absl::MakeConstSpan(&work.targets[size_t(request)][wantedIndex(request, position)], 1);
  };
  targets.count = int64_t(perPosition);
  targets.alone = work.alone;
  if (!known.empty())
    targets.known = [&](int32_t request, int32_t) { return known.contains(work.items[size_t(request)]); };
  auto onScore = [&](int32_t request, int32_t position, absl::Span<const double> logProbabilities) -> Status {
    COMPRESSC_RETURN_IF_ERROR(CheckInterrupt());
    if (callbacks.onPosition)
      callbacks.onPosition();
    size_t item = work.items[size_t(request)];
    if (left[item] == 0)
      return absl::OkStatus();
    std::copy(logProbabilities.begin(), logProbabilities.end(),
              values[item].begin() + int64_t(begin[size_t(request)] + wantedIndex(request, position) * perPosition));
    left[item] -= perPosition;
    return left[item] == 0 && callbacks.onItem ? callbacks.onItem(item, values[item]) : absl::OkStatus();
  };
  int64_t computed = 0;
  auto onBatch = [&](const PlannedBatch &batch) { computed += batch.batch.rows(); };
  COMPRESSC_RETURN_IF_ERROR(score(work.requests, targets, onScore, onBatch));
  if (std::any_of(left.begin(), left.end(), [](size_t count) { return count > 0; }))
    return absl::InternalError("a position was left without an answer");
  return computed;
}

Command TaskCommand(std::shared_ptr<Task> task) {
  auto state = std::make_shared<RunnerOptions>();
  state->task = std::move(task);
  TaskText text = state->text = state->task->text();
  Command command = {text.name, text.summary, text.details, text.examples};
  Options &options = command.options;
  state->task->define(options);
  options.add("json", "FILE", state->json,
              text.keepsAnswers ? "Write everything, each question too, to a JSON file; - is standard output."
                                : "Write the result to a JSON file; - is standard output.");
  if (text.hasTable)
    options.add("csv", "FILE", state->csv,
                "Write accuracies, of groups and of everything, to a CSV file; - is standard output.");
  if (text.keepsAnswers) {
    options.add("journal", "FILE", state->journal,
                "Where answers are kept until all are there, so that the same command goes on after an "
                "interruption. Default: the file of --json, else of --csv, with .journal behind its name; without "
                "either, nowhere.");
    options.add("fresh", "", state->fresh, "Ask all questions again, whatever an interrupted run has kept.");
  }
  state->deployment.define(options, true);
  options.add("quiet", "", state->quiet, "No progress line.");
  command.main = [state] { return runTask(*state); };
  command.state = state;
  return command;
}

} // namespace compressc
