#include "compressc/Target/CudaCompiler.h"
#include "RunCompiler.h"
#include "compressc/runtime/device.h"
#include "absl/strings/str_join.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

namespace compressc {

/// What one binary serves: T4, A100, L4, H100 and H200, B200, RTX 50.
static constexpr llvm::StringLiteral known[] = {"75", "80", "89", "90a", "100a", "120a"};

StatusOr<std::string> FindCudaCompiler(const std::string &asked) {
  return FindCompiler(asked, "--nvcc", "CUDACXX", {"nvcc", "/usr/local/cuda/bin/nvcc"});
}

StatusOr<std::vector<std::string>> CudaArchitectures(const std::string &list) {
  std::vector<std::string> all(std::begin(known), std::end(known)), chosen;
  if (list.empty()) {
    std::optional<int> here = CudaCapability();
    for (const std::string &name : all)
      if (here && llvm::StringRef(name).rtrim('a') == std::to_string(*here))
        return std::vector{name};
    return here ? std::vector{std::to_string(*here)} : all;
  }
  llvm::SmallVector<llvm::StringRef> names;
  llvm::StringRef(list).split(names, ',');
  for (llvm::StringRef name : names) {
    unsigned number = 0;
    llvm::StringRef digits = name;
    digits.consume_back("a");
    if (digits.getAsInteger(10, number) || number < 75 || number > 200)
      return Invalid("--arch=", list, ": ", name.str(), " is no GPU architecture; give some of ", absl::StrJoin(all, ","));
    if (!llvm::is_contained(chosen, name.str()))
      chosen.push_back(name.str());
  }
  return chosen;
}

Status CompileCuda(const std::string &compiler, const RuntimeFiles &runtime, const std::vector<std::string> &architectures,
                   const std::string &source, const std::string &output) {
  // The runtime's flags, so that the kernels' arithmetic is the same.
  std::vector<std::string> arguments{compiler, "-std=c++20", "-O3", "--extended-lambda", "--threads=0", "-Xcompiler=-fPIC,-fno-exceptions",
                                     "-I", runtime.includes, "-c", "-o", output, source};
  if (llvm::is_contained(architectures, "75")) // has fp16 only
    arguments.push_back("-DCOMPRESSC_FP16");
  for (const std::string &architecture : architectures)
    arguments.push_back("-gencode=arch=compute_" + architecture + ",code=sm_" + architecture);
  return RunCompiler(arguments, "--nvcc=none");
}

} // namespace compressc
