// Emitted programs: C++ source for the entry points of a schedule.
#pragma once

#include "compressc/runtime/status.h"
#include "dialects/Exec/Exec.h"
#include "llvm/Support/raw_ostream.h"
#include <string>

namespace compressc {

/// Prints the program as C++ over compressc/runtime/program.h, one function for each exec.function and each
/// entry point that takes no inputs. `title` is a comment on what it is. Fails when a kernel has no form in C++.
Status EmitCpp(exec::ProgramOp program, llvm::StringRef title, llvm::raw_ostream &out);

} // namespace compressc
