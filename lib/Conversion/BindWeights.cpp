// Replace each weight expression that the deployed model needs by a parameter.
#include "compressc/Conversion/Passes.h"
#include "compressc/Transforms/Dataflow.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace compressc {
#define GEN_PASS_DEF_BINDWEIGHTS
#include "compressc/Conversion/Passes.h.inc"

/// Whether two weight expressions compute the same, whatever their uses are called.
static bool equivalent(Value a, Value b) {
  if (a == b)
    return true;
  Operation *x = a.getDefiningOp(), *y = b.getDefiningOp();
  if (!x || !y || a.getType() != b.getType() || x->getName() != y->getName() ||
      x->getNumOperands() != y->getNumOperands() || x->getNumRegions() ||
      cast<OpResult>(a).getResultNumber() != cast<OpResult>(b).getResultNumber())
    return false;
  if (auto load = dyn_cast<lm::LoadParamOp>(x))
    return load.getParam() == cast<lm::LoadParamOp>(y).getParam();
  return x->getAttrDictionary() == y->getAttrDictionary() &&
         llvm::all_of(llvm::zip(x->getOperands(), y->getOperands()),
                      [](auto pair) { return equivalent(std::get<0>(pair), std::get<1>(pair)); });
}

FailureOr<std::vector<BoundWeight>> FindBoundWeights(ModuleOp module) {
  llvm::MapVector<Value, BoundWeight> found;
  llvm::StringMap<Value> names;
  llvm::MapVector<StringRef, Operation *> unchanged; // parameters that are read as they are, and by what
  Type checkpoint = CheckpointType(module);
  WalkResult open = module.walk([](compress::ChooseOp choose) {
    choose.emitError() << choose.getPass() << " chooses by calibration data; that must be resolved before";
    return WalkResult::interrupt();
  });
  if (open.wasInterrupted())
    return failure();
  for (func::FuncOp function : module.getOps<func::FuncOp>()) {
    if (function.isExternal())
      continue;
    BindingTimes times;
    llvm::SetVector<Operation *> deployed = DeployedOps(function);
    WalkResult result = function.walk([&](Operation *op) {
      if (!deployed.contains(op) || isa<compress::CalibratedOp, lm::BlockOp>(op))
        return WalkResult::advance();
      for (OpOperand &operand : op->getOpOperands()) {
        Value value = operand.get();
        if (times.get(value) == BindingTime::Run)
          continue;
        if (auto load = value.getDefiningOp<lm::LoadParamOp>()) {
          unchanged.try_emplace(load.getParam(), op);
          continue;
        }
        OpOperand *use = &operand;
        if (IsQuantized(value) || value.getDefiningOp<compress::OffsetOp>()) {
          // The codes, or the difference, are stored; what they stand for stays an expression.
          use = &value.getDefiningOp()->getOpOperand(0);
          value = use->get();
          if (auto load = value.getDefiningOp<lm::LoadParamOp>()) {
            unchanged.try_emplace(load.getParam(), op);
            continue;
          }
        }
        // A tied parameter that its uses rewrite alike stays tied.
        if (auto load = RootParam(value); load && !found.contains(value))
          for (StringRef name : {load.getParam(), load.exportName()})
            if (auto tied = names.find(name); tied != names.end() && equivalent(tied->second, value))
              value = tied->second;
        BoundWeight &weight = found[value];
        if (!llvm::is_contained(weight.uses, use))
          weight.uses.push_back(use);
        if (weight.value)
          continue;
        weight.value = value;
        weight.name = ExportName(value);
        auto tensor = dyn_cast<RankedTensorType>(value.getType());
        weight.storedType = tensor ? Type(tensor.clone(checkpoint)) : value.getType();
        if (weight.name.empty()) {
          op->emitError("a weight expression that starts at no parameter has no name to be stored under");
          return WalkResult::interrupt();
        }
        if (!names.try_emplace(weight.name, value).second) {
          op->emitError() << "two different rewrites of " << weight.name
                          << " are needed; a tied parameter needs an alias for each use";
          return WalkResult::interrupt();
        }
      }
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      return failure();
  }
  for (auto [name, op] : unchanged)
    if (names.contains(name)) {
      op->emitError() << name << " is needed both as it is and rewritten; a tied parameter needs an "
                      << "alias for each use";
      return failure();
    }
  std::vector<BoundWeight> weights;
  for (auto &entry : found)
    weights.push_back(std::move(entry.second));
  return weights;
}

void BindWeights(ModuleOp module, ArrayRef<BoundWeight> weights) {
  SmallVector<compress::RemarkOp> remarks;
  module.walk([&](compress::RemarkOp remark) { remarks.push_back(remark); });
  for (compress::RemarkOp remark : remarks)
    remark.erase();

  if (weights.empty())
    return;
  SymbolTable symbols(module);
  OpBuilder builder(module.getContext());
  auto firstFunction = *module.getOps<func::FuncOp>().begin();
  // The original of a rewritten parameter may still be read (by calibration): it steps aside.
  for (const BoundWeight &weight : weights) {
    auto original = symbols.lookup<lm::ParamOp>(weight.name);
    if (!original)
      continue;
    if (!original.getKey())
      original.setKey(weight.name);
    std::string aside = weight.name + ".original";
    if (failed(symbols.rename(original, aside)))
      return; // cannot happen: the name is free and every use is in this module
  }
  for (const BoundWeight &weight : weights) {
    builder.setInsertionPoint(firstFunction);
    auto param = lm::ParamOp::create(builder, weight.value.getLoc(), weight.name, StringAttr(), StringAttr(),
                                     FloatAttr(), weight.storedType);
    symbols.insert(param);
    for (OpOperand *use : weight.uses) {
      builder.setInsertionPoint(use->getOwner());
      use->set(lm::LoadParamOp::create(builder, use->getOwner()->getLoc(), weight.storedType,
                                       FlatSymbolRefAttr::get(param.getSymNameAttr()), StringAttr()));
    }
  }
}

namespace {

struct BindWeightsPass : impl::BindWeightsBase<BindWeightsPass> {
  using BindWeightsBase::BindWeightsBase;

  void runOnOperation() override {
    auto weights = FindBoundWeights(getOperation());
    if (failed(weights))
      return signalPassFailure();
    BindWeights(getOperation(), *weights);
  }
};

} // namespace

} // namespace compressc
