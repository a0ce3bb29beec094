// Rotate queries and keys inside the attention that reads them.
#include "compressc/Transforms/Passes.h"
#include "dialects/LM/LM.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace compressc {
#define GEN_PASS_DEF_FUSEROTARY
#include "compressc/Transforms/Passes.h.inc"

namespace {

struct FuseRotation : OpRewritePattern<lm::AttentionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(lm::AttentionOp op, PatternRewriter &rewriter) const override {
    auto query = op.getQuery().getDefiningOp<lm::RotaryEmbeddingOp>();
    auto key = op.getKey().getDefiningOp<lm::RotaryEmbeddingOp>();
    if (op.getRope() || !query || !key || query.getSelected() != op.getSelected() || key.getSelected())
      return failure();
    for (lm::RotaryEmbeddingOp rotary : {query, key})
      if (!rotary->hasOneUse() || rotary->getBlock() != op->getBlock() || rotary.getBatch() != op.getBatch() ||
          int64_t(rotary.getHeadDim()) != op.getCache().getType().getDim())
        return failure();
    if (query.getRope() != key.getRope() || bool(query.getNorm()) != bool(key.getNorm()) ||
        query.getEpsilonAttr() != key.getEpsilonAttr())
      return failure();
    rewriter.modifyOpInPlace(op, [&] {
      op.getQueryMutable().assign(query.getInput());
      op.getKeyMutable().assign(key.getInput());
      op.setRopeAttr(query.getRope());
      if (query.getNorm())
        op.getNormsMutable().assign({query.getNorm(), key.getNorm()});
      op.setEpsilonAttr(query.getEpsilonAttr());
    });
    rewriter.eraseOp(query);
    rewriter.eraseOp(key);
    return success();
  }
};

struct FuseRotary : impl::FuseRotaryBase<FuseRotary> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FuseRotation>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
} // namespace compressc
