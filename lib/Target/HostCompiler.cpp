// The compiler of this machine, and what programs are linked with.
#include "compressc/Target/HostCompiler.h"
#include "RunCompiler.h"
#include <filesystem>

namespace compressc {

StatusOr<std::string> FindHostCompiler(const std::string &asked) {
  return FindCompiler(asked, "--host-compiler", "CXX", {"c++", "clang++", "g++"});
}

StatusOr<RuntimeFiles> RuntimeFiles::Find(const std::string &directory) {
  std::error_code error;
  std::filesystem::path base = directory;
  if (directory.empty())
    base = std::filesystem::read_symlink("/proc/self/exe", error).parent_path().parent_path() / "lib/compressc";
  RuntimeFiles files{(base / "include").string(), (base / "runtime.o").string(), (base / "library.o").string(),
                     (base / "libraries.rsp").string()};
  if (!std::filesystem::is_regular_file(files.object, error) ||
      !std::filesystem::is_regular_file(base / "include/compressc/runtime/program.h", error))
    return Invalid("the runtime's object and headers are not in ", base.string(),
                   "; build the target compressc-runtime-object or give --runtime-dir DIR");
  return files;
}

Status CompileProgram(const std::string &compiler, const RuntimeFiles &runtime, Product product,
                      const std::vector<std::string> &sources, const std::string &output) {
  // The runtime's flags: the results must not depend on how expressions are contracted.
  std::vector<std::string> arguments{compiler, "-std=c++20", "-O2", "-fPIC", "-ffp-contract=off", "-fno-exceptions",
                                     "-I", runtime.includes, "-o", output};
  arguments.insert(arguments.end(), sources.begin(), sources.end());
  if (product == Product::SharedLibrary)
    arguments.insert(arguments.end(), {"-shared", "-Wl,--version-script=" + runtime.includes + "/compressc/exports.map",
                                       runtime.library, "@" + runtime.libraries});
  else
    arguments.push_back(runtime.object);
  arguments.insert(arguments.end(), {"-static-libstdc++", "-static-libgcc", "-pthread", "-Wl,--gc-sections", "-s"});
  return RunCompiler(arguments, "--host-compiler=none");
}

} // namespace compressc
