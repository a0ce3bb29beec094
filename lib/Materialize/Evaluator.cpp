#include "Evaluator.h"
#include <chrono>

using namespace mlir;

namespace compressc {
namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void append(Batch &batch, const std::vector<int32_t> &sample) {
  auto row = int32_t(batch.rows());
  batch.sequences.push_back({row, int32_t(sample.size()), 0, row, {}});
  batch.tokens.insert(batch.tokens.end(), sample.begin(), sample.end());
}

/// Into which calibration batches are shared out, whose statistics are summed apart: a device's own are two, so that its
/// sums, and all that follows from them, are those of two devices.
size_t sharesOf(const MaterializeOptions &options) { return options.device ? std::max<size_t>(2, options.others.size() + 1) : 1; }

/// Whole samples, as many as fit, in order. With several shares each gets as many batches, of nearly as many samples, if
/// there are that many samples.
std::vector<Batch> makeBatches(const CalibrationSet &calibration, int64_t batchTokens, size_t shares) {
  std::vector<Batch> result;
  const auto &samples = calibration.samples;
  for (const std::vector<int32_t> &sample : samples) {
    if (result.empty() || result.back().rows() + int64_t(sample.size()) > batchTokens)
      result.emplace_back();
    append(result.back(), sample);
  }
  size_t count = std::min((result.size() + shares - 1) / shares * shares, samples.size());
  if (count == result.size())
    return result;
  result.assign(count, {});
  for (size_t i = 0; i < samples.size(); ++i)
    append(result[i * count / samples.size()], samples[i]);
  return result;
}

/// Whether a value has a row for each token, and is no statistic.
bool isHidden(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && !type.hasStaticShape();
}

/// Where results are most of the arena it is kept for them; else they are copied out of it.
bool copiesOut(int64_t outputBytes, int64_t arenaBytes) { return outputBytes < arenaBytes / 2; }

Tensor tensorOf(const BufferDecl &decl, int64_t rows) {
  Tensor tensor;
  tensor.dtype = decl.dtype;
  tensor.packed = decl.packed;
  tensor.shape = decl.shape;
  if (decl.rows != Rows::Fixed)
    tensor.shape.insert(tensor.shape.begin(), rows);
  return tensor;
}

} // namespace

Status CheckCalibration(ModuleOp module, const MaterializeOptions &options) {
  bool observes = module
                      .walk([](Operation *op) { return IsObservation(op) ? WalkResult::interrupt() : WalkResult::advance(); })
                      .wasInterrupted();
  if (observes && (!options.calibration || options.calibration->samples.empty()))
    return Invalid("the pipeline observes activations: give calibration data with --calibration FILE");
  return absl::OkStatus();
}

Evaluator::Evaluator(ModuleOp module, const StepPlan &plan, const MaterializeOptions &options,
                     Estimate *estimate)
    : module(module), plan(plan), options(options), estimate(estimate) {
  if (options.calibration && !plan.stream.empty())
    calibrationBatches = makeBatches(*options.calibration, options.batchTokens, sharesOf(options));
  workers.push_back({options.device, options.pool});
  if (calibrationBatches.size() <= options.others.size()) // too few to share
    return;
  for (Device *device : options.others) {
    Worker &worker = workers.emplace_back(Worker{device, options.pool});
    if (!estimate) {
      worker.ownPool = std::make_unique<ThreadPool>(std::max(1, options.pool->threads() / int(options.others.size() + 1)));
      worker.pool = worker.ownPool.get();
    }
  }
}

