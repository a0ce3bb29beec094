// The lm dialect; see LM.td.
#pragma once

#include "dialects/Exec/KernelOp.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/LM/LMDialect.h.inc"
#include "dialects/LM/LMEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/LM/LMAttributes.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/LM/LMTypes.h.inc"
#define GET_OP_CLASSES
#include "dialects/LM/LMOps.h.inc"

namespace compressc::lm {

/// Whether linears of this arithmetic round their input to bf16 before all else, so that it can be stored so.
inline bool RoundsToBFloat16(std::optional<Compute> compute) { return compute == Compute::bf16 || compute == Compute::fp8; }

} // namespace compressc::lm
