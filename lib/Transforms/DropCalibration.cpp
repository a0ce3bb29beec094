// Forget statistics: what is left computes the same.
#include "compressc/Transforms/Passes.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace compressc {
#define GEN_PASS_DEF_DROPCALIBRATION
#include "compressc/Transforms/Passes.h.inc"

namespace {

struct DropCalibration : impl::DropCalibrationBase<DropCalibration> {
  void runOnOperation() override {
    getOperation().walk([](compress::CalibratedOp op) {
      op.getResult().replaceAllUsesWith(op.getInput());
      op.erase();
    });
    // Removes observations, and the copies of layers that only they needed.
    RewritePatternSet patterns(&getContext());
    lm::BlockOp::getCanonicalizationPatterns(patterns, &getContext());
    // A copy of a layer dies when the next one has: as many rounds as layers may be needed.
    GreedyRewriteConfig config;
    config.setMaxIterations(GreedyRewriteConfig::kNoLimit);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns), config)))
      signalPassFailure();
  }
};

} // namespace
} // namespace compressc
