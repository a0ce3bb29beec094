// Verifiers of the exec dialect.
#include "dialects/Exec/Exec.h"
#include "dialects/Exec/Storage.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;

#include "dialects/Exec/ExecDialect.cpp.inc"
#include "dialects/Exec/ExecEnums.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/Exec/ExecOps.cpp.inc"

namespace compressc::exec {

void ExecDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/Exec/ExecOps.cpp.inc"
      >();
}

LogicalResult ProgramOp::verify() {
  if (int64_t(getMaxTokens()) < 0 || int64_t(getMaxSelected()) < 0 || int64_t(getArena()) < 0)
    return emitOpError() << "sizes must not be negative";
  for (Operation &op : getBody().front())
    if (!isa<WeightOp, TokensOp, CacheOp, BufferOp, FunctionOp, EntryOp>(op))
      return op.emitError("does not belong in a program");
  return success();
}

LogicalResult WeightOp::verify() {
  if (!getPlus())
    return success();
  auto type = dyn_cast<RankedTensorType>(getType()), stored = dyn_cast<RankedTensorType>(*getStored());
  if (!type || !stored || !type.getElementType().isF32() || type.getShape() != stored.getShape())
    return emitOpError() << "a sum must be an f32 tensor of the stored tensor's shape";
  return success();
}

LogicalResult CacheOp::verify() {
  if (int64_t(getHeads()) < 1 || int64_t(getDim()) < 1)
    return emitOpError() << "a cache needs at least one head and one column";
  return success();
}

LogicalResult BufferOp::verify() {
  auto tensor = dyn_cast<RankedTensorType>(getType());
  bool dynamic = tensor && !tensor.hasStaticShape();
  if (dynamic != (getRows() != RowCount::fixed))
    return emitOpError() << "of type " << getType() << " can't have " << stringifyRowCount(getRows())
                         << " rows";
  if (dynamic && (!tensor.isDynamicDim(0) || tensor.getNumDynamicDims() != 1))
    return emitOpError() << "may be dynamic in its first dimension only";
  if (getOffset().has_value() == (getRole() == Role::input))
    return emitOpError() << "needs an offset, unless it is an input";
  if (getOffset() && int64_t(*getOffset()) < 0)
    return emitOpError() << "offset must not be negative";
  return success();
}

/// What a name stands for: a parameter of the function around, or what the program declares.
static Operation *lookup(Operation *op, StringRef name) {
  if (auto function = op->getParentOfType<FunctionOp>())
    if (Operation *parameter = SymbolTable::lookupSymbolIn(function, name))
      return parameter;
  return SymbolTable::lookupSymbolIn(op->getParentOfType<ProgramOp>(), name);
}

/// Every name must be declared as one of the kinds in Ops.
template <typename... Ops> static LogicalResult verifyNames(Operation *op, ArrayAttr names) {
  for (auto name : names.getAsRange<FlatSymbolRefAttr>()) {
    Operation *target = lookup(op, name.getValue());
    if (!target)
      return op->emitOpError() << "names @" << name.getValue() << ", which the program does not declare";
    if (!isa<Ops...>(target))
      return op->emitOpError() << "can't use @" << name.getValue() << " here";
  }
  return success();
}

LogicalResult EntryOp::verify() {
  auto program = (*this)->getParentOfType<ProgramOp>();
  if (failed(verifyNames<BufferOp>(*this, getInputs())) ||
      failed(verifyNames<BufferOp, WeightOp>(*this, getOutputs())))
    return failure();
  for (auto name : getInputs().getAsRange<FlatSymbolRefAttr>())
    if (cast<BufferOp>(SymbolTable::lookupSymbolIn(program, name.getValue())).getRole() != Role::input)
      return emitOpError() << "input @" << name.getValue() << " must have the role input";
  for (Operation &op : getBody().front())
    if (!isa<CallOp, InvokeOp>(op))
      return op.emitError("does not belong in an entry point");
  return success();
}

