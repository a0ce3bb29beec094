#include "compressc/runtime/model.h"
#include "../base/json_reader.h"
#include "log_sum_exp.h"
#include "model_info.h"
#include "schedule_check.h"
#include "weight_resolver.h"
#include "absl/strings/str_join.h"
#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>
#include <set>
#include <utility>

// Defined by an emitted program that is linked in.
extern "C" __attribute__((weak)) const compressc::program::Program compressc_program;

namespace compressc {
namespace {

constexpr std::string_view forwardName = "forward";
/// Slots beyond one batch: the prefixes that a batch continues. Longer ones than this are rare, and
/// untouched slots cost only address space.
constexpr int64_t maxContextSlots = 32768;

struct Region {
  int64_t offset, bytes;
};

struct Payload {
  ModelInfo info;
  Schedule schedule;
  std::map<std::string, Region> files; // inside the executable
};

Status parseFiles(const nlohmann::json &value, std::map<std::string, Region> &files) {
  constexpr size_t most = 64;
  if (!value.is_object() || value.size() > most)
    return Invalid("payload: \"files\" is no object of at most ", most, " files");
  for (const auto &[name, region] : value.items()) {
    bool good = region.is_array() && region.size() == 2;
    for (const nlohmann::json &number : region)
      good = good && number.is_number_unsigned() && number.get<uint64_t>() <= uint64_t(INT64_MAX);
    if (!good)
      return Invalid("payload: the place of ", name.substr(0, 64), " is not an offset and a size");
    files[name] = {region[0].get<int64_t>(), region[1].get<int64_t>()};
  }
  return absl::OkStatus();
}

StatusOr<Payload> parsePayload(std::string_view text) {
  COMPRESSC_ASSIGN_OR_RETURN(nlohmann::json value, ParseJson(text, "payload"));
  COMPRESSC_ASSIGN_OR_RETURN(JsonObject object,
                             JsonObject::From(value, "payload", {"model", "schedule", "files"}));
  COMPRESSC_ASSIGN_OR_RETURN(const nlohmann::json *model, object.get("model"));
  COMPRESSC_ASSIGN_OR_RETURN(const nlohmann::json *schedule, object.get("schedule"));
  Payload payload;
  COMPRESSC_ASSIGN_OR_RETURN(payload.info, ModelInfoFromJson(*model));
  COMPRESSC_ASSIGN_OR_RETURN(payload.schedule, ScheduleFromJson(*schedule));
  if (const nlohmann::json *files = object.find("files"))
    COMPRESSC_RETURN_IF_ERROR(parseFiles(*files, payload.files));
  return payload;
}

/// forward(batch) must give the logits of the selected rows, and need nothing else.
Status checkForward(const Payload &payload) {
  const EntryPoint *forward = payload.schedule.find(forwardName);
  if (!forward)
    return Invalid("payload: the schedule has no entry point \"", forwardName, "\"");
  if (!forward->inputs.empty() || forward->outputs.size() != 1)
    return Invalid("payload: \"forward\" must have no inputs and one output, the logits");
  const BufferDecl &logits = payload.schedule.buffers[forward->outputs[0]];
  if (logits.rows != Rows::Selected || logits.dtype != DType::F32 ||
      logits.shape != std::vector<int64_t>{payload.info.vocabularySize})
    return Invalid("payload: the output of \"forward\" is not f32 [selected, ",
                   payload.info.vocabularySize, "], the logits");
  return absl::OkStatus();
}

} // namespace

StatusOr<std::unique_ptr<Model>> Model::Open(std::string_view payload, const std::string &directory,
                                             ThreadPool &pool, const ModelOptions &modelOptions) {
  COMPRESSC_ASSIGN_OR_RETURN(Payload parsed, parsePayload(payload));
  COMPRESSC_RETURN_IF_ERROR(checkForward(parsed));
  std::unique_ptr<Model> model(new Model);
  model->pool = &pool;
  model->modelInfo = std::move(parsed.info);
  if (parsed.files.empty()) {
    std::string files = directory + "/model";
    COMPRESSC_ASSIGN_OR_RETURN(model->weights, SafetensorsReader::OpenDirectory(files));
    COMPRESSC_ASSIGN_OR_RETURN(model->tokens, Tokenizer::FromFile(files + "/tokenizer.json"));
  } else {
    auto open = [&](const std::string &name) -> StatusOr<std::shared_ptr<MappedFile>> {
      auto found = parsed.files.find(name);
      if (found == parsed.files.end())
        return Invalid("payload: the executable holds no ", name);
      return MappedFile::OpenRegion(modelOptions.executable, found->second.offset, found->second.bytes, name);
    };
    COMPRESSC_ASSIGN_OR_RETURN(std::shared_ptr<MappedFile> weights, open("model.safetensors"));
    COMPRESSC_ASSIGN_OR_RETURN(model->weights, SafetensorsReader::FromMapped(std::move(weights)));
    COMPRESSC_ASSIGN_OR_RETURN(std::shared_ptr<MappedFile> text, open("tokenizer.json"));
    COMPRESSC_ASSIGN_OR_RETURN(
        model->tokens, Tokenizer::FromJson({reinterpret_cast<const char *>(text->data()), text->size()}, text->path()));
  }
  const std::string &target = modelOptions.device.empty() ? model->modelInfo.device : modelOptions.device;
  if (target != "cuda" && target != "cpu")
    return Invalid("--device=", target, ": cpu or cuda");
  if (target == "cuda" && !modelOptions.openCuda)
    return Invalid("this program runs on the CPU only; use --device=cpu");
  if (target == "cpu" && modelOptions.cuda.half)
    return Invalid("--half is the GPU's; leave it out with --device=cpu");
  std::vector<int> devices = target == "cuda" ? modelOptions.devices : std::vector<int>{-1};
  if (devices.empty())
    return Invalid("there must be one GPU at least");
  for (size_t i = 0; i < devices.size(); ++i) {
    Runner &runner = *model->runners.emplace_back(std::make_unique<Runner>());
    if (devices.size() > 1)
      runner.name = absl::StrCat("GPU ", devices[i]);
    if (i > 0) // the first has the caller's
      runner.threads = std::make_unique<ThreadPool>(std::max(1, pool.threads() / int(devices.size())));
  }
  COMPRESSC_RETURN_IF_ERROR(OnThreads(model->runners.size(), [&](size_t i) {
    Runner &runner = *model->runners[i];
    return runner.named(model->open(runner, parsed.schedule, runner.threads ? *runner.threads : pool, modelOptions, devices[i]));
  }));
  return model;
}

/// `index`: of the GPU; below 0: the CPU.
Status Model::open(Runner &runner, Schedule schedule, ThreadPool &threads, const ModelOptions &modelOptions, int index) {
  if (index >= 0) {
    DeviceOptions device = modelOptions.cuda;
    device.index = index;
    COMPRESSC_ASSIGN_OR_RETURN(runner.device, modelOptions.openCuda(device));
  }
  SessionOptions options;
  options.device = runner.device.get();
  options.program = modelOptions.interpret ? nullptr : &compressc_program;
  options.cacheSlots = schedule.maxTokens + std::min(modelInfo.contextLength, maxContextSlots);
  auto resolve = [this, &runner](const WeightDecl &decl) { return ResolveWeight(weights, decl, runner.sums); };
  COMPRESSC_ASSIGN_OR_RETURN(runner.session, Session::Create(std::move(schedule), resolve, threads, options));
  return absl::OkStatus();
}

std::string Model::weightsIdentity() const {
  std::set<std::string> files;
  for (const auto &[name, tensor] : weights.tensors())
    files.insert(tensor.file->identity());
  return absl::StrJoin(files, " ");
}

std::vector<const Device *> Model::devices() const {
  std::vector<const Device *> all;
  for (const std::unique_ptr<Runner> &runner : runners)
    if (runner->device)
      all.push_back(runner->device.get());
  return all;
}

PlannerLimits Model::limits() const {
  const Session &session = *runners.front()->session;
  const Schedule &schedule = session.schedule();
  return {schedule.maxTokens, schedule.maxSelected, session.cacheSlots()};
}

StatusOr<Tensor> Model::forward(const Batch &batch) {
  Runner &runner = *runners.front();
  const EntryPoint *entry = runner.session->schedule().find(forwardName);
  COMPRESSC_RETURN_IF_ERROR(runner.session->run(*entry, &batch));
  COMPRESSC_ASSIGN_OR_RETURN(Tensor logits, runner.session->output(*entry, 0));
  if (!runner.device)
    return logits;
  hostLogits.resize(std::max(hostLogits.size(), size_t(logits.elements())));
  COMPRESSC_RETURN_IF_ERROR(runner.device->download(hostLogits.data(), logits.data, logits.bytes()));
  logits.data = hostLogits.data();
  return logits;
}

/// A plan that one runner works through.
struct Model::Part {
  Plan plan;
  std::vector<PlannedBatch> unknown = {}; // of each batch, when results of some are there already
  const PlannedBatch &needed(size_t batch) const { return unknown.empty() ? plan.batches[batch] : unknown[batch]; }
  int64_t rows() const {
    int64_t count = 0;
    for (size_t i = 0; i < plan.batches.size(); ++i)
      count += needed(i).batch.rows();
    return count;
  }
};

/// What is asked, for all runners.
struct Model::Scoring {
  const Targets &targets;
  const ScoreCallback &onScore;
  const std::function<void(const PlannedBatch &)> &onBatch;
  std::mutex calls = {};             // of these two
  bool refused = false;              // by onScore
  std::atomic<bool> stopped = false; // a runner has failed

