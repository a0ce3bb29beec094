// The plan of a compilation as text.
#pragma once

#include "compressc/Materialize/Materialize.h"
#include "llvm/Support/raw_ostream.h"

namespace compressc {

void PrintPlan(llvm::raw_ostream &out, const MaterializePlan &plan);

} // namespace compressc