Status Evaluator::run(const Step &step, bool known, bool needsStates, std::vector<OwnedTensor> &results) {
  if (known && !needsStates)
    return absl::OkStatus();
  if (known)
    for (auto [result, tensor] : llvm::zip(step.results, results))
      if (result.type == result.value.getType())
        evaluated[result.value] = estimate ? OwnedTensor{nullptr, tensor.tensor} : tensor; // mapped: not counted
  for (Operation *op : step.ops) {
    bool advances = needsStates || op != step.ops.back();
    if (!known) {
      COMPRESSC_RETURN_IF_ERROR(observe(op, advances));
      COMPRESSC_RETURN_IF_ERROR(computeResults(op, step, results));
    }
    if (advances)
      COMPRESSC_RETURN_IF_ERROR(advance(op));
    forgetBehind(op);
  }
  for (Worker &worker : workers)
    worker.uploaded.clear();
  if (!estimate) // what is stored leaves the device
    for (OwnedTensor &result : results)
      COMPRESSC_RETURN_IF_ERROR(bring(result, workers.front(), nullptr).status());
  return absl::OkStatus();
}

Device *Evaluator::deviceFor(const Schedule &schedule) {
  Device *device = options.device;
  for (const Call &call : schedule.entries.front().calls)
    if (device && !device->findKernel(call.kernel))
      device = nullptr;
  ++slices;
  slicesOnDevice += device != nullptr;
  return device;
}

StatusOr<std::shared_ptr<Session>> Evaluator::open(Schedule schedule, Worker &worker, Device *device) {
  SessionOptions session;
  session.device = device;
  session.uploaded = &worker.uploaded;
  return Session::Create(std::move(schedule), StoreResolver(options.weights), *worker.pool, session);
}

StatusOr<OwnedTensor> Evaluator::fetch(const Tensor &tensor, Worker &worker) {
  if (&worker == &workers.front())
    return worker.device->fetch(tensor, *worker.pool);
  COMPRESSC_RETURN_IF_ERROR(worker.device->enter());
  StatusOr<OwnedTensor> copy = worker.device->fetch(tensor, *worker.pool);
  COMPRESSC_RETURN_IF_ERROR(workers.front().device->enter());
  return copy;
}

StatusOr<OwnedTensor> Evaluator::bring(OwnedTensor &tensor, Worker &worker, Device *device) {
  DType dtype = tensor.tensor.dtype;
  bool narrowVector = tensor.tensor.rank() == 1 && (dtype == DType::F16 || dtype == DType::BF16);
  if (tensor.onDevice && (!device || narrowVector)) {
    COMPRESSC_ASSIGN_OR_RETURN(tensor, fetch(tensor.tensor, worker));
  }
  if (tensor.onDevice || !device)
    return tensor;
  COMPRESSC_ASSIGN_OR_RETURN(OwnedTensor there, device->upload(tensor.tensor, "a value", *worker.pool));
  if (!narrowVector)
    tensor = there;
  return there;
}

StatusOr<OwnedTensor> Evaluator::copyOf(const Tensor &tensor, Device *device) {
  if (device)
    return device->copy(tensor, "a value");
  return CopyTensor(tensor);
}

Status Evaluator::computeResults(Operation *op, const Step &step, std::vector<OwnedTensor> &results) {
  SmallVector<Value> values;
  SmallVector<Type> types;
  SmallVector<size_t> places;
  for (auto [place, result] : llvm::enumerate(step.results))
    if (result.op == op)
      places.push_back(place);
  if (places.empty())
    return absl::OkStatus();
  // In program order a weight's values in fp32 are gone before the next weight's come.
  llvm::DenseMap<Operation *, size_t> order;
  op->walk([&](Operation *inner) { order[inner] = order.size(); });
  auto position = [&](size_t place) {
    return std::pair(order.lookup(step.results[place].value.getDefiningOp()), place);
  };
  llvm::sort(places, [&](size_t a, size_t b) { return position(a) < position(b); });
  for (size_t place : places) {
    values.push_back(step.results[place].value);
    types.push_back(step.results[place].type);
  }
  // What several top-level operations read results of (svd's factors and its choice) is evaluated once.
  llvm::SetVector<Value> shared;
  Slice needed(values, [&](Value value) { return evaluated.contains(value); });
  for (Operation *inner : needed.ops())
    if (isa<func::FuncOp>(inner->getParentOp()) && inner->getNumResults() > 1)
      for (Value result : inner->getResults())
        if (!result.use_empty())
          shared.insert(result);
  COMPRESSC_RETURN_IF_ERROR(evaluateValues(shared.getArrayRef()));
  auto start = Clock::now();
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<OwnedTensor> computed, compute(values, types));
  for (auto [index, place] : llvm::enumerate(places)) {
    results[place] = computed[index];
    // Calibration may read it again.
    if (types[index] == values[index].getType())
      evaluated[values[index]] = computed[index];
  }
  weightSeconds += secondsSince(start);
  return absl::OkStatus();
}

