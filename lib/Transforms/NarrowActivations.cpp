// Store activations in bf16 that only linears read which round them to bf16.
#include "compressc/Transforms/Passes.h"
#include "dialects/LM/LM.h"

using namespace mlir;

namespace compressc {
#define GEN_PASS_DEF_NARROWACTIVATIONS
#include "compressc/Transforms/Passes.h.inc"

namespace {

/// Whether the use rounds what it reads to bf16 first.
bool rounds(OpOperand &use) {
  if (use.getOperandNumber() != 0)
    return false;
  if (auto linear = dyn_cast<lm::LinearOp>(use.getOwner()))
    return lm::RoundsToBFloat16(linear.getCompute());
  auto fused = dyn_cast<lm::FusedLinearOp>(use.getOwner());
  return fused && lm::RoundsToBFloat16(fused.getCompute()) && !fused.getNorm();
}

struct NarrowActivations : impl::NarrowActivationsBase<NarrowActivations> {
  void runOnOperation() override {
    auto narrow = [](Value value) {
      auto type = cast<RankedTensorType>(value.getType());
      if (!value.use_empty() && llvm::all_of(value.getUses(), rounds))
        value.setType(type.clone(BFloat16Type::get(type.getContext())));
    };
    getOperation().walk([&](Operation *op) {
      if (auto attention = dyn_cast<lm::AttentionOp>(op))
        narrow(attention.getResult());
      if (auto linear = dyn_cast<lm::FusedLinearOp>(op); linear && linear.getGate())
        narrow(linear.getResult(0));
    });
  }
};

} // namespace
} // namespace compressc
