// Choose the arithmetic of the deployed linears.
#include "compressc/Transforms/Dataflow.h"
#include "compressc/Transforms/Passes.h"

using namespace mlir;

namespace compressc {
#define GEN_PASS_DEF_SETCOMPUTE
#include "compressc/Transforms/Passes.h.inc"

namespace {

struct SetCompute : impl::SetComputeBase<SetCompute> {
  using SetComputeBase::SetComputeBase;

  void runOnOperation() override {
    auto plain = lm::symbolizeCompute(compute), rounded = lm::symbolizeCompute(activations);
    if (!plain || *plain == lm::Compute::int8) {
      getOperation().emitError() << "set-compute: compute=" << compute << "; choose f32 or bf16";
      return signalPassFailure();
    }
    if (!rounded || *rounded == lm::Compute::bf16) {
      getOperation().emitError() << "set-compute: activations=" << activations << "; choose f32 or int8";
      return signalPassFailure();
    }
    getOperation().walk([&](lm::LinearOp linear) {
      bool inInt8 = *rounded == lm::Compute::int8 && IsQuantized(linear.getWeight());
      lm::Compute chosen = inInt8 ? lm::Compute::int8 : *plain;
      if (chosen == lm::Compute::f32)
        linear.removeComputeAttr();
      else
        linear.setCompute(chosen);
    });
  }
};

} // namespace
} // namespace compressc
