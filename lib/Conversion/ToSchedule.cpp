// An exec program as the runtime's data structure.
#include "compressc/Conversion/ToSchedule.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace compressc {

Schedule ToSchedule(exec::ProgramOp program) {
  Schedule schedule;
  schedule.maxTokens = program.getMaxTokens();
  schedule.maxSelected = program.getMaxSelected();
  schedule.arenaBytes = program.getArena();
  llvm::DenseMap<StringAttr, Operand> operands;
  for (Operation &op : program.getBody().front()) {
    TypeSwitch<Operation *>(&op)
        .Case([&](exec::WeightOp weight) {
          StorageType storage = *ToStorageType(weight.getType());
          operands[weight.getSymNameAttr()] = {Operand::Kind::Weight, int32_t(schedule.weights.size())};
          WeightDecl decl{weight.getKey().str(), storage.dtype, storage.shape, storage.packed};
          if (weight.getPlus()) {
            decl.plus = weight.getPlus()->convertToDouble();
            decl.stored = ToStorageType(*weight.getStored())->dtype;
          }
          schedule.weights.push_back(std::move(decl));
        })
        .Case([&](exec::TokensOp tokens) {
          operands[tokens.getSymNameAttr()] = {Operand::Kind::Tokens, 0};
        })
        .Case([&](exec::CacheOp cache) {
          operands[cache.getSymNameAttr()] = {Operand::Kind::Cache, int32_t(schedule.caches.size())};
          schedule.caches.push_back({int64_t(cache.getHeads()), int64_t(cache.getDim())});
        })
        .Case([&](exec::BufferOp buffer) {
          StorageType storage = *ToStorageType(buffer.getType());
          BufferDecl decl;
          decl.rows = Rows(uint8_t(buffer.getRows()));
          decl.dtype = storage.dtype;
          decl.shape = storage.shape;
          if (decl.rows != Rows::Fixed)
            decl.shape.erase(decl.shape.begin());
          decl.packed = storage.packed;
          decl.offset = buffer.getOffset() ? int64_t(*buffer.getOffset()) : -1;
          decl.state = buffer.getRole() == exec::Role::state;
          operands[buffer.getSymNameAttr()] = {Operand::Kind::Buffer, int32_t(schedule.buffers.size())};
          schedule.buffers.push_back(std::move(decl));
        });
  }
  auto lookup = [&](ArrayAttr names) {
    std::vector<Operand> result;
    for (auto name : names.getAsRange<FlatSymbolRefAttr>())
      result.push_back(operands.lookup(name.getAttr()));
    return result;
  };
  auto add = [&](EntryPoint &point, exec::CallOp call) {
    point.calls.push_back({call.getKernel().str(), lookup(call.getInputs()), lookup(call.getOutputs()),
                           ToAttributes(call.getConstants())});
  };
  for (auto entry : program.getBody().getOps<exec::EntryOp>()) {
    EntryPoint point;
    point.name = entry.getSymName().str();
    for (const Operand &operand : lookup(entry.getInputs()))
      point.inputs.push_back(operand.index);
    for (const Operand &operand : lookup(entry.getOutputs()))
      point.outputs.push_back(operand.index);
    for (Operation &op : entry.getBody().front()) {
      if (auto call = dyn_cast<exec::CallOp>(op)) {
        add(point, call);
        continue;
      }
      // The interpreter has no functions: parameters stand for the arguments while the calls are added.
      auto invoke = cast<exec::InvokeOp>(op);
      auto function = SymbolTable::lookupNearestSymbolFrom<exec::FunctionOp>(invoke, invoke.getFunctionAttr());
      auto arguments = lookup(invoke.getArguments());
      auto outer = operands;
      for (auto [parameter, argument] : llvm::zip(function.getBody().getOps<exec::ParameterOp>(), arguments))
        operands[parameter.getSymNameAttr()] = argument;
      for (auto call : function.getBody().getOps<exec::CallOp>())
        add(point, call);
      operands = std::move(outer);
    }
    schedule.entries.push_back(std::move(point));
  }
  return schedule;
}

} // namespace compressc
