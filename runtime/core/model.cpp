#include "compressc/runtime/model.h"
#include "json_reader.h"
#include "log_sum_exp.h"
#include "model_info.h"
#include "schedule_check.h"
#include "weight_resolver.h"
#include "absl/strings/str_join.h"
#include <algorithm>
#include <cmath>
#include <set>

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
  if (target == "cuda") {
    if (!modelOptions.openCuda)
      return Invalid("this program runs on the CPU only; use --device=cpu");
    COMPRESSC_ASSIGN_OR_RETURN(model->accelerator, modelOptions.openCuda(modelOptions.cuda));
  } else if (target != "cpu") {
    return Invalid("--device=", target, ": cpu or cuda");
  } else if (modelOptions.cuda.half) {
    return Invalid("--half is the GPU's; leave it out with --device=cpu");
  }
  SessionOptions options;
  options.device = model->accelerator.get();
  options.program = modelOptions.interpret ? nullptr : &compressc_program;
  options.cacheSlots =
      parsed.schedule.maxTokens + std::min(model->modelInfo.contextLength, maxContextSlots);
  const SafetensorsReader &weights = model->weights;
  COMPRESSC_ASSIGN_OR_RETURN(model->runner, Session::Create(
                                                std::move(parsed.schedule),
                                                [&weights](const WeightDecl &decl) {
                                                  return ResolveWeight(weights, decl);
                                                },
                                                pool, options));
  return model;
}

std::string Model::weightsIdentity() const {
  std::set<std::string> files;
  for (const auto &[name, tensor] : weights.tensors())
    files.insert(tensor.file->identity());
  return absl::StrJoin(files, " ");
}

PlannerLimits Model::limits() const {
  const Schedule &schedule = runner->schedule();
  return {schedule.maxTokens, schedule.maxSelected, runner->cacheSlots()};
}

StatusOr<Tensor> Model::forward(const Batch &batch) {
  const EntryPoint *entry = runner->schedule().find(forwardName);
  COMPRESSC_RETURN_IF_ERROR(runner->run(*entry, &batch));
  COMPRESSC_ASSIGN_OR_RETURN(Tensor logits, runner->output(*entry, 0));
  if (!accelerator)
    return logits;
  hostLogits.resize(std::max(hostLogits.size(), size_t(logits.elements())));
  COMPRESSC_RETURN_IF_ERROR(accelerator->download(hostLogits.data(), logits.data, logits.bytes()));
  logits.data = hostLogits.data();
  return logits;
}

/// A batch whose logits are computed, or on a device being computed.
struct Model::Pending {
  const PlannedBatch *planned = nullptr;
  size_t batch = 0; // of the plan
  std::vector<RowScore> rows;   // one for each use
  std::vector<float> logits;    // [uses, targets]
  int ticket = -1;              // of the device, whose these are then
};

Status Model::start(const PlannedBatch &planned, const Targets &targets, Pending &pending) {
  pending.planned = &planned;
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
  const EntryPoint *entry = runner->schedule().find(forwardName);
  COMPRESSC_RETURN_IF_ERROR(runner->run(*entry, &batch));
  COMPRESSC_ASSIGN_OR_RETURN(Tensor logits, runner->output(*entry, 0));
  int64_t vocabulary = modelInfo.vocabularySize;
  if (accelerator) {
    COMPRESSC_ASSIGN_OR_RETURN(pending.ticket, accelerator->scoreRows(logits.as<float>(), vocabulary, rows, columns, !targets.alone));
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
Status Model::notFinite(const Plan &plan, const RowUse &use) {
  std::string what = absl::StrCat("the model's logits for prompt ", use.request, ", position ", use.position, " are not finite");
  std::vector<PlannedBatch> parts = WantedPart(plan, [&](const RowUse &other) {
    return other.request == use.request && other.position == use.position;
  });
  const EntryPoint *entry = runner->schedule().find(forwardName);
  for (const PlannedBatch &part : parts)
    if (part.batch.rows() > 0)
      COMPRESSC_RETURN_IF_ERROR(WithContext(runner->runChecked(*entry, part.batch), what));
  return Invalid(what, "; computed again, they were");
}

Status Model::finish(const Plan &plan, const Pending &pending, const Targets &targets, const ScoreCallback &onScore) {
  const RowScore *rows = pending.rows.data();
  const float *logits = pending.logits.data();
  if (accelerator) {
    COMPRESSC_ASSIGN_OR_RETURN(DeviceScores scores, accelerator->awaitScores(pending.ticket));
    rows = scores.rows, logits = scores.logits;
  }
  std::vector<double> results(size_t(targets.count));
  for (const RowUse &use : pending.planned->uses) {
    RowScore row = targets.alone ? ScoreRow(logits, targets.count) : *rows;
    double norm = row.logSumExp();
    if (!std::isfinite(norm))
      return notFinite(plan, use);
    for (size_t j = 0; j < results.size(); ++j)
      results[j] = double(logits[j]) - norm;
    COMPRESSC_RETURN_IF_ERROR(onScore(use.request, use.position, results));
    ++rows, logits += targets.count;
  }
  return absl::OkStatus();
}

Status Model::score(const std::vector<Request> &requests, const Targets &targets, const ScoreCallback &onScore,
                    const std::function<void(const PlannedBatch &)> &onBatch) {
  COMPRESSC_ASSIGN_OR_RETURN(Plan plan, PlanBatches(requests, limits()));
  std::vector<PlannedBatch> unknown;
  if (targets.known)
    unknown = WantedPart(plan, [&](const RowUse &use) { return !targets.known(use.request, use.position); });
  Pending before;
  auto finishBefore = [&]() -> Status {
    if (!before.planned)
      return absl::OkStatus();
    COMPRESSC_RETURN_IF_ERROR(finish(plan, before, targets, onScore));
    if (onBatch)
      onBatch(plan.batches[before.batch]);
    before.planned = nullptr;
    return absl::OkStatus();
  };
  for (size_t i = 0; i < plan.batches.size(); ++i) {
    const PlannedBatch &planned = targets.known ? unknown[i] : plan.batches[i];
    if (planned.batch.rows() == 0) {
      if (onBatch)
        onBatch(plan.batches[i]);
      continue;
    }
    Pending now;
    now.batch = i;
    Status started = start(planned, targets, now);
    COMPRESSC_RETURN_IF_ERROR(finishBefore()); // also when this batch can't run
    COMPRESSC_RETURN_IF_ERROR(started);
    before = std::move(now);
  }
  return finishBefore();
}

Status Model::lastLogits(const std::vector<int32_t> &tokens, float *out) {
  Request request{tokens, {int32_t(tokens.size()) - 1}};
  COMPRESSC_ASSIGN_OR_RETURN(Plan plan, PlanBatches({request}, limits()));
  for (const PlannedBatch &planned : plan.batches) {
    COMPRESSC_ASSIGN_OR_RETURN(Tensor logits, forward(planned.batch));
    for (const RowUse &use : planned.uses)
      std::copy_n(logits.as<float>() + use.selectedIndex * modelInfo.vocabularySize, modelInfo.vocabularySize, out);
  }
  return absl::OkStatus();
}

} // namespace compressc
