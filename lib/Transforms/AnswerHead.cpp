// Compute the logits of the answers only, where a batch says which they are.
#include "compressc/Transforms/Dataflow.h"
#include "compressc/Transforms/Passes.h"

using namespace mlir;

namespace compressc {
#define GEN_PASS_DEF_ANSWERHEAD
#include "compressc/Transforms/Passes.h.inc"

namespace {

struct AnswerHead : impl::AnswerHeadBase<AnswerHead> {
  void runOnOperation() override {
    for (func::FuncOp function : ModelFunctions(getOperation()))
      for (OpOperand &result : function.getBody().front().getTerminator()->getOpOperands()) {
        auto head = result.get().getDefiningOp<lm::LinearOp>();
        // Only the caller reads the logits, and it knows which of them it asked for.
        if (head && head->hasOneUse())
          head.setAnswers(true);
      }
  }
};

} // namespace
} // namespace compressc
