// Questions that passes ask of the graph.
#include "compressc/Transforms/Dataflow.h"
#include "dialects/Exec/Storage.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace compressc {

bool IsObservation(Operation *op) {
  const KernelRow *row = KernelRowOf(op);
  return row && row->accumulates;
}

BindingTime BindingTimes::get(Value value) {
  if (auto found = known.find(value); found != known.end())
    return found->second;
  BindingTime time = BindingTime::Weight;
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    auto block = dyn_cast<lm::BlockOp>(argument.getOwner()->getParentOp());
    time = block ? get(block.getInputs()[argument.getArgNumber()]) : BindingTime::Run;
  } else {
    Operation *op = value.getDefiningOp();
    if (IsObservation(op))
      time = BindingTime::Calibration;
    else if (isa<lm::CacheOp>(op))
      time = BindingTime::Run;
    else if (auto block = dyn_cast<lm::BlockOp>(op))
      time = get(block.yield().getValues()[cast<OpResult>(value).getResultNumber()]);
    else
      for (Value operand : op->getOperands())
        time = std::max(time, get(operand));
  }
  known[value] = time;
  return time;
}

llvm::SetVector<Value> RunTimeSlice(ArrayRef<Value> outputs) {
  BindingTimes times;
  llvm::SetVector<Value> slice;
  SmallVector<Value> work(outputs);
  while (!work.empty()) {
    Value value = work.pop_back_val();
    if (times.get(value) != BindingTime::Run || !slice.insert(value))
      continue;
    Operation *op = value.getDefiningOp();
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      if (auto block = dyn_cast<lm::BlockOp>(argument.getOwner()->getParentOp()))
        work.push_back(block.getInputs()[argument.getArgNumber()]);
    } else if (auto block = dyn_cast<lm::BlockOp>(op)) {
      work.push_back(block.yield().getValues()[cast<OpResult>(value).getResultNumber()]);
    } else {
      llvm::append_range(work, op->getOperands());
    }
  }
  return slice;
}

llvm::SetVector<Operation *> DeployedOps(func::FuncOp function) {
  SmallVector<Value> results(function.getBody().front().getTerminator()->getOperands());
  llvm::DenseSet<Operation *> needed;
  for (Value value : RunTimeSlice(results))
    if (Operation *op = value.getDefiningOp())
      needed.insert(op);
  // In program order.
  llvm::SetVector<Operation *> ordered;
  function.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (needed.contains(op))
      ordered.insert(op);
  });
  return ordered;
}

std::vector<lm::BlockOp> DeployedBlocks(func::FuncOp function) {
  llvm::SetVector<Operation *> needed = DeployedOps(function);
  std::vector<lm::BlockOp> blocks;
  for (auto block : function.getOps<lm::BlockOp>())
    if (needed.contains(block))
      blocks.push_back(block);
  return blocks;
}

std::vector<lm::LinearOp> HeadLinears(func::FuncOp function) {
  std::vector<lm::LinearOp> heads;
  for (Value result : function.getBody().front().getTerminator()->getOperands())
    if (auto head = result.getDefiningOp<lm::LinearOp>(); head && !llvm::is_contained(heads, head))
      heads.push_back(head);
  return heads;
}

std::vector<func::FuncOp> ModelFunctions(ModuleOp module) {
  std::vector<func::FuncOp> functions;
  for (auto function : module.getOps<func::FuncOp>())
    if (!function.isExternal() && !function.getOps<lm::BlockOp>().empty())
      functions.push_back(function);
  return functions;
}

lm::LoadParamOp RootParam(Value weight) {
  while (Operation *op = weight.getDefiningOp()) {
    if (auto load = dyn_cast<lm::LoadParamOp>(op))
      return load;
    if (op->getNumOperands() == 0)
      break;
    weight = op->getOperand(0);
  }
  return {};
}

std::string ExportName(Value weight) {
  auto load = RootParam(weight);
  if (!load)
    return {};
  StringRef module = load.exportName();
  StringRef extension = module.consume_back(".weight") ? ".weight" : "";
  std::string factors;
  for (Operation *op = weight.getDefiningOp(); op != load; op = weight.getDefiningOp()) {
    if (auto svd = dyn_cast<compress::SVDOp>(op))
      factors = (weight == svd.getRight() ? ".0" : ".1") + factors;
    weight = op->getOperand(0);
  }
  return (module + factors + extension).str();
}

std::string ModuleName(Value weight) {
  std::string name = ExportName(weight);
  StringRef module(name);
  module.consume_back(".weight");
  return module.str();
}

bool IsQuantized(Value weight) {
  auto dequantize = weight.getDefiningOp<compress::DequantizeOp>();
  return dequantize && isa<compress::PackedType>(dequantize.getInput().getType());
}

bool FeedsRotation(lm::LinearOp linear) {
  SmallVector<Value> work{linear.getResult()};
  while (!work.empty()) {
    Value value = work.pop_back_val();
    for (Operation *user : value.getUsers()) {
      if (isa<lm::RotaryEmbeddingOp>(user))
        return true;
      if (isa<lm::RMSNormOp, lm::LayerNormOp, compress::CalibratedOp>(user))
        work.push_back(user->getResult(0));
    }
  }
  return false;
}

Location Named(Location location, StringRef name) {
  if (auto named = dyn_cast<NameLoc>(location))
    location = named.getChildLoc();
  return NameLoc::get(StringAttr::get(location.getContext(), name), location);
}

Type CheckpointType(ModuleOp module) {
  if (auto type = module->getAttrOfType<TypeAttr>("lm.checkpoint_type"))
    return type.getValue();
  return Float16Type::get(module.getContext());
}

FailureOr<NameFilter> NameFilter::Create(Operation *op, ArrayRef<std::string> patterns) {
  NameFilter filter;
  for (const std::string &pattern : patterns) {
    StringRef text(pattern);
    if (!text.consume_front("re:")) {
      text.consume_back(".weight");
      filter.exact.push_back(text.str());
      continue;
    }
    llvm::Regex expression(("^(" + text + ")").str());
    std::string reason;
    if (!expression.isValid(reason))
      return op->emitError() << "ignore: '" << pattern << "' is not a regular expression: " << reason;
    filter.expressions.push_back(std::move(expression));
  }
  return filter;
}

bool NameFilter::matches(StringRef name) const {
  return llvm::is_contained(exact, name) ||
         llvm::any_of(expressions, [&](const llvm::Regex &expression) { return expression.match(name); });
}

} // namespace compressc
