// Activation-aware scaling: linears that share an input are multiplied by s, the input's producer is
// divided by s, and s is what the quantiser likes best.
#include "compressc/Transforms/Dataflow.h"
#include "compressc/Transforms/Passes.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;

#define DEBUG_TYPE "awq-scale"

namespace compressc {
#define GEN_PASS_DEF_AWQSCALE
#include "compressc/Transforms/Passes.h.inc"

namespace {

/// Moves what defines `value` before `point` where it comes after it in the same block.
void moveDefinitionBefore(Value value, Operation *point) {
  Operation *op = value.getDefiningOp();
  if (!op || op->getBlock() != point->getBlock() || op->isBeforeInBlock(point))
    return;
  for (Value operand : op->getOperands())
    moveDefinitionBefore(operand, point);
  op->moveBefore(point);
}

void eraseDead(Operation *op) {
  if (!op || !isOpTriviallyDead(op))
    return;
  SmallVector<Value> operands(op->getOperands());
  op->erase();
  for (Value operand : operands)
    eraseDead(operand.getDefiningOp());
}

RankedTensorType f32Like(Value weight) {
  auto type = cast<RankedTensorType>(weight.getType());
  return type.clone(Float32Type::get(weight.getContext()));
}

struct AWQScale : impl::AWQScaleBase<AWQScale> {
  using AWQScaleBase::AWQScaleBase;

  void runOnOperation() override {
    auto ignored = NameFilter::Create(getOperation(), llvm::to_vector_of<std::string>(ignore));
    if (failed(ignored))
      return signalPassFailure();
    unsigned calibratedInputs = 0;
    for (func::FuncOp function : ModelFunctions(getOperation()))
      for (lm::BlockOp block : DeployedBlocks(function))
        for (auto calibrated : llvm::make_early_inc_range(block.getBody().getOps<compress::CalibratedOp>())) {
          ++calibratedInputs;
          if (failed(scale(calibrated, *ignored)))
            return signalPassFailure();
        }
    if (!calibratedInputs) {
      getOperation().emitError("awq-scale needs calibrated inputs: run insert-calibration before it");
      signalPassFailure();
    }
  }

  /// A producer that divides its result by a vector when its weights are divided.
  struct Producer {
    Operation *op = nullptr;        // makes the activation
    lm::LinearOp linear;            // the linear whose rows are divided; null: op is a norm
    int64_t repeat = 1, headDim = 0; // query heads that share a value head
  };

  Producer findProducer(Value activation) {
    Operation *op = activation.getDefiningOp();
    int64_t width = cast<RankedTensorType>(activation.getType()).getDimSize(1);
    auto linearOf = [](Value value) {
      auto linear = value.getDefiningOp<lm::LinearOp>();
      return linear && value.hasOneUse() && !IsQuantized(linear.getWeight()) ? linear : lm::LinearOp();
    };
    if (auto norm = dyn_cast_or_null<lm::RMSNormOp>(op)) {
      if (cast<RankedTensorType>(norm.getWeight().getType()).getDimSize(0) == width)
        return {op, {}};
    } else if (isa_and_nonnull<lm::LayerNormOp>(op)) {
      return {op, {}};
    } else if (auto linear = dyn_cast_or_null<lm::LinearOp>(op)) {
      if (!IsQuantized(linear.getWeight()))
        return {op, linear};
    } else if (auto gated = dyn_cast_or_null<lm::GatedActivationOp>(op)) {
      if (auto up = linearOf(gated.getUp()))
        return {op, up};
    } else if (auto attention = dyn_cast_or_null<lm::AttentionOp>(op)) {
      if (auto value = linearOf(attention.getValue()))
        return {op, value, int64_t(attention.getNumHeads() / attention.getNumKvHeads()),
                attention.getCache().getType().getDim()};
    }
    return {};
  }

