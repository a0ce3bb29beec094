// Copies of a function's layers for calibration to observe.
#include "CalibrationStream.h"

using namespace mlir;

namespace compressc {

lm::BlockOp CalibrationStream::copyLayer(lm::BlockOp block, IRMapping &inside) {
  inside = mapping;
  auto copy = cast<lm::BlockOp>(OpBuilder(block).clone(*block, inside));
  // What is decided for the layer is reported once.
  SmallVector<compress::RemarkOp> remarks(copy.getBody().getOps<compress::RemarkOp>());
  for (compress::RemarkOp remark : remarks)
    remark.erase();
  for (auto [result, mapped] : llvm::zip(block.getResults(), copy.getResults()))
    mapping.map(result, mapped);
  return copy;
}

void CalibrationStream::follow(Operation *op) {
  if (auto select = dyn_cast<lm::SelectRowsOp>(op))
    return mapping.map(select.getResult(), lookup(select.getInput()));
  if (llvm::any_of(op->getOperands(), [&](Value operand) { return mapping.contains(operand); }))
    OpBuilder(op).clone(*op, mapping);
}

} // namespace compressc
