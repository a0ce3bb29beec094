// A second stream of hidden states: copies of a function's layers as they stand, for calibration to observe.
// Later rewrites of the deployed layers don't change it.
#pragma once

#include "compressc/Transforms/Dataflow.h"
#include "mlir/IR/IRMapping.h"

namespace compressc {

class CalibrationStream {
public:
  /// A copy of the layer, before it, fed by the copies made so far. `inside` gets every value's copy.
  lm::BlockOp copyLayer(lm::BlockOp block, mlir::IRMapping &inside);
  /// A copy of another top-level operation, before it, when something it reads was copied; else it is shared.
  /// Rows are not selected: every token is observed.
  void follow(mlir::Operation *op);

  /// What the stream has in place of a deployed value.
  mlir::Value lookup(mlir::Value deployed) const { return mapping.lookupOrDefault(deployed); }
  void map(mlir::Value deployed, mlir::Value copy) { mapping.map(deployed, copy); }

private:
  mlir::IRMapping mapping;
};

} // namespace compressc
