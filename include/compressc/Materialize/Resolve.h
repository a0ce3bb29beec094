// Puts constants in place of what passes left open until numbers are known.
#pragma once

#include "compressc/Materialize/Materialize.h"

namespace compressc {

/// The pass that the first `compress.choose` belongs to; "" when nothing is open.
std::string OpenChoice(mlir::ModuleOp module);

/// Evaluates the slice behind each `compress.choose` in program order, replaces its flags by constants and
/// removes what is not needed any more. Returns a decision for each candidate: its score and whether it was
/// chosen; and for each adapter that was merged into layers that are gone now how many updates were lost, which is an
/// error if it was all of them. `options.files` are not written. Nothing is done, and nothing needed, when nothing is
/// open.
StatusOr<std::vector<Decision>> Resolve(mlir::ModuleOp module, const MaterializeOptions &options);

/// Of the first choice, which must exist: what there is to choose from, and how many are chosen.
size_t CandidatesOfChoice(mlir::ModuleOp module);
size_t CountOfChoice(mlir::ModuleOp module);
/// Settles the first choice without evaluating it.
Status Choose(mlir::ModuleOp module, llvm::ArrayRef<size_t> chosen);
/// What evaluating the scores of the first choice would take.
StatusOr<MaterializePlan> PlanChoice(mlir::ModuleOp module, const MaterializeOptions &options);

} // namespace compressc
