// Do norms, residual sums and gated activations inside the linears next to them, and norms of heads inside the
// rotary embedding.
#include "compressc/Transforms/Passes.h"
#include "dialects/LM/LM.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace compressc {
#define GEN_PASS_DEF_FUSEEPILOGUES
#include "compressc/Transforms/Passes.h.inc"

namespace {

/// What a linear or a fused linear is made of, to make another one of it.
struct Parts {
  Value input, norm, residual;
  SmallVector<Value> weights, biases;
  int64_t biased = 0;
  FloatAttr epsilon;
  lm::ActivationAttr gate;
  lm::ComputeAttr compute;
  bool answers = false;

  static std::optional<Parts> of(Operation *op) {
    Parts parts;
    if (auto linear = dyn_cast_if_present<lm::LinearOp>(op)) {
      parts.input = linear.getInput();
      parts.weights = {linear.getWeight()};
      parts.compute = linear.getComputeAttr();
      parts.answers = linear.getAnswers();
      if (linear.getBias()) {
        parts.biases = {linear.getBias()};
        parts.biased = 1;
      }
      return parts;
    }
    auto fused = dyn_cast_if_present<lm::FusedLinearOp>(op);
    if (!fused)
      return std::nullopt;
    parts.input = fused.getInput();
    parts.norm = fused.getNorm();
    parts.residual = fused.getResidual();
    parts.weights = llvm::to_vector(fused.getWeights());
    parts.biases = llvm::to_vector(fused.getBiases());
    parts.biased = fused.getBiased();
    parts.epsilon = fused.getEpsilonAttr();
    parts.gate = fused.getGateAttr();
    parts.compute = fused.getComputeAttr();
    parts.answers = fused.getAnswers();
    return parts;
  }

  lm::FusedLinearOp create(OpBuilder &builder, Location location, TypeRange types) const {
    return lm::FusedLinearOp::create(builder, location, types, input, norm, weights, biases, residual, biased,
                                     epsilon, gate, compute, answers);
  }
};

/// rms_norm -> linear, where nothing else reads the norm.
struct FuseNorm : RewritePattern {
  FuseNorm(MLIRContext *context) : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}

  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    auto parts = Parts::of(op);
    auto norm = parts ? parts->input.getDefiningOp<lm::RMSNormOp>() : lm::RMSNormOp();
    if (!norm || parts->norm || !norm->hasOneUse() || norm->getBlock() != op->getBlock())
      return failure();
    // A norm of each head is not one of the row.
    if (cast<RankedTensorType>(norm.getWeight().getType()).getDimSize(0) !=
        cast<RankedTensorType>(norm.getInput().getType()).getDimSize(1))
      return failure();
    parts->input = norm.getInput();
    parts->norm = norm.getWeight();
    parts->epsilon = norm.getEpsilonAttr();
    rewriter.replaceOp(op, parts->create(rewriter, op->getLoc(), op->getResultTypes()));
    rewriter.eraseOp(norm);
    return success();
  }
};

/// linear -> sum with a value that is there already.
struct FuseResidual : OpRewritePattern<arith::AddFOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::AddFOp add, PatternRewriter &rewriter) const override {
    for (auto [value, other] : {std::pair(add.getRhs(), add.getLhs()), std::pair(add.getLhs(), add.getRhs())}) {
      auto parts = Parts::of(value.getDefiningOp());
      if (!parts || parts->weights.size() != 1 || parts->residual || parts->answers || !value.hasOneUse() || value == other ||
          value.getDefiningOp()->getBlock() != add->getBlock())
        continue;
      parts->residual = other;
      Operation *linear = value.getDefiningOp();
      rewriter.replaceOp(add, parts->create(rewriter, add.getLoc(), add.getType()));
      rewriter.eraseOp(linear);
      return success();
    }
    return failure();
  }
};

/// gate and up of one merged linear -> gated activation.
struct FuseGate : OpRewritePattern<lm::GatedActivationOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(lm::GatedActivationOp op, PatternRewriter &rewriter) const override {
    auto linear = op.getGate().getDefiningOp<lm::FusedLinearOp>();
    if (!linear || op.getUp().getDefiningOp() != linear || linear.getNumResults() != 2 ||
        op.getGate() == op.getUp() || !op.getGate().hasOneUse() || !op.getUp().hasOneUse() ||
        linear->getBlock() != op->getBlock())
      return failure();
    Parts parts = *Parts::of(linear);
    if (op.getGate() != linear.getResult(0)) {
      std::swap(parts.weights[0], parts.weights[1]);
      if (parts.biased == 3)
        std::swap(parts.biases[0], parts.biases[1]);
      parts.biased = (parts.biased >> 1 & 1) | (parts.biased & 1) << 1;
    }
    parts.gate = lm::ActivationAttr::get(getContext(), op.getKind());
    rewriter.replaceOp(op, parts.create(rewriter, op.getLoc(), op.getType()));
    rewriter.eraseOp(linear);
    return success();
  }
};

/// rms_norm of each head -> rotary embedding.
struct FuseHeadNorm : OpRewritePattern<lm::RotaryEmbeddingOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(lm::RotaryEmbeddingOp op, PatternRewriter &rewriter) const override {
    auto norm = op.getInput().getDefiningOp<lm::RMSNormOp>();
    if (!norm || op.getNorm() || !norm->hasOneUse() || norm->getBlock() != op->getBlock() ||
        cast<RankedTensorType>(norm.getWeight().getType()).getDimSize(0) != int64_t(op.getHeadDim()))
      return failure();
    rewriter.modifyOpInPlace(op, [&] {
      op.getInputMutable().assign(norm.getInput());
      op.getNormMutable().assign(norm.getWeight());
      op.setEpsilonAttr(norm.getEpsilonAttr());
    });
    rewriter.eraseOp(norm);
    return success();
  }
};

struct FuseEpilogues : impl::FuseEpiloguesBase<FuseEpilogues> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FuseNorm, FuseResidual, FuseGate, FuseHeadNorm>(&getContext());
    GreedyRewriteConfig config;
    config.setMaxIterations(GreedyRewriteConfig::kNoLimit);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns), config)))
      signalPassFailure();
  }
};

} // namespace
} // namespace compressc
