// Choose the arithmetic of the deployed linears.
#include "compressc/Transforms/Dataflow.h"
#include "compressc/Transforms/Passes.h"

using namespace mlir;

namespace compressc {
#define GEN_PASS_DEF_SETCOMPUTE
#include "compressc/Transforms/Passes.h.inc"

namespace {

/// Codes minus their zero are at most 15, which e4m3 has exactly; and products of 128 columns have one scale.
bool fitsFp8(Value weight) {
  auto dequantize = weight.getDefiningOp<compress::DequantizeOp>();
  auto packed = dequantize ? dyn_cast<compress::PackedType>(dequantize.getInput().getType()) : compress::PackedType();
  return packed && packed.getBits() <= 4 && packed.getGroup() % 128 == 0;
}

struct SetCompute : impl::SetComputeBase<SetCompute> {
  using SetComputeBase::SetComputeBase;

  void runOnOperation() override {
    auto plain = lm::symbolizeCompute(compute), rounded = lm::symbolizeCompute(activations);
    if (plain != lm::Compute::f32 && plain != lm::Compute::bf16) {
      getOperation().emitError() << "set-compute: compute=" << compute << "; choose f32 or bf16";
      return signalPassFailure();
    }
    if (!rounded || *rounded == lm::Compute::bf16) {
      getOperation().emitError() << "set-compute: activations=" << activations << "; choose f32, int8 or fp8";
      return signalPassFailure();
    }
    int64_t quantized = 0, fit = 0;
    getOperation().walk([&](lm::LinearOp linear) {
      bool packed = IsQuantized(linear.getWeight());
      bool fits = packed && (*rounded != lm::Compute::fp8 || fitsFp8(linear.getWeight()));
      quantized += packed, fit += fits;
      lm::Compute chosen = fits && *rounded != lm::Compute::f32 ? *rounded : *plain;
      if (chosen == lm::Compute::f32)
        linear.removeComputeAttr();
      else
        linear.setCompute(chosen);
    });
    if (*rounded == lm::Compute::fp8 && (fit < quantized || fit == 0))
      getOperation().emitRemark() << "set-compute: " << fit << " of " << quantized << " quantised linears compute in fp8, those of at most "
                                  << "4 bits in groups of a multiple of 128; the others in " << compute;
  }
};

} // namespace
} // namespace compressc