void Evaluator::setStates(Value value, std::vector<OwnedTensor> tensors) {
  if (estimate)
    for (OwnedTensor &tensor : tensors)
      tensor.memory.reset(); // mapped: not counted
  states[value] = std::move(tensors);
}

StatusOr<std::vector<OwnedTensor>> Evaluator::statesOf(Value value) {
  std::vector<OwnedTensor> tensors = states[value];
  for (auto [index, tensor] : llvm::enumerate(tensors))
    COMPRESSC_RETURN_IF_ERROR(bring(tensor, workerOf(index), nullptr).status());
  return tensors;
}

/// What all workers run over their batches.
struct Evaluator::CalibrationRun {
  const Schedule &schedule;
  ArrayRef<Value> inputs, outputs;
  ArrayRef<Value> replaced; // inputs that nothing reads afterwards
  bool onDevices;
  std::vector<OwnedTensor> fixed = {};                   // on the host: inputs of workers but the first that are no hidden states
  std::vector<std::vector<OwnedTensor>> hidden = {};     // of each output that is hidden states, by batch
  std::vector<std::vector<OwnedTensor>> statistics = {}; // of each share of the batches: outputs that are not
  std::atomic<bool> stopped = false;                     // a worker has failed
};

Status Evaluator::runShare(CalibrationRun &run, size_t share) {
  size_t number = share % workers.size(), shares = run.statistics.size();
  Worker &worker = workers[number];
  Device *device = run.onDevices ? worker.device : nullptr;
  if (device && workers.size() > 1)
    COMPRESSC_RETURN_IF_ERROR(device->enter());
  COMPRESSC_ASSIGN_OR_RETURN(std::shared_ptr<Session> session, open(run.schedule, worker, device));
  const EntryPoint &entry = session->schedule().entries.front();
  std::vector<OwnedTensor> fixed(run.inputs.size());
  for (auto [i, value] : llvm::enumerate(run.inputs)) {
    if (states.contains(value))
      continue;
    OwnedTensor &known = number == 0 ? evaluated.find(value)->second : run.fixed[i];
    OwnedTensor copy = known; // where it lies is the others' too
    COMPRESSC_ASSIGN_OR_RETURN(fixed[i], bring(number == 0 ? known : copy, worker, device));
  }
  for (size_t index = share; index < calibrationBatches.size() && !run.stopped; index += shares) {
    std::vector<OwnedTensor> brought;
    std::vector<Tensor> inputs;
    for (auto [i, value] : llvm::enumerate(run.inputs)) {
      auto state = states.find(value);
      if (state != states.end()) {
        COMPRESSC_ASSIGN_OR_RETURN(brought.emplace_back(), bring(state->second[index], workerOf(index), device));
      }
      inputs.push_back(state != states.end() ? brought.back().tensor : fixed[i].tensor);
    }
    COMPRESSC_RETURN_IF_ERROR(session->run(entry, &calibrationBatches[index], inputs));
    brought.clear();
    for (Value value : run.replaced)
      states.find(value)->second[index] = {};
    for (auto [i, output] : llvm::enumerate(run.outputs))
      if (isHidden(output)) {
        COMPRESSC_ASSIGN_OR_RETURN(Tensor tensor, session->output(entry, i));
        COMPRESSC_ASSIGN_OR_RETURN(run.hidden[i][index], copyOf(tensor, device));
      }
  }
  if (run.stopped)
    return absl::OkStatus();
  // Statistics lie outside the arena, which can go.
  for (auto [i, output] : llvm::enumerate(run.outputs))
    if (!isHidden(output)) {
      COMPRESSC_ASSIGN_OR_RETURN(Tensor tensor, session->output(entry, i));
      run.statistics[share].push_back({session, tensor, device != nullptr});
    }
  session->releaseAllButStates();
  return absl::OkStatus();
}

