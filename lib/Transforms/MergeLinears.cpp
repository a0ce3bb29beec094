// One operation for the linears that read the same input.
#include "compressc/Transforms/Dataflow.h"
#include "compressc/Transforms/Passes.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace compressc {
#define GEN_PASS_DEF_MERGELINEARS
#include "compressc/Transforms/Passes.h.inc"

namespace {

/// Moves what makes a weight before `point`; such operations depend on parameters only.
void hoist(Value weight, Operation *point) {
  Operation *op = weight.getDefiningOp();
  if (!op || op->getBlock() != point->getBlock() || op->isBeforeInBlock(point))
    return;
  for (Value operand : op->getOperands())
    hoist(operand, point);
  op->moveBefore(point);
}

void merge(MutableArrayRef<lm::LinearOp> linears) {
  lm::LinearOp first = linears.front();
  SmallVector<Value> weights, biases;
  SmallVector<Type> types;
  int64_t biased = 0;
  for (auto [index, linear] : llvm::enumerate(linears)) {
    hoist(linear.getWeight(), first);
    weights.push_back(linear.getWeight());
    types.push_back(linear.getType());
    if (!linear.getBias())
      continue;
    hoist(linear.getBias(), first);
    biases.push_back(linear.getBias());
    biased |= int64_t(1) << index;
  }
  OpBuilder builder(first);
  auto merged = lm::FusedLinearOp::create(builder, first.getLoc(), types, first.getInput(), Value(), weights,
                                          biases, Value(), biased, FloatAttr(), lm::ActivationAttr(),
                                          first.getComputeAttr(), false);
  for (auto [linear, result] : llvm::zip(linears, merged.getResults())) {
    linear.getResult().replaceAllUsesWith(result);
    linear.getOperation()->erase();
  }
}

struct MergeLinears : impl::MergeLinearsBase<MergeLinears> {
  void runOnOperation() override {
    BindingTimes times;
    // Those of one input, in one layer, of one arithmetic.
    llvm::MapVector<std::tuple<Value, Block *, Attribute>, SmallVector<lm::LinearOp>> readers;
    getOperation().walk([&](lm::LinearOp linear) {
      bool fixed = times.get(linear.getWeight()) != BindingTime::Run &&
                   (!linear.getBias() || times.get(linear.getBias()) != BindingTime::Run);
      if (fixed && !linear.getAnswers())
        readers[{linear.getInput(), linear->getBlock(), linear.getComputeAttr()}].push_back(linear);
    });
    for (auto &[key, linears] : readers)
      if (linears.size() > 1 && linears.size() <= 32)
        merge(linears);
  }
};

} // namespace
} // namespace compressc
