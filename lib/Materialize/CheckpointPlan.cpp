// Which weights the new checkpoint holds.
#include "CheckpointPlan.h"
#include "compressc/Conversion/ToSchedule.h"
#include "compressc/Transforms/Dataflow.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace compressc {
namespace {

Tensor withoutData(Type type) {
  StorageType storage = *ToStorageType(type);
  Tensor tensor;
  tensor.dtype = storage.dtype;
  tensor.shape = std::move(storage.shape);
  tensor.packed = storage.packed;
  return tensor;
}

} // namespace

StatusOr<CheckpointPlan> PlanCheckpoint(ModuleOp module, ArrayRef<BoundWeight> weights) {
  CheckpointPlan plan;
  llvm::StringSet<> bound;
  for (const BoundWeight &weight : weights) {
    bound.insert(weight.name);
    plan.weights.emplace_back(weight.name, withoutData(weight.storedType));
  }
  SymbolTable symbols(module);
  llvm::DenseSet<Operation *> seen;
  for (func::FuncOp function : module.getOps<func::FuncOp>()) {
    if (function.isExternal())
      continue;
    llvm::SetVector<Operation *> deployed = DeployedOps(function);
    function.walk([&](lm::LoadParamOp load) {
      bool used = llvm::any_of(load->getUsers(), [&](Operation *user) {
        return deployed.contains(user) || isa<compress::OffsetOp>(user) ||
               IsQuantized(user->getResults().empty() ? Value() : Value(user->getResult(0)));
      });
      auto param = symbols.lookup<lm::ParamOp>(load.getParam());
      if (!used || bound.contains(param.getSymName()) || !seen.insert(param).second)
        return;
      plan.unchanged.push_back(param);
      plan.weights.emplace_back(param.getSymName().str(), withoutData(param.getType()));
    });
  }
  std::vector<SafetensorsWriter::Entry> original;
  for (auto param : module.getOps<lm::ParamOp>()) {
    if (param.getFile())
      continue;
    StorageType storage = *ToStorageType(param.getType());
    int64_t elements = 1;
    for (int64_t dim : storage.shape)
      elements *= dim;
    plan.parameters += elements;
    original.push_back({param.getSymName().str(), "F16", storage.shape, 2 * elements});
  }
  COMPRESSC_ASSIGN_OR_RETURN(plan.originalWeightBytes,
                             SafetensorsWriter::FileBytes("the original at 16 bits", std::move(original)));
  COMPRESSC_ASSIGN_OR_RETURN(plan.fileBytes, SafetensorsWriter::FileBytes(
                                                 "model.safetensors", plan.entries(StoreFormat())));
  return plan;
}

std::vector<SafetensorsWriter::Entry>
CheckpointPlan::entries(const CheckpointFormat &format) const {
  std::vector<SafetensorsWriter::Entry> result;
  for (const auto &[name, weight] : weights)
    for (FormatEntry &entry : format.entries(name, weight))
      result.push_back(std::move(entry));
  return result;
}

} // namespace compressc