Status Evaluator::addUp(const CalibrationRun &run) {
  std::vector<Collective::Addends> sums;
  for (auto [i, first] : llvm::enumerate(run.statistics.front())) {
    if (first.tensor.dtype == DType::Statistics) {
      auto &addends = sums.emplace_back(Collective::Addends{{}, first.tensor.bytes() / int64_t(sizeof(float)), Collective::Number::F32});
      for (const std::vector<OwnedTensor> &share : run.statistics)
        addends.arrays.push_back(share[i].tensor.data);
      continue;
    }
    // A mean, and of how many rows it is.
    double sum = 0, count = 0;
    for (auto [share, ofShare] : llvm::enumerate(run.statistics)) {
      COMPRESSC_ASSIGN_OR_RETURN(OwnedTensor influence, fetch(ofShare[i].tensor, workerOf(share)));
      sum += double(influence.tensor.as<float>()[0]) * influence.tensor.as<float>()[1];
      count += influence.tensor.as<float>()[1];
    }
    float merged[] = {float(sum / count), float(count)};
    COMPRESSC_RETURN_IF_ERROR(options.device->send(first.tensor.data, merged, sizeof merged));
  }
  if (sums.empty())
    return absl::OkStatus();
  Scratch scratch(options.pool->threads());
  KernelContext context{*options.pool, scratch, nullptr, options.device};
  auto call = [&](std::string_view kernel, llvm::ArrayRef<Tensor> inputs, const Tensor &output) {
    return options.device->findKernel(kernel)(context, {{inputs.data(), inputs.size()}, {&output, 1}, {}, {}});
  };
  if (workers.size() == 1) {
    Batch none;
    options.device->beginBatch(none, nullptr);
    for (const Collective::Addends &addends : sums) {
      auto array = [&](void *data) {
        Tensor tensor;
        tensor.shape = {1, addends.count};
        tensor.data = data;
        return tensor;
      };
      Tensor to = array(addends.arrays[0]);
      for (void *share : llvm::drop_begin(addends.arrays))
        COMPRESSC_RETURN_IF_ERROR(call("add", {to, array(share)}, to));
    }
    return options.device->finishBatch();
  }
  COMPRESSC_RETURN_IF_ERROR(options.collective->sum(sums));
  for (const OwnedTensor &first : run.statistics.front())
    if (first.tensor.dtype == DType::Statistics)
      COMPRESSC_RETURN_IF_ERROR(call("mirror_gram", {first.tensor}, first.tensor));
  return absl::OkStatus();
}

