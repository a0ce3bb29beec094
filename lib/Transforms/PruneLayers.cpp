// Drop the layers that change the hidden states least.
#include "CalibrationStream.h"
#include "compressc/Transforms/Passes.h"
#include "mlir/Analysis/TopologicalSortUtils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace compressc {
#define GEN_PASS_DEF_PRUNELAYERS
#include "compressc/Transforms/Passes.h.inc"

namespace {

struct PruneLayers : impl::PruneLayersBase<PruneLayers> {
  using PruneLayersBase::PruneLayersBase;

  void runOnOperation() override {
    for (func::FuncOp function : ModelFunctions(getOperation()))
      if (failed(prune(function)))
        return signalPassFailure();
  }

  LogicalResult prune(func::FuncOp function) {
    std::vector<lm::BlockOp> blocks = DeployedBlocks(function);
    if (count < 0 || count >= int64_t(blocks.size()))
      return function.emitError() << "prune-layers: count is " << int64_t(count) << "; the model has " << blocks.size()
                                  << " layers, and at least one must stay";
    if (count == 0)
      return success();
    for (auto choose : function.getOps<compress::ChooseOp>())
      if (choose.getPass() == getArgument())
        return choose.emitError("prune-layers: layers are chosen already; give one prune-layers the whole count");
    for (lm::BlockOp block : blocks)
      if (block.getInputs().size() != 1 || block.getNumResults() != 1 ||
          block.getInputs().getTypes() != block.getResultTypes())
        return block.emitError("prune-layers: a layer that doesn't take and give one hidden state can't be left out");

    SmallVector<Attribute> names;
    OpBuilder builder(function.getContext());
    for (lm::BlockOp block : blocks)
      names.push_back(builder.getStringAttr("layer " + Twine(int64_t(block.getLayer()))));
    builder.setInsertionPoint(blocks.front());
    auto choose = compress::ChooseOp::create(
        builder, Named(function.getLoc(), "dropped"), SmallVector<Type>(blocks.size(), builder.getI1Type()),
        getArgument(), count, builder.getArrayAttr(names), "influence", measure(function, blocks.back()));
    for (auto [block, dropped] : llvm::zip(blocks, choose.getChosen())) {
      builder.setInsertionPointAfter(block);
      Value result = block.getResult(0);
      auto kept =
          arith::SelectOp::create(builder, Named(block.getLoc(), "kept"), dropped, block.getInputs()[0], result);
      result.replaceAllUsesExcept(kept, kept);
    }
    // The choice comes before what it decides, and all that it reads before the choice.
    sortTopologically(&function.getBody().front());
    return success();
  }

  /// Block influences in the model as it stands, of each layer.
  SmallVector<Value> measure(func::FuncOp function, lm::BlockOp last) {
    SmallVector<Value> influences;
    CalibrationStream stream;
    OpBuilder builder(function.getContext());
    auto pair = RankedTensorType::get({2}, builder.getF32Type());
    for (Operation *op : DeployedOps(function)) {
      if (op->getParentOp() != function)
        continue;
      auto block = dyn_cast<lm::BlockOp>(op);
      if (!block) {
        stream.follow(op);
        continue;
      }
      IRMapping inside;
      lm::BlockOp copy = stream.copyLayer(block, inside);
      builder.setInsertionPointAfter(copy);
      influences.push_back(compress::ObserveCosineOp::create(builder, Named(block.getLoc(), "influence"), pair,
                                                             copy.getInputs()[0], copy.getResult(0)));
      if (block == last)
        break;
    }
    return influences;
  }
};

} // namespace
} // namespace compressc
