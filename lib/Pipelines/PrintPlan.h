// The plan of a compilation as text.
#pragma once

#include "PlanRange.h"
#include "llvm/Support/raw_ostream.h"

namespace compressc {

/// A number that a choice leaves open is printed as "least to most".
void PrintPlan(llvm::raw_ostream &out, const PlanRange &plan);

} // namespace compressc