/// Runs the slice behind `outputs` over all calibration batches, which the devices share. Statistics accumulate; hidden states are
/// kept for each batch. In the last run of an operation they take the place of those that only it reads.
Status Evaluator::runOverCalibration(Operation *op, ArrayRef<Value> outputs, bool isLast) {
  if (outputs.empty())
    return absl::OkStatus();
  auto isKnown = [&](Value value) { return states.contains(value) || evaluated.contains(value); };
  // Weight expressions in the slice are the same for every batch: evaluated once, before.
  BindingTimes times;
  Slice first(outputs, isKnown);
  llvm::SetVector<Value> expressions;
  for (Operation *inner : first.ops()) {
    if (inner->getNumResults() == 0 || times.get(inner->getResult(0)) != BindingTime::Run)
      if (!IsObservation(inner))
        continue;
    for (Value operand : inner->getOperands()) {
      operand = FromOutside(operand);
      if (IsQuantized(operand))
        operand = operand.getDefiningOp()->getOperand(0);
      if (times.get(operand) != BindingTime::Run && !isKnown(operand) && !operand.getDefiningOp<lm::LoadParamOp>())
        expressions.insert(operand);
    }
  }
  COMPRESSC_RETURN_IF_ERROR(evaluateValues(expressions.getArrayRef()));

  auto start = Clock::now();
  Slice slice(outputs, isKnown);
  int64_t rows = 0;
  for (const Batch &batch : calibrationBatches)
    rows = std::max(rows, batch.rows());
  lm::Compute compute = options.device ? lm::Compute::bf16 : lm::Compute::f32;
  COMPRESSC_ASSIGN_OR_RETURN(Schedule schedule, slice.lower(module, rows, {}, compute));
  auto runsIt = [&](Operation *user) { return plan.calibrates(user); };
  SmallVector<Value> replaced;
  for (Value value : slice.inputs())
    if (isLast && states.contains(value) && !UsedBehind(value, op, runsIt))
      replaced.push_back(value);
  if (estimate) {
    estimateCalibration(schedule, outputs, replaced);
    return absl::OkStatus();
  }
  CalibrationRun run{schedule, slice.inputs(), outputs, replaced, deviceFor(schedule) != nullptr};
  size_t shares = run.onDevices ? std::min(sharesOf(options), calibrationBatches.size()) : 1;
  run.statistics.resize(shares);
  run.hidden.resize(outputs.size());
  for (auto [hidden, output] : llvm::zip(run.hidden, outputs))
    if (isHidden(output))
      hidden.resize(calibrationBatches.size());
  bool several = run.onDevices && workers.size() > 1;
  if (several) {
    run.fixed.resize(run.inputs.size());
    for (auto [copy, value] : llvm::zip(run.fixed, run.inputs))
      if (auto known = evaluated.find(value); known != evaluated.end()) {
        copy = known->second;
        if (copy.onDevice) {
          COMPRESSC_ASSIGN_OR_RETURN(copy, fetch(copy.tensor, workers.front()));
        }
      }
  }
  COMPRESSC_RETURN_IF_ERROR(OnThreads(several ? workers.size() : 1, [&](size_t number) {
    Status status;
    for (size_t share = number; share < shares && status.ok(); share += workers.size())
      status = runShare(run, share);
    if (!status.ok())
      run.stopped = true;
    return several ? WithContext(status, absl::StrCat("GPU ", workers[number].device->number())) : status;
  }));
  if (run.statistics.size() > 1)
    COMPRESSC_RETURN_IF_ERROR(addUp(run));
  size_t next = 0;
  for (auto [i, output] : llvm::enumerate(outputs))
    if (isHidden(output))
      states[output] = std::move(run.hidden[i]);
    else
      evaluated[output] = run.statistics.front()[next++];
  calibrationSeconds += secondsSince(start);
  return absl::OkStatus();
}

Status Evaluator::observe(Operation *op, bool advances) {
  SmallVector<Value> pending;
  op->walk([&](Operation *inner) {
    if (IsObservation(inner))
      llvm::append_range(pending, inner->getResults());
  });
  while (!pending.empty()) {
    SmallVector<Value> ready, waiting;
    for (Value statistics : pending)
      (dependsOn(statistics, pending) ? waiting : ready).push_back(statistics);
    SmallVector<Value> outputs = ready;
    bool isLast = waiting.empty();
    if (waiting.empty() && advances)
      for (Value result : op->getResults())
        if (plan.stream.contains(result)) {
          if (dependsOn(result, pending))
            isLast = false;
          else
            outputs.push_back(result);
        }
    COMPRESSC_RETURN_IF_ERROR(runOverCalibration(op, outputs, isLast));
    pending = waiting;
  }
  // A layer's results are the same statistics under another name.
  if (auto block = dyn_cast<lm::BlockOp>(op))
    for (auto [result, value] : llvm::zip(block.getResults(), block.yield().getValues()))
      if (auto known = evaluated.find(value); known != evaluated.end()) {
        OwnedTensor shared = known->second;
        evaluated[result] = shared;
      }
  return absl::OkStatus();
}

