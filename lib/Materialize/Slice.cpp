// Cutting, lowering and binding of slices.
#include "Slice.h"
#include "compressc/Conversion/Passes.h"
#include "compressc/Conversion/ToSchedule.h"
#include "dialects/Compress/Compress.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/IRMapping.h"
#include <cstring>

using namespace mlir;

namespace compressc {

OwnedTensor CopyTensor(const Tensor &tensor) {
  OwnedTensor copy;
  size_t size = size_t(tensor.bytes());
  copy.memory = std::shared_ptr<void>(std::aligned_alloc(64, (size + 127) / 64 * 64), std::free);
  copy.tensor = tensor;
  auto *base = static_cast<char *>(copy.memory.get());
  copy.tensor.data = base;
  if (tensor.dtype != DType::Packed) {
    std::memcpy(base, tensor.data, size);
    return copy;
  }
  PackedSizes sizes = GetPackedSizes(tensor.dim(0), tensor.dim(1), tensor.packed);
  std::memcpy(base, tensor.data, sizes.codes);
  copy.tensor.scales = base + sizes.scalesOffset;
  std::memcpy(copy.tensor.scales, tensor.scales, sizes.scales);
  if (tensor.zeros) {
    copy.tensor.zeros = base + sizes.zerosOffset;
    std::memcpy(copy.tensor.zeros, tensor.zeros, sizes.zeros);
  }
  return copy;
}

Value FromOutside(Value value) {
  while (true)
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      auto block = dyn_cast<lm::BlockOp>(argument.getOwner()->getParentOp());
      if (!block)
        return value;
      value = block.getInputs()[argument.getArgNumber()];
    } else if (auto calibrated = value.getDefiningOp<compress::CalibratedOp>()) {
      value = calibrated.getInput();
    } else {
      return value;
    }
}

Slice::Slice(ArrayRef<Value> wanted, function_ref<bool(Value)> isKnown) {
  for (Value output : wanted) {
    outputs.push_back(output);
    visit(output, isKnown);
  }
}

void Slice::visit(Value value, function_ref<bool(Value)> isKnown) {
  value = FromOutside(value);
  if (isKnown(value)) {
    known.insert(value);
    return;
  }
  if (isa<BlockArgument>(value)) { // of the function
    (isa<lm::BatchType>(value.getType()) ? batch : tokens) = value;
    return;
  }
  Operation *op = value.getDefiningOp();
  if (auto block = dyn_cast<lm::BlockOp>(op))
    return visit(block.yield().getValues()[cast<OpResult>(value).getResultNumber()], isKnown);
  if (!visited.insert(op).second)
    return;
  for (Value operand : op->getOperands())
    visit(operand, isKnown);
  order.push_back(op);
}

StatusOr<Schedule> Slice::lower(ModuleOp module, int64_t maxTokens, ArrayRef<Type> storedTypes, lm::Compute compute) {
  std::string message;
  ScopedDiagnosticHandler handler(module.getContext(), [&](Diagnostic &diagnostic) {
    message += (message.empty() ? "" : "; ") + diagnostic.str();
    return success();
  });
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  SmallVector<Type> types;
  for (Value value : known)
    types.push_back(value.getType());
  for (Value value : {tokens, batch})
    if (value)
      types.push_back(value.getType());
  auto function = func::FuncOp::create(builder, module.getLoc(), "compressc.slice",
                                       builder.getFunctionType(types, {}));
  Block *body = function.addEntryBlock();
  builder.setInsertionPointToStart(body);
  IRMapping mapping;
  unsigned next = 0;
  for (Value value : known)
    mapping.map(value, body->getArgument(next++));
  for (Value value : {tokens, batch})
    if (value)
      mapping.map(value, body->getArgument(next++));

  auto mapped = [&](Value value) {
    value = FromOutside(value);
    while (!mapping.contains(value)) {
      auto block = cast<lm::BlockOp>(value.getDefiningOp());
      value = FromOutside(block.yield().getValues()[cast<OpResult>(value).getResultNumber()]);
    }
    return mapping.lookup(value);
  };
  for (Operation *op : order) {
    // Operands that a layer hides are mapped under their inner names too.
    for (Value operand : op->getOperands())
      if (!mapping.contains(operand))
        mapping.map(operand, mapped(operand));
    auto linear = dyn_cast<lm::LinearOp>(builder.clone(*op, mapping));
    if (linear && compute != lm::Compute::f32)
      linear.setCompute(compute);
  }
  SmallVector<Value> results;
  for (auto [index, output] : llvm::enumerate(outputs)) {
    Value result = mapped(output);
    if (!storedTypes.empty() && isa<RankedTensorType>(storedTypes[index]) &&
        storedTypes[index] != result.getType())
      result = compress::ConvertOp::create(builder, output.getLoc(), storedTypes[index], result);
    results.push_back(result);
  }
  func::ReturnOp::create(builder, module.getLoc(), results);

  LoweringOptions options{maxTokens, 1};
  options.statesInArena = false; // statistics outlive the arena
  auto program = LowerToExec(function, options);
  function.erase();
  if (failed(program))
    return Invalid("internal: a slice can't be lowered: ", message);
  Schedule schedule = ToSchedule(*program);
  program->erase();
  for (BufferDecl &buffer : schedule.buffers)
    if (buffer.state)
      buffer.offset = -1;
  return schedule;
}

WeightResolver StoreResolver(const WeightStore *weights) {
  return [weights](const WeightDecl &decl) -> StatusOr<Tensor> {
    if (!weights)
      return Invalid("parameter ", decl.key, " has no weights: the model was imported without them");
    COMPRESSC_ASSIGN_OR_RETURN(const Tensor *tensor, weights->get(decl.key));
    return *tensor;
  };
}

} // namespace compressc
