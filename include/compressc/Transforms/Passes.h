// Compression passes; see Passes.td.
#pragma once

#include "dialects/Compress/Compress.h"
#include "dialects/LM/LM.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassRegistry.h"

namespace compressc {

#define GEN_PASS_DECL
#include "compressc/Transforms/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "compressc/Transforms/Passes.h.inc"

} // namespace compressc