/// Whether computing `value` needs one of the `others` first.
bool Evaluator::dependsOn(Value value, ArrayRef<Value> others) {
  llvm::DenseSet<Value> seen;
  SmallVector<Value> work;
  Operation *self = value.getDefiningOp();
  if (IsObservation(self))
    llvm::append_range(work, self->getOperands());
  else
    work.push_back(value);
  while (!work.empty()) {
    Value current = FromOutside(work.pop_back_val());
    if (!seen.insert(current).second || evaluated.contains(current) || states.contains(current))
      continue;
    if (llvm::is_contained(others, current))
      return true;
    Operation *op = current.getDefiningOp();
    if (auto block = dyn_cast_or_null<lm::BlockOp>(op))
      work.push_back(block.yield().getValues()[cast<OpResult>(current).getResultNumber()]);
    else if (op)
      llvm::append_range(work, op->getOperands());
  }
  return false;
}

Status Evaluator::advance(Operation *op) {
  SmallVector<Value> outputs;
  for (Value result : op->getResults())
    if (plan.stream.contains(result) && !states.contains(result))
      outputs.push_back(result);
  return runOverCalibration(op, outputs, /*isLast=*/true);
}

/// Evaluates values that depend on parameters and known statistics only.
Status Evaluator::evaluateValues(ArrayRef<Value> values) {
  if (values.empty())
    return absl::OkStatus();
  auto start = Clock::now();
  SmallVector<Type> types(ValueRange(values).getTypes());
  COMPRESSC_ASSIGN_OR_RETURN(auto results, compute(values, types));
  for (auto [value, result] : llvm::zip(values, results))
    evaluated[value] = result;
  weightSeconds += secondsSince(start);
  return absl::OkStatus();
}

StatusOr<std::vector<OwnedTensor>> Evaluator::compute(ArrayRef<Value> values, ArrayRef<Type> types) {
  std::vector<OwnedTensor> results(values.size());
  SmallVector<Value> missing;
  SmallVector<Type> missingTypes;
  SmallVector<size_t> places;
  for (auto [index, value] : llvm::enumerate(values)) {
    if (auto known = evaluated.find(value); known != evaluated.end() && types[index] == value.getType()) {
      results[index] = known->second;
      continue;
    }
    missing.push_back(value);
    missingTypes.push_back(types[index]);
    places.push_back(index);
  }
  if (missing.empty())
    return results;
  Slice slice(missing, [&](Value value) { return evaluated.contains(value); });
  COMPRESSC_ASSIGN_OR_RETURN(Schedule schedule, slice.lower(module, 1, missingTypes));
  int64_t arenaBytes = schedule.arenaBytes, outputBytes = 0;
  if (estimate) {
    std::vector<OwnedTensor> computed = estimateWeights(schedule);
    for (auto [place, tensor] : llvm::zip(places, computed))
      results[place] = tensor;
    return results;
  }
  Device *device = deviceFor(schedule);
  COMPRESSC_ASSIGN_OR_RETURN(std::shared_ptr<Session> session, open(std::move(schedule), workers.front(), device));
  const EntryPoint &entry = session->schedule().entries.front();
  std::vector<OwnedTensor> brought;
  std::vector<Tensor> inputs;
  for (Value value : slice.inputs()) {
    COMPRESSC_ASSIGN_OR_RETURN(brought.emplace_back(), bring(evaluated[value], workers.front(), device));
    inputs.push_back(brought.back().tensor);
  }
  COMPRESSC_RETURN_IF_ERROR(session->run(entry, nullptr, inputs));
  for (size_t output = 0; output < places.size(); ++output) {
    COMPRESSC_ASSIGN_OR_RETURN(Tensor tensor, session->output(entry, output));
    results[places[output]] = {session, tensor, device != nullptr};
    outputBytes += tensor.bytes();
  }
  if (copiesOut(outputBytes, arenaBytes))
    for (size_t place : places) {
      COMPRESSC_ASSIGN_OR_RETURN(results[place], copyOf(results[place].tensor, device));
    }
  return results;
}

