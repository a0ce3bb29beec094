// OUT/run or OUT/libmodel.so: the program that a compilation leaves beside the weights.
#pragma once

#include "compressc/Pipelines/Compile.h"
#include "compressc/Target/CudaCompiler.h"
#include "compressc/runtime/model.h"
#include "dialects/Exec/Exec.h"

namespace compressc {

/// How OUT's program is made: by a compiler of this machine, or from the prebuilt runtime.
struct Toolchain {
  std::string compiler; // "": the prebuilt runtime walks the schedule
  RuntimeFiles files;   // with a compiler
  std::string nvcc;     // "": the GPU's kernels are the prebuilt ones
  std::vector<std::string> architectures; // with nvcc
  std::string runtime;  // the prebuilt one, without a compiler
  std::string note, cudaNote; // why there is no compiler, no nvcc
  bool library = false; // OUT/libmodel.so is asked for

  /// What the options ask for and this machine has. No compiler is an error only where the options need one.
  static StatusOr<Toolchain> Find(const CompileOptions &options);
  /// The file's name in OUT.
  const char *productName() const { return library ? "libmodel.so" : "run"; }
};

struct CompileSeconds {
  double host = 0, cuda = 0;
};

/// Writes the program, and its source when it is compiled, into `directory`, where model/ is already;
/// with `singleFile` model/ goes into the program. `title` says in the source what the program is.
/// Returns the seconds that the compilers took.
StatusOr<CompileSeconds> DeployProgram(exec::ProgramOp program, const ModelInfo &info, const std::string &title,
                               const CompileOptions &options, const Toolchain &toolchain,
                               const std::string &directory);

} // namespace compressc
