// Observe the input of every linear on calibration tokens.
#include "CalibrationStream.h"
#include "compressc/Transforms/Passes.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace compressc {
#define GEN_PASS_DEF_INSERTCALIBRATION
#include "compressc/Transforms/Passes.h.inc"

namespace {

/// The distinct inputs of a layer's linears that have no statistics yet, with the linears that read each.
using Sites = llvm::MapVector<Value, SmallVector<lm::LinearOp>>;

Sites findSites(lm::BlockOp block) {
  Sites sites;
  block.getBody().walk([&](lm::LinearOp linear) {
    if (!linear.getInput().getDefiningOp<compress::CalibratedOp>())
      sites[linear.getInput()].push_back(linear);
  });
  return sites;
}

compress::StatisticsType statisticsType(Value input) {
  return compress::StatisticsType::get(input.getContext(),
                                       cast<RankedTensorType>(input.getType()).getDimSize(1));
}

/// Right behind `input`, or at the layer's start when it comes from outside.
void insertAfter(OpBuilder &builder, Value input, lm::BlockOp block) {
  if (block->isAncestor(input.getParentRegion()->getParentOp()))
    builder.setInsertionPointAfterValue(input);
  else
    builder.setInsertionPointToStart(&block.getBody().front());
}

void attach(OpBuilder &builder, Value input, Value statistics, ArrayRef<lm::LinearOp> linears) {
  auto calibrated = compress::CalibratedOp::create(builder, Named(input.getLoc(), "calibrated"), input, statistics);
  for (lm::LinearOp linear : linears)
    linear.getInputMutable().assign(calibrated);
}

struct InsertCalibration : impl::InsertCalibrationBase<InsertCalibration> {
  using InsertCalibrationBase::InsertCalibrationBase;

  void runOnOperation() override {
    if (propagation != "original" && propagation != "quantized") {
      getOperation().emitError() << "insert-calibration: propagation is original or quantized, not '"
                                 << propagation << "'";
      return signalPassFailure();
    }
    for (func::FuncOp function : ModelFunctions(getOperation())) {
      std::vector<lm::BlockOp> blocks = DeployedBlocks(function);
      while (!blocks.empty() && findSites(blocks.back()).empty())
        blocks.pop_back();
      if (propagation == "quantized")
        for (lm::BlockOp block : blocks)
          observeInPlace(block);
      else if (!blocks.empty())
        observeCopies(function, blocks.back());
    }
  }

  /// The layer observes itself.
  void observeInPlace(lm::BlockOp block) {
    for (auto &[input, linears] : findSites(block)) {
      OpBuilder builder(block.getContext());
      insertAfter(builder, input, block);
      Value statistics =
          compress::ObserveOp::create(builder, Named(input.getLoc(), "statistics"), statisticsType(input), input);
      attach(builder, input, statistics, linears);
    }
  }

  /// A second stream of hidden states runs through copies of the layers, which observe.
  void observeCopies(func::FuncOp function, lm::BlockOp last) {
    CalibrationStream stream;
    for (Operation *op : DeployedOps(function)) {
      if (op->getParentOp() != function)
        continue;
      auto block = dyn_cast<lm::BlockOp>(op);
      if (!block) {
        stream.follow(op);
        continue;
      }
      observeCopy(stream, block);
      if (block == last)
        return; // nothing to observe from here on
    }
  }

  void observeCopy(CalibrationStream &stream, lm::BlockOp block) {
    Sites sites = findSites(block);
    IRMapping inside;
    lm::BlockOp copy = stream.copyLayer(block, inside);

    OpBuilder builder(copy);
    SmallVector<Value> statistics;
    for (auto &[input, linears] : sites) {
      Value observed = inside.lookupOrDefault(input);
      insertAfter(builder, observed, copy);
      statistics.push_back(
          compress::ObserveOp::create(builder, Named(input.getLoc(), "statistics"), statisticsType(input), observed));
    }
    copy.yield().getValuesMutable().append(statistics);
    SmallVector<Type> types(copy.getResultTypes());
    llvm::append_range(types, TypeRange(ValueRange(statistics)));
    builder.setInsertionPoint(copy);
    auto observing = lm::BlockOp::create(builder, copy.getLoc(), copy.getLayer(), copy.getInputs(), types);
    observing.getBody().takeBody(copy.getBody());
    copy.erase();

    for (auto [result, mapped] : llvm::zip(block.getResults(), observing.getResults()))
      stream.map(result, mapped);
    unsigned next = block.getNumResults();
    for (auto &[input, linears] : sites) {
      insertAfter(builder, input, block);
      attach(builder, input, observing.getResult(next++), linears);
    }
  }
};

} // namespace
} // namespace compressc
