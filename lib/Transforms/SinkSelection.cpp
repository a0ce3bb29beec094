// Compute only the rows whose logits are asked for.
#include "compressc/Transforms/Passes.h"
#include "dialects/Exec/Storage.h"
#include "dialects/LM/LM.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace compressc {
#define GEN_PASS_DEF_SINKSELECTION
#include "compressc/Transforms/Passes.h.inc"

namespace {

struct SinkSelect : OpRewritePattern<lm::SelectRowsOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(lm::SelectRowsOp select, PatternRewriter &rewriter) const override {
    Operation *maker = select.getInput().getDefiningOp();
    if (!maker)
      return failure();
    // Equal selections are one selection.
    for (Operation *user : select.getInput().getUsers()) {
      auto other = dyn_cast<lm::SelectRowsOp>(user);
      if (!other || other.getBatch() != select.getBatch())
        return failure();
      if (other != select && other->getBlock() == select->getBlock()) {
        if (!other->isBeforeInBlock(select))
          rewriter.moveOpBefore(other, select);
        rewriter.replaceOp(select, other);
        return success();
      }
      if (other != select)
        return failure();
    }
    if (auto block = dyn_cast<lm::BlockOp>(maker))
      return intoBlock(select, block, rewriter);
    return aboveOp(select, maker, rewriter);
  }

private:
  Value selected(lm::SelectRowsOp select, Value input, PatternRewriter &rewriter) const {
    return lm::SelectRowsOp::create(rewriter, select.getLoc(), input.getType(), input, select.getBatch());
  }

  /// The layer's result is selected where it is made.
  LogicalResult intoBlock(lm::SelectRowsOp select, lm::BlockOp block, PatternRewriter &rewriter) const {
    unsigned index = cast<OpResult>(select.getInput()).getResultNumber();
    lm::YieldOp yield = block.yield();
    rewriter.setInsertionPoint(yield);
    Value value = selected(select, yield.getValues()[index], rewriter);
    rewriter.modifyOpInPlace(yield, [&] { yield.setOperand(index, value); });
    rewriter.replaceOp(select, block.getResult(index));
    return success();
  }

  static bool isRowwise(Operation *op) {
    const KernelRow *row = KernelRowOf(op);
    return isa<arith::AddFOp, arith::MulFOp>(op) || (row && row->rowwise && op->getNumResults() == 1);
  }

  LogicalResult aboveOp(lm::SelectRowsOp select, Operation *maker, PatternRewriter &rewriter) const {
    auto attention = dyn_cast<lm::AttentionOp>(maker);
    auto rotation = dyn_cast<lm::RotaryEmbeddingOp>(maker);
    if (!attention && !rotation && !isRowwise(maker))
      return failure();
    if (attention ? attention.getSelected() : rotation && rotation.getSelected())
      return failure();
    // Every operand of these row-wise operations that has rows has one row for each of the result's; of
    // attention that is the query.
    rewriter.setInsertionPoint(maker);
    IRMapping mapping;
    for (auto [index, operand] : llvm::enumerate(maker->getOperands())) {
      auto tensor = dyn_cast<RankedTensorType>(operand.getType());
      if (tensor && !tensor.hasStaticShape() && !(attention && index > 0) && !mapping.contains(operand))
        mapping.map(operand, selected(select, operand, rewriter));
    }
    Operation *smaller = rewriter.clone(*maker, mapping);
    // A query may be key or value as well: those keep all rows.
    if (attention)
      for (unsigned index : {1u, 2u})
        smaller->setOperand(index, maker->getOperand(index));
    if (auto op = dyn_cast<lm::AttentionOp>(smaller))
      op.setSelected(true);
    if (auto op = dyn_cast<lm::RotaryEmbeddingOp>(smaller))
      op.setSelected(true);
    for (unsigned index = 1; index < maker->getNumResults(); ++index)
      rewriter.replaceAllUsesWith(maker->getResult(index), smaller->getResult(index));
    rewriter.replaceOp(select, smaller->getResult(0));
    return success();
  }
};

struct SinkSelection : impl::SinkSelectionBase<SinkSelection> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<SinkSelect>(&getContext());
    GreedyRewriteConfig config;
    config.setMaxIterations(GreedyRewriteConfig::kNoLimit);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns), config)))
      signalPassFailure();
  }
};

} // namespace
} // namespace compressc
