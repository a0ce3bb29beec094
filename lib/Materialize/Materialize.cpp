// Evaluation of weight- and calibration-time values, layer by layer in dataflow order.
#include "compressc/Materialize/Materialize.h"
#include "CheckpointPlan.h"
#include "Slice.h"
#include "compressc/Transforms/Dataflow.h"
#include "compressc/runtime/progress.h"
#include <chrono>
#include <cmath>

using namespace mlir;

namespace compressc {
namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// NaN and infinity of a plain tensor are the checkpoint's fault: say so before they spread.
Status checkFinite(const Tensor &tensor, StringRef name) {
  if (tensor.dtype != DType::F32 && tensor.dtype != DType::F16 && tensor.dtype != DType::BF16)
    return absl::OkStatus();
  int64_t elements = tensor.elements();
  // All exponent bits set: NaN or infinity.
  auto bad = [&](auto *data, auto mask) {
    for (int64_t i = 0; i < elements; ++i)
      if ((data[i] & mask) == mask)
        return i;
    return int64_t(-1);
  };
  int64_t index = tensor.dtype == DType::F32   ? bad(tensor.as<uint32_t>(), uint32_t(0x7f800000))
                  : tensor.dtype == DType::F16 ? bad(tensor.as<uint16_t>(), uint16_t(0x7c00))
                                               : bad(tensor.as<uint16_t>(), uint16_t(0x7f80));
  if (index >= 0)
    return Invalid("tensor ", name.str(), ": element ", index,
                   " is NaN or infinite; the checkpoint is damaged, get it again");
  return absl::OkStatus();
}

/// The layer that an operation stands in, or the operation itself at the top level.
Operation *topLevel(Operation *op) {
  while (!isa<func::FuncOp>(op->getParentOp()))
    op = op->getParentOp();
  return op;
}

class Materializer {
public:
  Materializer(ModuleOp module, const MaterializeOptions &options) : module(module), options(options) {}

  StatusOr<MaterializeReport> run() {
    auto found = FindBoundWeights(module);
    if (failed(found))
      return Invalid("the pipeline's result can't be stored");
    weights = std::move(*found);
    CheckpointPlan plan = PlanCheckpoint(module, weights);
    report.parameters = plan.parameters;
    report.originalWeightBytes = plan.originalWeightBytes;
    COMPRESSC_RETURN_IF_ERROR(checkCalibration());
    if (!options.output.empty()) {
      COMPRESSC_ASSIGN_OR_RETURN(writer, SafetensorsWriter::Create(options.output, plan.entries));
    }
    for (lm::ParamOp param : plan.unchanged) {
      COMPRESSC_ASSIGN_OR_RETURN(const Tensor *tensor, stored(param));
      COMPRESSC_RETURN_IF_ERROR(checkFinite(*tensor, param.getSymName()));
      COMPRESSC_RETURN_IF_ERROR(WriteTensor(*writer, param.getSymName(), *tensor));
    }
    for (func::FuncOp function : module.getOps<func::FuncOp>())
      if (!function.isExternal())
        COMPRESSC_RETURN_IF_ERROR(evaluate(function));
    if (!writer)
      return report;
    COMPRESSC_RETURN_IF_ERROR(writer->finish());
    report.weightBytes = writer->fileBytes();
    BindWeights(module, weights);
    // In the new checkpoint every tensor has its export name.
    for (lm::ParamOp param : plan.unchanged)
      param.removeKeyAttr();
    return report;
  }

private:
  StatusOr<const Tensor *> stored(lm::ParamOp param) {
    if (!options.weights)
      return Invalid("parameter ", param.getSymName().str(),
                     " has no weights: the model was imported without them");
    return options.weights->get(param.storeKey().str());
  }

  /// What is missing is said before any work starts.
  Status checkCalibration() {
    bool observes = false;
    module.walk([&](Operation *op) { observes |= IsObservation(op); });
    if (observes && (!options.calibration || options.calibration->samples.empty()))
      return Invalid("the pipeline observes activations: give calibration data with --calibration FILE");
    return absl::OkStatus();
  }

