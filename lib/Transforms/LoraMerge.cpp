// Add a LoRA adapter's updates to the weights that it was trained for: the importer knows which parameters these are, here
// they are followed to the linears that read them.
#include "compressc/Import/Adapter.h"
#include "compressc/Transforms/Dataflow.h"
#include "compressc/Transforms/Passes.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace compressc {
#define GEN_PASS_DEF_LORAMERGE
#include "compressc/Transforms/Passes.h.inc"

namespace {

/// The parameter as the model has it, beneath all that compression made of it: above the load stands only
/// what import needs to read its file.
Value baseWeight(Value weight) {
  SmallVector<Value> chain; // from the top down to the load
  for (Value value = weight; value;) {
    chain.push_back(value);
    Operation *op = value.getDefiningOp();
    value = op && op->getNumOperands() ? op->getOperand(0) : Value();
  }
  Value base = chain.pop_back_val();
  for (Value above : llvm::reverse(chain)) {
    if (!isa<compress::ConvertOp, compress::TransposeOp, compress::UnpermuteRowsOp, compress::DequantizeOp>(
            above.getDefiningOp()) ||
        IsQuantized(above))
      break;
    base = above;
  }
  return base;
}

struct LoraMerge : impl::LoraMergeBase<LoraMerge> {
  using LoraMergeBase::LoraMergeBase;

  void runOnOperation() override {
    if (failed(merge()))
      signalPassFailure();
  }

  LogicalResult merge() {
    ModuleOp module = getOperation();
    if (trainedOn != "base" && trainedOn != "current")
      return module.emitError() << "lora-merge: trained-on is base or current, not '" << trainedOn << "'";
    if (adapter.empty())
      return module.emitError("lora-merge: give the adapter's directory: lora-merge{adapter=DIR}");
    auto updates = ImportAdapter(module, adapter);
    if (!updates.ok())
      return module.emitError() << "lora-merge: " << std::string(updates.status().message());

    Uses uses = findUses();
    SmallVector<std::pair<AdapterUpdate *, Value>> merges;
    size_t dropped = 0;
    for (AdapterUpdate &update : *updates) {
      StringRef parameter = update.parameter.getSymName();
      for (Value weight : uses.weights[parameter]) {
        if (failed(check(update, weight)))
          return failure();
        merges.emplace_back(&update, weight);
      }
      if (!uses.weights[parameter].empty())
        continue;
      if (uses.others.contains(parameter))
        return module.emitError() << "lora-merge: " << adapter << " adapts " << update.module
                                  << ", which is no linear's weight; it was trained for another model";
      ++dropped; // what nothing reads any more was a dropped layer's
    }
    if (merges.empty())
      return module.emitError() << "lora-merge: all " << dropped << " updates of " << adapter
                                << " are for layers that were dropped; leave the adapter out";
    requantised = 0;
    for (auto [update, weight] : merges)
      add(*update, weight);
    if (dropped)
      module.emitRemark() << "lora-merge: " << dropped << " of " << updates->size() << " updates of " << adapter
                          << " are for layers that were dropped";
    if (requantised)
      module.emitWarning() << "lora-merge: " << requantised << " weights are quantised already and are rounded a second "
                           << "time; merge before quantising, or use trained-on=base";
    return success();
  }

  /// What the deployed program reads of each parameter.
  struct Uses {
    llvm::StringMap<llvm::SetVector<Value>> weights; // that linears read, where an update is added
    llvm::StringSet<> others;                        // parameters that something else reads
  };

  Uses findUses() {
    Uses uses;
    for (func::FuncOp function : ModelFunctions(getOperation())) {
      BindingTimes times;
      for (Operation *op : DeployedOps(function))
        for (Value operand : op->getOperands()) {
          auto load = times.get(operand) == BindingTime::Run ? lm::LoadParamOp() : RootParam(operand);
          if (!load)
            continue;
          if (auto linear = dyn_cast<lm::LinearOp>(op); linear && operand == linear.getWeight())
            uses.weights[load.getParam()].insert(trainedOn == "base" ? baseWeight(operand) : operand);
          else
            uses.others.insert(load.getParam());
        }
    }
    return uses;
  }

  LogicalResult check(AdapterUpdate &update, Value weight) {
    auto error = [&] { return getOperation().emitError() << "lora-merge: " << adapter << " adapts " << update.module; };
    if (RootParam(weight).getAlias())
      return error() << ", whose weight is the embedding's too; this is not supported";
    auto type = cast<RankedTensorType>(weight.getType());
    int64_t rows = cast<RankedTensorType>(update.b.getType()).getDimSize(0);
    int64_t columns = cast<RankedTensorType>(update.a.getType()).getDimSize(1);
    if (type.getShape() != ArrayRef<int64_t>{rows, columns})
      return error() << " as " << rows << "x" << columns << ", but the model's is " << type.getDimSize(0) << "x"
                     << type.getDimSize(1) << "; it was trained for another model";
    return success();
  }

  void add(AdapterUpdate &update, Value weight) {
    Operation *op = weight.getDefiningOp();
    auto type = cast<RankedTensorType>(weight.getType());
    OpBuilder builder(op->getContext());
    builder.setInsertionPointAfter(op);
    Location loc = op->getLoc();
    auto load = [&](StringRef name, lm::ParamOp factor) {
      return lm::LoadParamOp::create(builder, Named(loc, name), factor.getType(), factor.getSymName(), StringAttr());
    };
    Value a = load("lora_a", update.a), b = load("lora_b", update.b);
    auto f32 = builder.getF32Type();
    auto merged = compress::LoraMergeOp::create(builder, Named(loc, "merged"), type.clone(f32),
                                                RankedTensorType::get({1}, f32), weight, a, b,
                                                llvm::APFloat(update.scale));
    compress::RemarkOp::create(builder, loc, builder.getStringAttr(getArgument()),
                               builder.getStrArrayAttr({ExportName(weight)}),
                               builder.getStrArrayAttr({"relative_change"}), merged.getChange());
    Value result = merged.getResult();
    if (IsQuantized(weight)) {
      ++requantised;
      Type packed = op->getOperand(0).getType();
      auto codes = compress::QuantizeOp::create(builder, Named(loc, "codes"), packed, result);
      result = compress::DequantizeOp::create(builder, Named(loc, "values"), type, codes);
    }
    for (OpOperand &use : llvm::make_early_inc_range(weight.getUses()))
      if (use.getOwner() != merged && (trainedOn == "base" || isa<lm::LinearOp>(use.getOwner())))
        use.set(result);
  }

  unsigned requantised = 0;
};

} // namespace
} // namespace compressc
