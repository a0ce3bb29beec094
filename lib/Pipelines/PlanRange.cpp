#include "PlanRange.h"
#include "compressc/Export/Export.h"
#include "compressc/Materialize/Resolve.h"
#include "mlir/IR/OwningOpRef.h"
#include <fstream>
#include <numeric>

using namespace mlir;

namespace compressc {
namespace {

/// Anonymous memory of this process, in bytes.
int64_t anonymousBytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  int64_t kilobytes = 0;
  while (status >> word)
    if (word == "RssAnon:" && status >> kilobytes)
      break;
  return kilobytes * 1024;
}

std::vector<size_t> firstCandidates(ModuleOp module) {
  std::vector<size_t> chosen(CountOfChoice(module));
  std::iota(chosen.begin(), chosen.end(), 0);
  return chosen;
}

/// Bytes of the checkpoint if one candidate of the first choice is taken alone. What else is open is settled
/// somehow: the same way for every candidate.
StatusOr<int64_t> bytesWithCandidate(ModuleOp module, size_t candidate) {
  OwningOpRef<ModuleOp> copy = module.clone();
  COMPRESSC_RETURN_IF_ERROR(Choose(*copy, candidate));
  while (!OpenChoice(*copy).empty())
    COMPRESSC_RETURN_IF_ERROR(Choose(*copy, firstCandidates(*copy)));
  return PlanWeightBytes(*copy);
}

/// The candidates that leave the smallest checkpoint, or the largest. Candidates are independent of each
/// other as far as sizes go, so they are ranked one by one.
StatusOr<std::vector<size_t>> extremeCandidates(ModuleOp module, bool largest) {
  std::vector<int64_t> bytes;
  for (size_t candidate = 0; candidate < CandidatesOfChoice(module); ++candidate) {
    COMPRESSC_ASSIGN_OR_RETURN(int64_t size, bytesWithCandidate(module, candidate));
    bytes.push_back(size);
  }
  std::vector<size_t> order(bytes.size());
  std::iota(order.begin(), order.end(), 0);
  llvm::sort(order, [&](size_t a, size_t b) { return std::pair(bytes[a], a) < std::pair(bytes[b], b); });
  if (largest)
    std::reverse(order.begin(), order.end());
  order.resize(CountOfChoice(module));
  return order;
}

StatusOr<MaterializePlan> planExtreme(ModuleOp original, const MaterializeOptions &options, bool largest) {
  OwningOpRef<ModuleOp> module = original.clone();
  std::vector<MaterializePlan> choices;
  while (!OpenChoice(*module).empty()) {
    COMPRESSC_ASSIGN_OR_RETURN(MaterializePlan choice, PlanChoice(*module, options));
    COMPRESSC_ASSIGN_OR_RETURN(std::vector<size_t> chosen, extremeCandidates(*module, largest));
    COMPRESSC_RETURN_IF_ERROR(Choose(*module, chosen));
    choices.push_back(choice);
  }
  RenumberLayers(*module); // names count in the size of the file
  COMPRESSC_ASSIGN_OR_RETURN(MaterializePlan plan, PlanMaterialization(*module, options));
  for (const MaterializePlan &choice : choices) {
    plan.calibrationWork += choice.calibrationWork;
    plan.weightWork += choice.weightWork;
    plan.peakBytes = std::max(plan.peakBytes, choice.peakBytes);
    plan.hiddenStateBytes = std::max(plan.hiddenStateBytes, choice.hiddenStateBytes);
  }
  return plan;
}

} // namespace

StatusOr<PlanRange> PlanCompilation(ModuleOp module, const MaterializeOptions &options) {
  int64_t held = anonymousBytes();
  COMPRESSC_ASSIGN_OR_RETURN(MaterializePlan smallest, planExtreme(module, options, /*largest=*/false));
  MaterializePlan largest = smallest;
  if (!OpenChoice(module).empty()) {
    COMPRESSC_ASSIGN_OR_RETURN(largest, planExtreme(module, options, /*largest=*/true));
  }
  smallest.peakBytes += held;
  largest.peakBytes += held;
  PlanRange range;
  auto order = [&](auto MaterializePlan::*number) {
    std::tie(range.least.*number, range.most.*number) = std::minmax(smallest.*number, largest.*number);
  };
  for (auto number : {&MaterializePlan::steps, &MaterializePlan::stepsStored, &MaterializePlan::layers,
                      &MaterializePlan::parameters, &MaterializePlan::originalWeightBytes,
                      &MaterializePlan::weightBytes, &MaterializePlan::peakBytes, &MaterializePlan::hiddenStateBytes})
    order(number);
  for (auto number : {&MaterializePlan::calibrationWork, &MaterializePlan::weightWork, &MaterializePlan::flopRate})
    order(number);
  return range;
}

} // namespace compressc