/// Each operand must be of a kind and type that the kernel takes there.
static LogicalResult verifyOperands(CallOp call, ArrayAttr names, const OperandLayout &layout) {
  for (auto [index, name] : llvm::enumerate(names.getAsRange<FlatSymbolRefAttr>())) {
    const OperandRow &operand = layout.of(index);
    Operation *target = lookup(call, name.getValue());
    auto parameter = dyn_cast<ParameterOp>(target);
    OperandRow::Kind kind = OperandRow::Kind::Tensor;
    if (isa<TokensOp>(target))
      kind = OperandRow::Kind::Tokens;
    if (isa<CacheOp>(target) || (parameter && !parameter.getType()))
      kind = OperandRow::Kind::Cache;
    auto refuse = [&]() {
      return call.emitOpError() << "@" << name.getValue() << " can't be " << std::string(operand.name) << " of "
                                << call.getKernel();
    };
    if (kind != operand.kind)
      return refuse();
    if (kind != OperandRow::Kind::Tensor)
      continue;
    Type type = parameter ? *parameter.getType()
                          : cast<TypeAttr>(target->getAttr("type")).getValue();
    std::optional<StorageType> storage = ToStorageType(type);
    if (!storage || !(types::of(storage->dtype) & operand.types))
      return refuse() << ", as it is " << type;
  }
  return success();
}

LogicalResult CallOp::verify() {
  if (failed(verifyNames<WeightOp, TokensOp, CacheOp, BufferOp, ParameterOp>(*this, getInputs())))
    return failure();
  if (failed(verifyNames<BufferOp>(*this, getOutputs())))
    return failure();
  const KernelRow *row = FindKernelRow(std::string_view(getKernel()));
  if (!row)
    return emitOpError() << "there is no kernel '" << getKernel() << "'";
  Attributes attributes = ToAttributes(getConstants());
  if (Status status = CheckAttributes(*row, attributes); !status.ok())
    return emitOpError() << std::string(status.message());
  auto inputs = OperandLayout::Inputs(*row, getInputs().size(), attributes);
  if (!inputs.ok())
    return emitOpError() << std::string(inputs.status().message());
  auto outputs = OperandLayout::Outputs(*row, getOutputs().size(), attributes);
  if (!outputs.ok())
    return emitOpError() << std::string(outputs.status().message());
  if (failed(verifyOperands(*this, getInputs(), *inputs)))
    return failure();
  return verifyOperands(*this, getOutputs(), *outputs);
}

LogicalResult FunctionOp::verify() {
  for (Operation &op : getBody().front())
    if (!isa<ParameterOp, CallOp>(op))
      return op.emitError("does not belong in a function");
  return success();
}

LogicalResult ParameterOp::verify() {
  bool weight = getType().has_value(), cache = getHeads() && getDim();
  if (weight == cache)
    return emitOpError() << "is a weight with a type or a cache with heads and dim";
  return success();
}

LogicalResult InvokeOp::verify() {
  auto function = dyn_cast_or_null<FunctionOp>(lookup(*this, getFunction()));
  if (!function)
    return emitOpError() << "@" << getFunction() << " is no function of the program";
  auto parameters = llvm::to_vector(function.getBody().getOps<ParameterOp>());
  if (parameters.size() != getArguments().size())
    return emitOpError() << "@" << getFunction() << " takes " << parameters.size() << " arguments, not "
                         << getArguments().size();
  for (auto [parameter, argument] : llvm::zip(parameters, getArguments().getAsRange<FlatSymbolRefAttr>())) {
    Operation *target = lookup(*this, argument.getValue());
    auto weight = dyn_cast_or_null<WeightOp>(target);
    auto cache = dyn_cast_or_null<CacheOp>(target);
    if (!weight && !cache)
      return emitOpError() << "@" << argument.getValue() << " is neither a weight nor a cache";
    bool fits = weight ? parameter.getTypeAttr() == weight.getTypeAttr()
                       : parameter.getHeadsAttr() == cache.getHeadsAttr() && parameter.getDimAttr() == cache.getDimAttr();
    if (!fits)
      return emitOpError() << "@" << argument.getValue() << " does not fit the parameter @" << parameter.getSymName();
  }
  return success();
}

} // namespace compressc::exec
