// What a compilation would do and take, as a range where a choice is open.
#pragma once

#include "compressc/Materialize/Materialize.h"

namespace compressc {

/// Each number of `least` is at most that of `most`. They come from two settlements of what is open: the
/// candidates whose choice leaves the smallest checkpoint, of equal ones the first, and those that leave the
/// largest, of equal ones the last. Without open choices both are the plan.
struct PlanRange {
  MaterializePlan least, most;
};

/// The whole work: evaluating the scores of open choices, then materialising. Peak memory includes what the
/// process holds already. The module stays as it is.
StatusOr<PlanRange> PlanCompilation(mlir::ModuleOp module, const MaterializeOptions &options);

} // namespace compressc