  LogicalResult scale(compress::CalibratedOp calibrated, const NameFilter &ignored) {
    Value activation = calibrated.getInput();
    SmallVector<lm::LinearOp> consumers;
    for (OpOperand &use : calibrated.getResult().getUses()) {
      auto linear = dyn_cast<lm::LinearOp>(use.getOwner());
      if (!linear || use.getOperandNumber() != 0 || IsQuantized(linear.getWeight()) ||
          ignored.matches(ModuleName(linear.getWeight())))
        return success();
      consumers.push_back(linear);
    }
    llvm::sort(consumers, [](lm::LinearOp a, lm::LinearOp b) { return a->isBeforeInBlock(b); });
    bool onlyCalibrated = llvm::all_of(activation.getUsers(), [&](Operation *user) {
      return user == calibrated || isa<compress::ObserveOp>(user);
    });
    Producer producer = findProducer(activation);
    if (consumers.empty() || !onlyCalibrated || !producer.op)
      return success();

    Location loc = calibrated.getLoc();
    OpBuilder builder(calibrated);
    SmallVector<Value> weights;
    SmallVector<Attribute> names;
    for (lm::LinearOp consumer : consumers) {
      moveDefinitionBefore(consumer.getWeight(), calibrated);
      weights.push_back(consumer.getWeight());
      names.push_back(builder.getStringAttr(ExportName(consumer.getWeight())));
    }
    int64_t width = calibrated.getStatistics().getType().getWidth();
    auto vector = [&](int64_t size) { return RankedTensorType::get({size}, builder.getF32Type()); };
    // Checked here so that the message names the weight.
    if (groupSize < 1 || width % groupSize)
      return consumers.front().emitError()
             << "awq-scale: group size " << int64_t(groupSize) << " does not divide the " << width
             << " columns of " << ExportName(weights.front()) << "; use a divisor such as "
             << std::gcd(width, int64_t(128));
    auto search = compress::AWQScaleOp::create(
        builder, Named(loc, "scale"), vector(width / producer.repeat), vector(4), calibrated.getStatistics(), weights,
        bits, groupSize, symmetric, CheckpointType(getOperation()), builder.getStringAttr(grid),
        producer.repeat, producer.headDim);
    compress::RemarkOp::create(builder, loc, builder.getStringAttr("awq-scale"),
                               builder.getArrayAttr(names),
                               builder.getStrArrayAttr({"kind", "ratio", "error", "identity_error"}),
                               search.getChoice());
    Value s = search.getScale(), expanded = s;
    if (producer.repeat > 1)
      expanded = compress::ExpandHeadsOp::create(builder, Named(loc, "expanded"), vector(width), s, producer.repeat,
                                                 producer.headDim);

    Value scaled = divide(builder, producer, s);
    Value statistics =
        compress::ScaleStatisticsOp::create(builder, Named(loc, "statistics"), calibrated.getStatistics(), expanded);
    auto replacement = compress::CalibratedOp::create(builder, loc, scaled, statistics);
    for (lm::LinearOp consumer : consumers) {
      Value columns = compress::ScaleColumnsOp::create(builder, Named(loc, "scaled"), f32Like(consumer.getWeight()),
                                                       consumer.getWeight(), expanded);
      consumer.getInputMutable().assign(replacement);
      consumer.getWeightMutable().assign(columns);
    }
    calibrated.erase();
    eraseDead(producer.op);
    return success();
  }

  /// A copy of the producer whose result is divided by s. The original stays where an observation still
  /// needs it.
  Value divide(OpBuilder &builder, const Producer &producer, Value s) {
    auto dividedRows = [&](Value weight) -> Value {
      if (!weight)
        return {};
      Value divided = compress::ScaleRowsOp::create(builder, Named(weight.getLoc(), "divided"), f32Like(weight), weight,
                                                    s, /*inverse=*/true);
      // What is stored stays the distance from the amount.
      auto offset = weight.getDefiningOp<compress::OffsetOp>();
      for (int sign : {-1, 1})
        if (offset)
          divided = compress::OffsetOp::create(builder, Named(weight.getLoc(), sign < 0 ? "difference" : "divided"),
                                               f32Like(weight), divided,
                                               APFloat(sign * offset.getAmount().convertToDouble()));
      return divided;
    };
    auto dividedLinear = [&](lm::LinearOp linear) -> Value {
      Value rows = dividedRows(linear.getWeight()), bias = dividedRows(linear.getBias());
      return lm::LinearOp::create(builder, linear.getLoc(), linear.getResult().getType(),
                                  linear.getInput(), rows, bias);
    };
    if (isa<lm::LinearOp>(producer.op))
      return dividedLinear(producer.linear);
    Value rows = producer.linear ? dividedLinear(producer.linear) : Value();
    Value weight, bias;
    if (auto norm = dyn_cast<lm::RMSNormOp>(producer.op))
      weight = dividedRows(norm.getWeight());
    if (auto norm = dyn_cast<lm::LayerNormOp>(producer.op)) {
      weight = dividedRows(norm.getWeight());
      bias = dividedRows(norm.getBias());
    }
    Operation *copy = builder.clone(*producer.op);
    if (auto norm = dyn_cast<lm::RMSNormOp>(copy))
      norm.getWeightMutable().assign(weight);
    if (auto norm = dyn_cast<lm::LayerNormOp>(copy)) {
      norm.getWeightMutable().assign(weight);
      norm.getBiasMutable().assign(bias ? ValueRange(bias) : ValueRange());
    }
    if (auto gated = dyn_cast<lm::GatedActivationOp>(copy))
      gated.getUpMutable().assign(rows);
    if (auto attention = dyn_cast<lm::AttentionOp>(copy)) {
      attention.getValueMutable().assign(rows);
      // The original may stay to be observed, with other values in its cache.
      if (auto cache = attention.getCache().getDefiningOp<lm::CacheOp>()) {
        OpBuilder before(attention);
        attention.getCacheMutable().assign(before.clone(*cache)->getResult(0));
      }
    }
    return copy->getResult(0);
  }
};

} // namespace
} // namespace compressc