  Status evaluate(func::FuncOp function) {
    findStream(function);
    batches = makeBatches();
    int64_t layers = 0;
    for (Operation &op : function.getBody().front())
      layers += hasWork(&op);
    Progress progress("materialize", layers, "steps", options.quiet);
    for (Operation &op : function.getBody().front()) {
      if (!hasWork(&op))
        continue;
      if (auto block = dyn_cast<lm::BlockOp>(op))
        COMPRESSC_RETURN_IF_ERROR(observe(block));
      else if (IsObservation(&op))
        COMPRESSC_RETURN_IF_ERROR(runOverCalibration(llvm::to_vector_of<Value>(op.getResults())));
      COMPRESSC_RETURN_IF_ERROR(evaluateWeights(&op));
      COMPRESSC_RETURN_IF_ERROR(advanceStream(&op));
      forgetAfter(&op);
      progress.advance();
    }
    progress.finish();
    return absl::OkStatus();
  }

  bool hasWork(Operation *op) {
    bool work = llvm::any_of(op->getResults(), [&](Value result) { return stream.contains(result); });
    op->walk([&](Operation *inner) { work |= IsObservation(inner) || isa<compress::RemarkOp>(inner); });
    for (const BoundWeight &weight : weights)
      work |= topLevel(weight.uses.front()->getOwner()) == op;
    return work;
  }

  //===-- The calibration stream -------------------------------------------------------------------===//

  /// Top-level run-time values that observations depend on: the hidden states of the calibration set.
  void findStream(func::FuncOp function) {
    stream.clear();
    SmallVector<Value> observed;
    function.walk([&](Operation *op) {
      if (IsObservation(op))
        llvm::append_range(observed, op->getOperands());
    });
    for (Value value : RunTimeSlice(observed)) {
      Operation *op = value.getDefiningOp();
      if (op && isa<func::FuncOp>(op->getParentOp()) && isa<RankedTensorType>(value.getType()))
        stream.insert(value);
    }
  }

  std::vector<Batch> makeBatches() {
    std::vector<Batch> result;
    if (!options.calibration || stream.empty())
      return result;
    for (const std::vector<int32_t> &sample : options.calibration->samples) {
      if (result.empty() || result.back().rows() + int64_t(sample.size()) > options.batchTokens)
        result.emplace_back();
      Batch &batch = result.back();
      auto row = int32_t(batch.rows());
      batch.sequences.push_back({row, int32_t(sample.size()), 0, row, {}});
      batch.tokens.insert(batch.tokens.end(), sample.begin(), sample.end());
    }
    return result;
  }

  /// Whether a value has a row for each token, and is no statistic.
  static bool isHidden(Value value) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    return type && !type.hasStaticShape();
  }

  /// Runs the slice behind `outputs` over all calibration batches. Statistics accumulate; hidden states
  /// are kept for each batch.
  Status runOverCalibration(ArrayRef<Value> outputs) {
    if (outputs.empty())
      return absl::OkStatus();
    auto isKnown = [&](Value value) { return states.contains(value) || evaluated.contains(value); };
    // Weight expressions in the slice are the same for every batch: evaluated once, before.
    BindingTimes times;
    Slice first(outputs, isKnown);
    SmallVector<Value> expressions;
    for (Operation *op : first.ops()) {
      if (op->getNumResults() == 0 || times.get(op->getResult(0)) != BindingTime::Run)
        if (!IsObservation(op))
          continue;
      for (Value operand : op->getOperands()) {
        if (IsQuantized(operand))
          operand = operand.getDefiningOp()->getOperand(0);
        if (times.get(operand) != BindingTime::Run && !isKnown(operand) &&
            !operand.getDefiningOp<lm::LoadParamOp>() && !llvm::is_contained(expressions, operand))
          expressions.push_back(operand);
      }
    }
    COMPRESSC_RETURN_IF_ERROR(evaluateValues(expressions));

    auto start = Clock::now();
    Slice slice(outputs, isKnown);
    int64_t rows = 0;
    for (const Batch &batch : batches)
      rows = std::max(rows, batch.rows());
    COMPRESSC_ASSIGN_OR_RETURN(Schedule schedule, slice.lower(module, rows));
    COMPRESSC_ASSIGN_OR_RETURN(auto session, Session::Create(std::move(schedule),
                                                             StoreResolver(options.weights), *options.pool));
    const EntryPoint &entry = session->schedule().entries.front();
    std::vector<std::vector<OwnedTensor>> results(outputs.size());
    for (size_t index = 0; index < batches.size(); ++index) {
      std::vector<Tensor> inputs;
      for (Value value : slice.inputs()) {
        auto state = states.find(value);
        inputs.push_back(state != states.end() ? state->second[index].tensor : evaluated[value].tensor);
      }
      COMPRESSC_RETURN_IF_ERROR(session->run(entry, &batches[index], inputs));
      for (size_t i = 0; i < outputs.size(); ++i)
        if (isHidden(outputs[i])) {
          COMPRESSC_ASSIGN_OR_RETURN(Tensor output, session->output(entry, i));
          results[i].push_back(CopyTensor(output));
        }
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (isHidden(outputs[i])) {
        states[outputs[i]] = std::move(results[i]);
        continue;
      }
      COMPRESSC_ASSIGN_OR_RETURN(Tensor output, session->output(entry, i));
      evaluated[outputs[i]] = CopyTensor(output);
    }
    report.calibrationSeconds += secondsSince(start);
    return absl::OkStatus();
  }

