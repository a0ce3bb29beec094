// The compiler of this machine, which turns emitted source into programs.
#pragma once

#include "compressc/runtime/status.h"
#include <string>
#include <vector>

namespace compressc {

/// The compiler to use: `asked` when it is not empty ("none": none at all), else $CXX, c++, clang++ or g++ from
/// PATH, whichever is first. NotFound when there is none; an error when the one asked for does not exist.
StatusOr<std::string> FindHostCompiler(const std::string &asked);

/// What emitted source needs beside the compiler: the runtime's headers and its object files, in
/// `<directory of this program>/../lib/compressc` unless `directory` says otherwise.
struct RuntimeFiles {
  std::string includes;
  std::string object;    // for executables
  std::string library;   // for shared libraries
  std::string libraries; // the compiler's response file with what a shared library is linked with
  static StatusOr<RuntimeFiles> Find(const std::string &directory);
};

enum class Product { Executable, SharedLibrary };

/// Compiles `sources`, which may be objects, and links them with the runtime to `output`. An error holds the
/// compiler's first message.
Status CompileProgram(const std::string &compiler, const RuntimeFiles &runtime, Product product,
                      const std::vector<std::string> &sources, const std::string &output);

} // namespace compressc
