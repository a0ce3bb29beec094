// What a materialisation would do and take.
#include "CheckpointPlan.h"
#include "StoredSteps.h"

using namespace mlir;

namespace compressc {

StatusOr<int64_t> PlanWeightBytes(ModuleOp module) {
  auto weights = FindBoundWeights(module);
  if (failed(weights))
    return Invalid("the pipeline's result can't be stored");
  COMPRESSC_ASSIGN_OR_RETURN(CheckpointPlan checkpoint, PlanCheckpoint(module, *weights));
  return checkpoint.fileBytes;
}

StatusOr<MaterializePlan> PlanMaterialization(ModuleOp module, const MaterializeOptions &options) {
  MaterializePlan result;
  auto weights = FindBoundWeights(module);
  if (failed(weights))
    return Invalid("the pipeline's result can't be stored");
  COMPRESSC_ASSIGN_OR_RETURN(CheckpointPlan checkpoint, PlanCheckpoint(module, *weights));
  result.parameters = checkpoint.parameters;
  result.originalWeightBytes = checkpoint.originalWeightBytes;
  result.weightBytes = checkpoint.fileBytes;
  COMPRESSC_RETURN_IF_ERROR(CheckCalibration(module, options));
  Estimate estimate(options.pool->threads());
  for (func::FuncOp function : module.getOps<func::FuncOp>()) {
    if (function.isExternal())
      continue;
    result.layers += int64_t(DeployedBlocks(function).size());
    StepPlan plan = CutIntoSteps(function, *weights);
    Evaluator evaluator(module, plan, options, &estimate);
    StoredSteps stored(plan.steps, evaluator, options);
    COMPRESSC_RETURN_IF_ERROR(stored.open(module));
    for (size_t index = 0; index < plan.steps.size(); ++index) {
      const Step &step = plan.steps[index];
      std::vector<OwnedTensor> results(step.results.size());
      if (stored.has(index))
        results = stored.load(index);
      COMPRESSC_RETURN_IF_ERROR(evaluator.run(step, stored.has(index), stored.needsStates(index), results));
      int64_t states = 0;
      for (int64_t size : stored.stateSizes(step))
        states += size;
      result.hiddenStateBytes = std::max(result.hiddenStateBytes, states);
    }
    result.steps += int64_t(plan.steps.size());
    result.stepsStored += int64_t(stored.count());
  }
  result.peakBytes = estimate.peakBytes;
  result.calibrationWork = estimate.calibrationWork;
  result.weightWork = estimate.weightWork;
  result.flopRate = MeasureFlopRate(*options.pool);
  return result;
}

} // namespace compressc
