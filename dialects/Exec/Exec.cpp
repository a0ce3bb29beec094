// Verifiers of the exec dialect.
#include "dialects/Exec/Exec.h"
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
    if (!isa<WeightOp, TokensOp, CacheOp, BufferOp, EntryOp>(op))
      return op.emitError("does not belong in a program");
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

/// Every name must be declared by the program as one of the kinds in Ops.
template <typename... Ops>
static LogicalResult verifyNames(Operation *op, ProgramOp program, ArrayAttr names) {
  for (auto name : names.getAsRange<FlatSymbolRefAttr>()) {
    Operation *target = SymbolTable::lookupSymbolIn(program, name.getValue());
    if (!target)
      return op->emitOpError() << "names @" << name.getValue() << ", which the program does not declare";
    if (!isa<Ops...>(target))
      return op->emitOpError() << "can't use @" << name.getValue() << " here";
  }
  return success();
}

LogicalResult EntryOp::verify() {
  auto program = (*this)->getParentOfType<ProgramOp>();
  if (failed(verifyNames<BufferOp>(*this, program, getInputs())) ||
      failed(verifyNames<BufferOp, WeightOp>(*this, program, getOutputs())))
    return failure();
  for (auto name : getInputs().getAsRange<FlatSymbolRefAttr>())
    if (cast<BufferOp>(SymbolTable::lookupSymbolIn(program, name.getValue())).getRole() != Role::input)
      return emitOpError() << "input @" << name.getValue() << " must have the role input";
  for (Operation &op : getBody().front())
    if (!isa<CallOp>(op))
      return op.emitError("does not belong in an entry point");
  return success();
}

LogicalResult CallOp::verify() {
  auto program = (*this)->getParentOfType<ProgramOp>();
  if (failed(verifyNames<WeightOp, TokensOp, CacheOp, BufferOp>(*this, program, getInputs())))
    return failure();
  return verifyNames<BufferOp>(*this, program, getOutputs());
}

} // namespace compressc::exec