  /// Evaluates a layer's observations, those that don't wait for each other in one run, together with
  /// the hidden states that leave the layer.
  Status observe(lm::BlockOp block) {
    SmallVector<Value> pending;
    block.getBody().walk([&](Operation *op) {
      if (IsObservation(op))
        llvm::append_range(pending, op->getResults());
    });
    while (!pending.empty()) {
      SmallVector<Value> ready, waiting;
      for (Value statistics : pending)
        (dependsOn(statistics, pending) ? waiting : ready).push_back(statistics);
      SmallVector<Value> outputs = ready;
      if (waiting.empty())
        for (Value result : block.getResults())
          if (stream.contains(result) && !dependsOn(result, pending))
            outputs.push_back(result);
      COMPRESSC_RETURN_IF_ERROR(runOverCalibration(outputs));
      pending = waiting;
    }
    // The layer's results are the same statistics under another name.
    for (auto [result, value] : llvm::zip(block.getResults(), block.yield().getValues()))
      if (auto known = evaluated.find(value); known != evaluated.end()) {
        OwnedTensor shared = known->second;
        evaluated[result] = shared;
      }
    return absl::OkStatus();
  }

  /// Whether computing `value` needs one of the `others` first.
  bool dependsOn(Value value, ArrayRef<Value> others) {
    llvm::DenseSet<Value> seen;
    SmallVector<Value> work;
    Operation *self = value.getDefiningOp();
    if (IsObservation(self))
      llvm::append_range(work, self->getOperands());
    else
      work.push_back(value);
    while (!work.empty()) {
      Value current = work.pop_back_val();
      if (!seen.insert(current).second || evaluated.contains(current) || states.contains(current))
        continue;
      if (llvm::is_contained(others, current))
        return true;
      Operation *op = current.getDefiningOp();
      if (!op)
        continue;
      if (auto block = dyn_cast<lm::BlockOp>(op))
        work.push_back(block.yield().getValues()[cast<OpResult>(current).getResultNumber()]);
      else
        llvm::append_range(work, op->getOperands());
    }
    return false;
  }

  /// Hidden states that leave an operation and were not computed with its observations.
  Status advanceStream(Operation *op) {
    SmallVector<Value> outputs;
    for (Value result : op->getResults())
      if (stream.contains(result) && !states.contains(result))
        outputs.push_back(result);
    return runOverCalibration(outputs);
  }

  //===-- Weights ----------------------------------------------------------------------------------===//

  /// Evaluates values that depend on parameters and known statistics only.
  Status evaluateValues(ArrayRef<Value> values) {
    if (values.empty())
      return absl::OkStatus();
    auto start = Clock::now();
    SmallVector<Type> types(ValueRange(values).getTypes());
    COMPRESSC_ASSIGN_OR_RETURN(auto results, compute(values, types));
    for (auto [value, result] : llvm::zip(values, results))
      evaluated[value] = result;
    report.weightSeconds += secondsSince(start);
    return absl::OkStatus();
  }

