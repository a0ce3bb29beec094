// What the passes decided, as text.
#pragma once

#include "compressc/Materialize/Materialize.h"
#include "llvm/Support/raw_ostream.h"

namespace compressc {

/// A line for each decision.
void PrintDecisions(llvm::raw_ostream &out, const std::vector<Decision> &decisions);

/// A line for each pass: how many decisions, and the mean of each number.
void PrintDecisionSummary(llvm::raw_ostream &out, const std::vector<Decision> &decisions);

} // namespace compressc
