// Which tensors the new checkpoint holds.
#include "CheckpointPlan.h"
#include "compressc/Conversion/ToSchedule.h"
#include "compressc/Transforms/Dataflow.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace compressc {
namespace {

std::string modulePath(StringRef name) {
  name.consume_back(".weight");
  return name.str();
}

void planTensor(std::vector<SafetensorsWriter::Entry> &entries, const std::string &name, Type type) {
  StorageType storage = *ToStorageType(type);
  if (storage.dtype != DType::Packed) {
    int64_t bytes = int64_t(DTypeSize(storage.dtype));
    for (int64_t dim : storage.shape)
      bytes *= dim;
    entries.push_back({name, std::string(SafetensorsName(storage.dtype)), storage.shape, bytes});
    return;
  }
  int64_t rows = storage.shape[0], columns = storage.shape[1];
  const PackedFormat &format = storage.packed;
  PackedSizes sizes = GetPackedSizes(rows, columns, format);
  std::string path = modulePath(name);
  int64_t groups = columns / format.group;
  entries.push_back({path + ".weight_packed", "I32", {rows, sizes.codes / 4 / rows}, sizes.codes});
  entries.push_back({path + ".weight_scale", std::string(SafetensorsName(format.scaleType)),
                     {rows, groups}, sizes.scales});
  if (!format.symmetric)
    entries.push_back({path + ".weight_zero_point", "I32", {sizes.zeros / 4 / groups, groups}, sizes.zeros});
  entries.push_back({path + ".weight_shape", "I64", {2}, 16});
}

} // namespace

StatusOr<CheckpointPlan> PlanCheckpoint(ModuleOp module, ArrayRef<BoundWeight> weights) {
  CheckpointPlan plan;
  llvm::StringSet<> bound;
  for (const BoundWeight &weight : weights) {
    bound.insert(weight.name);
    planTensor(plan.entries, weight.name, weight.storedType);
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
      planTensor(plan.entries, param.getSymName().str(), param.getType());
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
  COMPRESSC_ASSIGN_OR_RETURN(plan.fileBytes, SafetensorsWriter::FileBytes("model.safetensors", plan.entries));
  return plan;
}

Status WriteTensor(SafetensorsWriter &writer, StringRef name, const Tensor &tensor) {
  if (tensor.dtype != DType::Packed)
    return writer.write(name.str(), tensor.data, tensor.bytes());
  PackedSizes sizes = GetPackedSizes(tensor.dim(0), tensor.dim(1), tensor.packed);
  std::string path = modulePath(name);
  COMPRESSC_RETURN_IF_ERROR(writer.write(path + ".weight_packed", tensor.data, sizes.codes));
  COMPRESSC_RETURN_IF_ERROR(writer.write(path + ".weight_scale", tensor.scales, sizes.scales));
  if (tensor.zeros)
    COMPRESSC_RETURN_IF_ERROR(writer.write(path + ".weight_zero_point", tensor.zeros, sizes.zeros));
  int64_t shape[2] = {tensor.dim(0), tensor.dim(1)};
  return writer.write(path + ".weight_shape", shape, sizeof shape);
}

} // namespace compressc
