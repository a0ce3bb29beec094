// Emitted programs: CUDA source for the entry points of a schedule.
#pragma once

#include "compressc/runtime/status.h"
#include "dialects/Exec/Exec.h"
#include "llvm/Support/raw_ostream.h"

namespace compressc {

/// Prints the program as CUDA over runtime/cuda/program.cuh, one function for each exec.function and each entry
/// point that takes no inputs. Fails when a kernel has no form in CUDA.
Status EmitCuda(exec::ProgramOp program, llvm::StringRef title, llvm::raw_ostream &out);

} // namespace compressc
