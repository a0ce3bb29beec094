// Operations that a runtime kernel computes; see KernelOp.td.
#pragma once

#include "mlir/IR/OpDefinition.h"

#include "dialects/Exec/KernelOp.h.inc"