//===-- Estimates ----------------------------------------------------------------------------------===//

/// Memory that is only counted; tensors that share it are counted once.
static OwnedTensor counted(const Tensor &tensor) {
  OwnedTensor result{std::make_shared<int64_t>(tensor.bytes()), tensor};
  return result;
}

int64_t Evaluator::liveBytes() const {
  llvm::DenseSet<void *> seen;
  int64_t bytes = 0;
  auto add = [&](const OwnedTensor &tensor) {
    if (tensor.memory && seen.insert(tensor.memory.get()).second)
      bytes += *static_cast<int64_t *>(tensor.memory.get());
  };
  for (const auto &entry : states)
    llvm::for_each(entry.second, add);
  for (const auto &entry : evaluated)
    add(entry.second);
  return bytes;
}

void Evaluator::estimateCalibration(const Schedule &schedule, ArrayRef<Value> outputs, ArrayRef<Value> replaced) {
  int64_t before = liveBytes(), freed = 0;
  for (Value value : replaced)
    for (OwnedTensor &tensor : states[value]) {
      freed += tensor.tensor.bytes();
      tensor = {};
    }
  const EntryPoint &entry = schedule.entries.front();
  for (auto [index, output] : llvm::enumerate(outputs)) {
    const BufferDecl &decl = schedule.buffers[entry.outputs[index]];
    if (!isHidden(output)) {
      evaluated[output] = counted(tensorOf(decl, 0));
      continue;
    }
    std::vector<OwnedTensor> tensors;
    for (const Batch &batch : calibrationBatches)
      tensors.push_back(counted(tensorOf(decl, batch.rows())));
    states[output] = std::move(tensors);
  }
  // While hidden states take the place of earlier ones, one batch of them is there twice.
  int64_t twice = freed / std::max<int64_t>(1, int64_t(calibrationBatches.size()));
  estimate->calibrate(schedule, calibrationBatches, std::max(before, liveBytes() + twice));
}

std::vector<OwnedTensor> Evaluator::estimateWeights(const Schedule &schedule) {
  const EntryPoint &entry = schedule.entries.front();
  std::vector<OwnedTensor> results;
  int64_t outputBytes = 0;
  for (int32_t output : entry.outputs) {
    results.push_back(counted(tensorOf(schedule.buffers[output], 0)));
    outputBytes += results.back().tensor.bytes();
  }
  bool copies = copiesOut(outputBytes, schedule.arenaBytes);
  estimate->evaluate(schedule, liveBytes() + (copies ? outputBytes : 0));
  if (!copies) { // the arena stays as long as any result
    auto arena = std::make_shared<int64_t>(schedule.arenaBytes);
    for (OwnedTensor &result : results)
      result.memory = arena;
  }
  return results;
}

void Evaluator::forgetBehind(Operation *op) {
  auto runsIt = [&](Operation *user) { return plan.calibrates(user); };
  SmallVector<Value> dead;
  for (auto &entry : states)
    if (!UsedBehind(entry.first, op, runsIt))
      dead.push_back(entry.first);
  for (Value value : dead)
    states.erase(value);
  dead.clear();
  // What depends on statistics may be needed by way of operations that are no step's; what does not can be
  // computed again.
  BindingTimes times;
  for (auto &entry : evaluated)
    if (!UsedBehind(entry.first, op, [&](Operation *user) {
          return plan.concerns(user) || times.get(entry.first) == BindingTime::Calibration;
        }))
      dead.push_back(entry.first);
  for (Value value : dead)
    evaluated.erase(value);
}

} // namespace compressc
