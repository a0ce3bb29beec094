// Add a LoRA adapter's updates to the weights that it was trained for.
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
    auto opened = OpenAdapter(adapter);
    if (!opened.ok())
      return module.emitError() << "lora-merge: " << std::string(opened.status().message());
    llvm::StringMap<SmallVector<lm::LinearOp>> linears;
    for (func::FuncOp function : ModelFunctions(module))
      for (Operation *op : DeployedOps(function))
        if (auto linear = dyn_cast<lm::LinearOp>(op))
          linears[ModuleName(linear.getWeight())].push_back(linear);
    llvm::StringSet<> read;
    module.walk([&](lm::LoadParamOp load) { read.insert(load.getParam()); });
    unsigned dropped = 0;
    requantised = 0;
    SymbolTable symbols(module);
    for (const AdapterUpdate &update : opened->updates) {
      auto found = linears.find(update.module);
      if (found == linears.end()) {
        // A parameter that nothing reads any more was a dropped layer's.
        std::string parameter = update.module + ".weight";
        if (!symbols.lookup(parameter) || read.contains(parameter))
          return module.emitError() << "lora-merge: " << adapter << " adapts " << update.module
                                    << ", but the model has no linear of this name; it was trained for another model";
        ++dropped;
        continue;
      }
      llvm::SetVector<Value> weights; // once each, however many read them
      for (lm::LinearOp linear : found->second)
        weights.insert(trainedOn == "base" ? baseWeight(linear.getWeight()) : linear.getWeight());
      for (Value weight : weights)
        if (failed(mergeInto(weight, update, opened->file, symbols)))
          return failure();
    }
    if (dropped)
      module.emitWarning() << "lora-merge: " << dropped << " of " << opened->updates.size() << " updates of " << adapter
                           << " are for layers that were dropped";
    if (requantised)
      module.emitWarning() << "lora-merge: " << requantised << " weights are quantised already and are rounded a second "
                           << "time; merge before quantising, or use trained-on=base";
    return success();
  }

  Value load(OpBuilder &builder, Location loc, SymbolTable &symbols, StringRef file, StringRef name, StringRef key,
             RankedTensorType type) {
    auto param = symbols.lookup<lm::ParamOp>(name);
    if (!param || param.getFile() != file || param.getKey() != key) {
      OpBuilder top(*getOperation().getOps<func::FuncOp>().begin());
      param = lm::ParamOp::create(top, loc, name, top.getStringAttr(file), top.getStringAttr(key), FloatAttr(), type);
      symbols.insert(param); // under another name if an earlier adapter has this one
    }
    return lm::LoadParamOp::create(builder, loc, type, FlatSymbolRefAttr::get(param.getSymNameAttr()), StringAttr());
  }

  LogicalResult mergeInto(Value weight, const AdapterUpdate &update, const std::string &file, SymbolTable &symbols) {
    Operation *op = weight.getDefiningOp();
    auto type = cast<RankedTensorType>(weight.getType());
    if (type.getShape() != ArrayRef<int64_t>{update.rows, update.columns})
      return getOperation().emitError() << "lora-merge: " << adapter << " adapts " << update.module << " as "
                                        << update.rows << "x" << update.columns << ", but the model's is "
                                        << type.getDimSize(0) << "x" << type.getDimSize(1)
                                        << "; it was trained for another model";
    if (RootParam(weight).getAlias())
      return getOperation().emitError() << "lora-merge: " << adapter << " adapts " << update.module
                                        << ", which shares its weight with the embedding; this is not supported";
    OpBuilder builder(op->getContext());
    builder.setInsertionPointAfter(op);
    Location loc = op->getLoc();
    Type element = update.type == DType::F32    ? Type(builder.getF32Type())
                   : update.type == DType::BF16 ? Type(builder.getBF16Type())
                                                : Type(builder.getF16Type());
    Value a = load(builder, Named(loc, "lora_a"), symbols, file, update.module + ".lora_A.weight", update.a,
                   RankedTensorType::get({update.rank, update.columns}, element));
    Value b = load(builder, Named(loc, "lora_b"), symbols, file, update.module + ".lora_B.weight", update.b,
                   RankedTensorType::get({update.rows, update.rank}, element));
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
    return success();
  }

  unsigned requantised = 0;
};

} // namespace
} // namespace compressc