  Status tell(const RowUse &use, absl::Span<const double> results) {
    std::lock_guard lock(calls);
    if (refused)
      return absl::OkStatus();
    Status status = onScore(use.request, use.position, results);
    refused = !status.ok();
    return status;
  }
  void tell(const PlannedBatch &batch) {
    std::lock_guard lock(calls);
    if (onBatch)
      onBatch(batch);
  }
};

/// A batch whose logits are computed, or on a device being computed.
struct Model::Pending {
  const Part *part = nullptr; // null: there is none
  size_t batch = 0;           // of it
  std::vector<RowScore> rows; // one for each use
  std::vector<float> logits;  // [uses, targets]
  int ticket = -1;            // of the device, whose these are then
};

Status Model::start(Runner &runner, const PlannedBatch &planned, const Targets &targets, Pending &pending) {
  size_t uses = planned.uses.size(), count = size_t(targets.count);
  std::vector<int32_t> rows, columns;
  for (const RowUse &use : planned.uses) {
    absl::Span<const int32_t> wanted = targets.tokens(use.request, use.position);
    rows.push_back(use.selectedIndex);
    columns.insert(columns.end(), wanted.begin(), wanted.end());
  }
  Batch batch = planned.batch;
  if (targets.alone && uses > 0)
    batch.answers.assign(columns.begin(), columns.begin() + int64_t(count));
  const EntryPoint *entry = runner.session->schedule().find(forwardName);
  COMPRESSC_RETURN_IF_ERROR(runner.session->run(*entry, &batch));
  COMPRESSC_ASSIGN_OR_RETURN(Tensor logits, runner.session->output(*entry, 0));
  int64_t vocabulary = modelInfo.vocabularySize;
  if (runner.device) {
    COMPRESSC_ASSIGN_OR_RETURN(pending.ticket, runner.device->scoreRows(logits.as<float>(), vocabulary, rows, columns, !targets.alone));
    return absl::OkStatus();
  }
  pending.rows.resize(uses);
  pending.logits.resize(uses * count);
  pool->parallelFor(int64_t(uses), [&](int64_t i, int) {
    const float *row = logits.as<float>() + rows[size_t(i)] * vocabulary;
    for (size_t j = 0; j < count; ++j)
      pending.logits[size_t(i) * count + j] = row[columns[size_t(i) * count + j]];
    if (!targets.alone)
      pending.rows[size_t(i)] = ScoreRow(row, vocabulary);
  });
  return absl::OkStatus();
}

/// Computes the position again, checked: that finds where it began.
Status Model::notFinite(Runner &runner, const Plan &plan, const RowUse &use) {
  std::string what = absl::StrCat("the model's logits for prompt ", use.request, ", position ", use.position, " are not finite");
  std::vector<PlannedBatch> parts = WantedPart(plan, [&](const RowUse &other) {
    return other.request == use.request && other.position == use.position;
  });
  const EntryPoint *entry = runner.session->schedule().find(forwardName);
  for (const PlannedBatch &part : parts)
    if (part.batch.rows() > 0)
      COMPRESSC_RETURN_IF_ERROR(WithContext(runner.session->runChecked(*entry, part.batch), what));
  return Invalid(what, "; computed again, they were");
}

Status Model::finish(Runner &runner, const Pending &pending, Scoring &scoring) {
  const Targets &targets = scoring.targets;
  const RowScore *rows = pending.rows.data();
  const float *logits = pending.logits.data();
  if (runner.device) {
    StatusOr<DeviceScores> scores = runner.device->awaitScores(pending.ticket);
    COMPRESSC_RETURN_IF_ERROR(runner.named(scores.status()));
    rows = scores->rows, logits = scores->logits;
  }
  std::vector<double> results(size_t(targets.count));
  for (const RowUse &use : pending.part->needed(pending.batch).uses) {
    RowScore row = targets.alone ? ScoreRow(logits, targets.count) : *rows;
    double norm = row.logSumExp();
    if (!std::isfinite(norm))
      return runner.named(notFinite(runner, pending.part->plan, use));
    for (size_t j = 0; j < results.size(); ++j)
      results[j] = double(logits[j]) - norm;
    COMPRESSC_RETURN_IF_ERROR(scoring.tell(use, results));
    ++rows, logits += targets.count;
  }
  scoring.tell(pending.part->plan.batches[pending.batch]);
  return absl::OkStatus();
}

Status Model::score(Runner &runner, absl::Span<const Part *const> parts, Scoring &scoring) {
  Pending before;
  auto finishBefore = [&]() -> Status {
    return before.part ? finish(runner, std::exchange(before, {}), scoring) : absl::OkStatus();
  };
  for (const Part *part : parts)
    for (size_t i = 0; i < part->plan.batches.size() && !scoring.stopped; ++i) {
      const PlannedBatch &planned = part->needed(i);
      if (planned.batch.rows() == 0) {
        scoring.tell(part->plan.batches[i]);
        continue;
      }
      Pending now;
      now.part = part, now.batch = i;
      Status started = runner.named(start(runner, planned, scoring.targets, now));
      COMPRESSC_RETURN_IF_ERROR(finishBefore()); // also when this batch can't run
      COMPRESSC_RETURN_IF_ERROR(started);
      before = std::move(now);
    }
  return finishBefore();
}

Status Model::score(const std::vector<Request> &requests, const Targets &targets, const ScoreCallback &onScore,
                    const std::function<void(const PlannedBatch &)> &onBatch) {
  std::vector<Part> parts;
  if (device()) {
    COMPRESSC_ASSIGN_OR_RETURN(std::vector<Plan> plans, PlanApart(requests, limits()));
    for (Plan &plan : plans)
      parts.push_back({std::move(plan)});
  } else {
    COMPRESSC_ASSIGN_OR_RETURN(Plan plan, PlanBatches(requests, limits()));
    parts.push_back({std::move(plan)});
  }
  if (targets.known)
    for (Part &part : parts)
      part.unknown = WantedPart(part.plan, [&](const RowUse &use) { return !targets.known(use.request, use.position); });

  // The longest first, each to the runner that has least.
  std::vector<std::pair<int64_t, size_t>> order;
  for (size_t i = 0; i < parts.size(); ++i)
    order.push_back({-parts[i].rows(), i});
  if (runners.size() > 1)
    std::sort(order.begin(), order.end());
  std::vector<std::vector<const Part *>> shares(runners.size());
  std::vector<int64_t> rows(runners.size(), 0);
  for (auto [cost, i] : order) {
    size_t least = size_t(std::min_element(rows.begin(), rows.end()) - rows.begin());
    shares[least].push_back(&parts[i]);
    rows[least] -= cost;
  }

  Scoring scoring{targets, onScore, onBatch};
  return OnThreads(runners.size(), [&](size_t i) -> Status {
    Runner &runner = *runners[i];
    Status status = runner.device ? runner.named(runner.device->enter()) : absl::OkStatus();
    if (status.ok())
      status = score(runner, shares[i], scoring);
    if (!status.ok())
      scoring.stopped = true;
    return status;
  });
}

Status Model::logits(const std::vector<Request> &requests,
                     const std::function<Status(const PlannedBatch &, const float *)> &onBatch) {
  if (Device *first = runners.front()->device.get())
    COMPRESSC_RETURN_IF_ERROR(first->enter());
  COMPRESSC_ASSIGN_OR_RETURN(Plan plan, PlanBatches(requests, limits()));
  for (const PlannedBatch &planned : plan.batches) {
    COMPRESSC_ASSIGN_OR_RETURN(Tensor logits, forward(planned.batch));
    std::vector<char> bad(planned.uses.size(), 0);
    pool->parallelFor(int64_t(bad.size()), [&](int64_t i, int) {
      int64_t row = planned.uses[size_t(i)].selectedIndex, width = modelInfo.vocabularySize;
      bad[size_t(i)] = !std::isfinite(ScoreRow(logits.as<float>() + row * width, width).logSumExp());
    });
    if (auto found = std::find(bad.begin(), bad.end(), 1); found != bad.end())
      return notFinite(*runners.front(), plan, planned.uses[size_t(found - bad.begin())]);
    COMPRESSC_RETURN_IF_ERROR(onBatch(planned, logits.as<float>()));
  }
  return absl::OkStatus();
}

Status Model::lastLogits(const std::vector<int32_t> &tokens, float *out) {
  return logits({{tokens, {int32_t(tokens.size()) - 1}}}, [&](const PlannedBatch &planned, const float *rows) {
    for (const RowUse &use : planned.uses)
      std::copy_n(rows + use.selectedIndex * modelInfo.vocabularySize, modelInfo.vocabularySize, out);
    return absl::OkStatus();
  });
}

} // namespace compressc
