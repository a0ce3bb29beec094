// Round the decoder layers' linear weights to integers with group scales.
#include "compressc/Transforms/Dataflow.h"
#include "compressc/Transforms/Passes.h"

using namespace mlir;

namespace compressc {
#define GEN_PASS_DEF_QUANTIZE
#include "compressc/Transforms/Passes.h.inc"

namespace {

struct Quantize : impl::QuantizeBase<Quantize> {
  using QuantizeBase::QuantizeBase;

  void runOnOperation() override {
    auto ignored = NameFilter::Create(getOperation(), llvm::to_vector_of<std::string>(ignore));
    if (failed(ignored))
      return signalPassFailure();
    bool failedAny = false;
    for (func::FuncOp function : ModelFunctions(getOperation()))
      for (Operation *op : DeployedOps(function)) {
        auto linear = dyn_cast<lm::LinearOp>(op);
        // Outside the layers stands the head.
        if (!failedAny && linear && (head || isa<lm::BlockOp>(linear->getParentOp())) &&
            !IsQuantized(linear.getWeight()) && !ignored->matches(ModuleName(linear.getWeight())))
          failedAny = failed(quantize(linear));
      }
    if (failedAny)
      signalPassFailure();
  }

  LogicalResult quantize(lm::LinearOp linear) {
    Value weight = linear.getWeight();
    auto type = cast<RankedTensorType>(weight.getType());
    auto packed = compress::PackedType::getChecked(
        [&] { return linear.emitError() << "quantize: " << ExportName(weight) << ": "; },
        linear.getContext(), type.getDimSize(0), type.getDimSize(1), int64_t(bits), int64_t(groupSize), bool(symmetric),
        CheckpointType(getOperation()));
    if (!packed)
      return failure();
    OpBuilder builder(linear);
    Location loc = linear.getLoc();
    auto codes = compress::QuantizeOp::create(builder, Named(loc, "codes"), packed, weight);
    auto f32 = builder.getF32Type();
    Value values = compress::DequantizeOp::create(builder, Named(loc, "values"), type.clone(f32), codes);
    linear.getWeightMutable().assign(values);

    auto calibrated = linear.getInput().getDefiningOp<compress::CalibratedOp>();
    if (!calibrated)
      return success();
    // The error is against the weight before it was clamped for this quantiser.
    Value whole = weight;
    if (auto clip = whole.getDefiningOp<compress::ClipOp>())
      whole = clip.getWeight();
    Value error = compress::OutputErrorOp::create(builder, Named(loc, "error"), RankedTensorType::get({1}, f32), whole,
                                                  codes, calibrated.getStatistics());
    compress::RemarkOp::create(builder, loc, builder.getStringAttr("quantize"),
                               builder.getStrArrayAttr({ExportName(weight)}),
                               builder.getStrArrayAttr({"error"}), error);
    return success();
  }
};

} // namespace
} // namespace compressc
