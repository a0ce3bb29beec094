// Clamp weights to the ranges that quantise best on the calibration tokens.
#include "compressc/Transforms/Dataflow.h"
#include "compressc/Transforms/Passes.h"

using namespace mlir;

namespace compressc {
#define GEN_PASS_DEF_CLIP
#include "compressc/Transforms/Passes.h.inc"

namespace {

struct Clip : impl::ClipBase<Clip> {
  using ClipBase::ClipBase;

  void runOnOperation() override {
    auto ignored = NameFilter::Create(getOperation(), llvm::to_vector_of<std::string>(ignore));
    if (failed(ignored))
      return signalPassFailure();
    bool anyCalibrated = false, failedAny = false;
    for (func::FuncOp function : ModelFunctions(getOperation()))
      for (Operation *op : DeployedOps(function)) {
        auto linear = dyn_cast<lm::LinearOp>(op);
        auto calibrated =
            linear ? linear.getInput().getDefiningOp<compress::CalibratedOp>() : compress::CalibratedOp();
        anyCalibrated |= bool(calibrated);
        if (!calibrated || IsQuantized(linear.getWeight()) ||
            ignored->matches(ModuleName(linear.getWeight())) ||
            (!clipQueryKey && FeedsRotation(linear)))
          continue;
        failedAny |= failed(clip(linear, calibrated.getStatistics()));
      }
    if (!anyCalibrated)
      getOperation().emitError("clip needs calibrated inputs: run insert-calibration before it");
    if (!anyCalibrated || failedAny)
      signalPassFailure();
  }

  LogicalResult clip(lm::LinearOp linear, Value statistics) {
    Value weight = linear.getWeight();
    auto type = cast<RankedTensorType>(weight.getType());
    if (groupSize < 1 || type.getDimSize(1) % groupSize)
      return linear.emitError() << "clip: group size " << int64_t(groupSize) << " does not divide the "
                                << type.getDimSize(1) << " columns of " << ExportName(weight)
                                << "; use a divisor such as "
                                << std::gcd(type.getDimSize(1), int64_t(128));
    OpBuilder builder(linear);
    auto f32 = builder.getF32Type();
    auto clip = compress::ClipOp::create(builder, Named(linear.getLoc(), "clipped"), type.clone(f32),
                                         RankedTensorType::get({2}, f32), weight, statistics, bits,
                                         groupSize, symmetric, CheckpointType(getOperation()));
    compress::RemarkOp::create(builder, linear.getLoc(), builder.getStringAttr("clip"),
                               builder.getStrArrayAttr({ExportName(weight)}),
                               builder.getStrArrayAttr({"error_ratio", "range_ratio"}), clip.getChoice());
    linear.getWeightMutable().assign(clip.getResult());
    return success();
  }
};

} // namespace
} // namespace compressc