  /// The values, plain ones converted to `types`.
  StatusOr<std::vector<OwnedTensor>> compute(ArrayRef<Value> values, ArrayRef<Type> types) {
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
    COMPRESSC_ASSIGN_OR_RETURN(auto session, Session::Create(std::move(schedule),
                                                             StoreResolver(options.weights), *options.pool));
    const EntryPoint &entry = session->schedule().entries.front();
    std::vector<Tensor> inputs;
    for (Value value : slice.inputs())
      inputs.push_back(evaluated[value].tensor);
    COMPRESSC_RETURN_IF_ERROR(session->run(entry, nullptr, inputs));
    for (auto [output, place] : llvm::enumerate(places)) {
      COMPRESSC_ASSIGN_OR_RETURN(Tensor tensor, session->output(entry, output));
      results[place] = CopyTensor(tensor);
    }
    return results;
  }

  /// Computes and writes the weights that `op` (a layer or a top-level operation) reads at run time, and
  /// what remarks in it report.
  Status evaluateWeights(Operation *op) {
    SmallVector<const BoundWeight *> bound;
    SmallVector<Value> values;
    SmallVector<Type> types;
    for (const BoundWeight &weight : weights)
      if (topLevel(weight.uses.front()->getOwner()) == op) {
        bound.push_back(&weight);
        values.push_back(weight.value);
        types.push_back(weight.storedType);
      }
    SmallVector<compress::RemarkOp> remarks;
    op->walk([&](compress::RemarkOp remark) {
      remarks.push_back(remark);
      values.push_back(remark.getValues());
      types.push_back(remark.getValues().getType());
    });
    if (values.empty())
      return absl::OkStatus();
    auto start = Clock::now();
    COMPRESSC_ASSIGN_OR_RETURN(std::vector<OwnedTensor> results, compute(values, types));
    for (auto [weight, result] : llvm::zip(bound, results)) {
      COMPRESSC_RETURN_IF_ERROR(checkFinite(result.tensor, weight->name));
      COMPRESSC_RETURN_IF_ERROR(WriteTensor(*writer, weight->name, result.tensor));
      // A layer that calibration runs on may read it again.
      bool plain = isa<RankedTensorType>(weight->value.getType());
      if (!plain || weight->value.getType() == weight->storedType)
        evaluated[weight->value] = result;
    }
    for (auto [index, remark] : llvm::enumerate(remarks))
      decide(remark, results[bound.size() + index].tensor);
    report.weightSeconds += secondsSince(start);
    return absl::OkStatus();
  }

  void decide(compress::RemarkOp remark, const Tensor &values) {
    Decision decision;
    decision.pass = remark.getPass().str();
    for (auto param : remark.getParams().getAsRange<StringAttr>())
      decision.params.push_back(param.str());
    for (auto [index, field] : llvm::enumerate(remark.getFields().getAsRange<StringAttr>()))
      decision.numbers.emplace_back(field.str(), values.as<float>()[index]);
    report.decisions.push_back(std::move(decision));
  }

  /// Frees what no later top-level operation reads.
  void forgetAfter(Operation *op) {
    auto usedLater = [&](Value value) {
      return llvm::any_of(value.getUsers(), [&](Operation *user) {
        Operation *top = topLevel(user);
        return top != op && !top->isBeforeInBlock(op);
      });
    };
    SmallVector<Value> dead;
    for (auto &entry : states)
      if (!usedLater(entry.first))
        dead.push_back(entry.first);
    for (Value value : dead)
      states.erase(value);
    dead.clear();
    for (auto &entry : evaluated)
      if (!usedLater(entry.first))
        dead.push_back(entry.first);
    for (Value value : dead)
      evaluated.erase(value);
  }

  ModuleOp module;
  const MaterializeOptions &options;
  MaterializeReport report;
  std::vector<BoundWeight> weights;
  std::unique_ptr<SafetensorsWriter> writer;
  llvm::DenseSet<Value> stream;
  std::vector<Batch> batches;
  llvm::DenseMap<Value, std::vector<OwnedTensor>> states; // hidden states, one for each batch
  llvm::DenseMap<Value, OwnedTensor> evaluated;           // weights and statistics
};

} // namespace

StatusOr<MaterializeReport> Materialize(ModuleOp module, const MaterializeOptions &options) {
  return Materializer(module, options).run();
}

} // namespace compressc
