// The compress dialect; see Compress.td.
#pragma once

#include "dialects/Exec/KernelOp.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/Compress/CompressDialect.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/Compress/CompressTypes.h.inc"
#define GET_OP_CLASSES
#include "dialects/Compress/CompressOps.h.inc"
