// nvcc, which turns emitted CUDA source into objects.
#pragma once

#include "compressc/Target/HostCompiler.h"
#include <string>
#include <vector>

namespace compressc {

/// The compiler to use: `asked` when it is not empty ("none": none at all), else $CUDACXX, nvcc from PATH or the one of
/// /usr/local/cuda. NotFound when there is none; an error when the one asked for does not exist.
StatusOr<std::string> FindCudaCompiler(const std::string &asked);

/// GPU architectures as nvcc numbers them: "75", "90a". From a list with commas; from "" the GPU of this machine, or
/// without one all that programs are built for.
StatusOr<std::vector<std::string>> CudaArchitectures(const std::string &list);

/// Compiles `source` for these architectures to the object `output`.
Status CompileCuda(const std::string &compiler, const RuntimeFiles &runtime, const std::vector<std::string> &architectures,
                   const std::string &source, const std::string &output);

} // namespace compressc
