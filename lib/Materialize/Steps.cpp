#include "Steps.h"

using namespace mlir;

namespace compressc {

Operation *TopLevel(Operation *op) {
  while (!isa<func::FuncOp>(op->getParentOp()))
    op = op->getParentOp();
  return op;
}

static llvm::SetVector<Value> calibrationStream(func::FuncOp function) {
  SmallVector<Value> observed;
  function.walk([&](Operation *op) {
    if (IsObservation(op))
      llvm::append_range(observed, op->getOperands());
  });
  llvm::SetVector<Value> stream;
  for (Value value : RunTimeSlice(observed)) {
    Operation *op = value.getDefiningOp();
    if (op && isa<func::FuncOp>(op->getParentOp()) && isa<RankedTensorType>(value.getType()))
      stream.insert(value);
  }
  return stream;
}

static bool observes(Operation *op) {
  return op->walk([](Operation *inner) { return IsObservation(inner) ? WalkResult::interrupt() : WalkResult::advance(); })
      .wasInterrupted();
}

bool StepPlan::calibrates(Operation *op) const {
  return observes(op) || llvm::any_of(op->getResults(), [&](Value result) { return stream.contains(result); });
}

bool UsedBehind(Value value, Operation *op, function_ref<bool(Operation *)> reads) {
  return llvm::any_of(value.getUsers(), [&](Operation *user) {
    Operation *top = TopLevel(user);
    return top != op && !top->isBeforeInBlock(op) && reads(top);
  });
}

/// What a run-time operation reads: codes in place of the values that they stand for.
static Value readValue(Value operand) {
  return IsQuantized(operand) ? operand.getDefiningOp()->getOperand(0) : operand;
}

static void findResults(Step &step, const llvm::SetVector<Value> &streamSlice, BindingTimes &times) {
  llvm::SetVector<Value> carried;
  for (Operation *top : step.ops)
    top->walk([&](Operation *op) {
      if (isa<compress::CalibratedOp, lm::BlockOp, lm::YieldOp>(op) ||
          !llvm::any_of(op->getResults(), [&](Value result) { return streamSlice.contains(result); }))
        return;
      for (Value operand : op->getOperands())
        if (Value value = LookThrough(readValue(operand)); times.get(value) == BindingTime::Calibration)
          carried.insert(value);
    });
  for (const BoundWeight *weight : step.weights) {
    step.results.push_back({TopLevel(weight->uses.front()->getOwner()), weight->value, weight->storedType});
    if (weight->value.getType() == weight->storedType)
      carried.remove(weight->value);
  }
  for (compress::RemarkOp remark : step.remarks)
    step.results.push_back({TopLevel(remark), remark.getValues(), remark.getValues().getType()});
  for (Value value : carried)
    step.results.push_back({TopLevel(value.getDefiningOp()), value, value.getType()});
}

StepPlan CutIntoSteps(func::FuncOp function, ArrayRef<BoundWeight> weights) {
  StepPlan plan;
  plan.stream = calibrationStream(function);
  llvm::DenseMap<Operation *, SmallVector<const BoundWeight *>> weightsOf;
  for (const BoundWeight &weight : weights)
    weightsOf[TopLevel(weight.uses.front()->getOwner())].push_back(&weight);
  llvm::SetVector<Value> streamSlice = RunTimeSlice(plan.stream.getArrayRef());
  BindingTimes times;
  Step step;
  Operation *openUntil = nullptr; // the last user of what depends on statistics so far
  for (Operation &op : function.getBody().front()) {
    SmallVector<compress::RemarkOp> remarks;
    op.walk([&](compress::RemarkOp remark) { remarks.push_back(remark); });
    auto bound = weightsOf.find(&op);
    if (plan.calibrates(&op) || !remarks.empty() || bound != weightsOf.end()) {
      step.ops.push_back(&op);
      plan.ops.insert(&op);
      step.observes |= observes(&op);
      llvm::append_range(step.remarks, remarks);
      if (bound != weightsOf.end())
        llvm::append_range(step.weights, bound->second);
    }
    for (Value result : op.getResults())
      if (times.get(result) == BindingTime::Calibration)
        for (Operation *user : result.getUsers())
          if (Operation *top = TopLevel(user); !openUntil || openUntil->isBeforeInBlock(top))
            openUntil = top;
    if (step.ops.empty() || (openUntil && op.isBeforeInBlock(openUntil)))
      continue;
    findResults(step, streamSlice, times);
    for (Value value : plan.stream)
      if (!op.isBeforeInBlock(value.getDefiningOp()) &&
          UsedBehind(value, &op, [&](Operation *user) { return plan.calibrates(user); }))
        step.states.push_back(value);
    plan.steps.push_back(std::move(step));
    step = {};
  }
  return plan;
}

StatusOr<Digest> ResultsKey(const Step &step, ValueDigests &digests) {
  Hasher hasher;
  for (const Step::Result &result : step.results) {
    std::string type;
    llvm::raw_string_ostream(type) << result.type;
    COMPRESSC_ASSIGN_OR_RETURN(Digest digest, digests.get(result.value));
    hasher.add(type).add(digest);
  }
  return hasher.finish();
}

StatusOr<Digest> StatesKey(const Step &step, ValueDigests &digests) {
  Hasher hasher;
  for (Value value : step.states) {
    COMPRESSC_ASSIGN_OR_RETURN(Digest digest, digests.get(value));
    hasher.add("state").add(digest);
  }
  return hasher.finish();
}

} // namespace compressc
