#include "DeployProgram.h"
#include "compressc/Conversion/ToSchedule.h"
#include "compressc/Target/EmitCpp.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include <chrono>
#include <filesystem>

namespace compressc {
namespace {

StatusOr<std::string> findRuntime(const std::string &given) {
  std::error_code error;
  std::filesystem::path path = given;
  if (given.empty())
    path = std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "compressc-runtime";
  if (!std::filesystem::is_regular_file(path, error))
    return Invalid("the runtime ", path.string(),
                   " is missing; build the target compressc-runtime or give --runtime FILE");
  return path.string();
}

/// Emits the source to `directory`, compiles and links it.
Status compile(exec::ProgramOp program, const std::string &title, const Toolchain &toolchain,
               const std::string &directory, const std::string &output) {
  std::string source;
  llvm::raw_string_ostream stream(source);
  COMPRESSC_RETURN_IF_ERROR(EmitCpp(program, title, stream));
  std::string path = directory + "/program.cpp";
  COMPRESSC_RETURN_IF_ERROR(WriteFileAtomically(path, source));
  return CompileProgram(toolchain.compiler, toolchain.files,
                        toolchain.library ? Product::SharedLibrary : Product::Executable, path, output);
}

} // namespace

StatusOr<Toolchain> Toolchain::Find(const CompileOptions &options) {
  Toolchain toolchain;
  toolchain.library = options.emit == "so";
  auto walkSchedule = [&](const Status &why) -> StatusOr<Toolchain> {
    toolchain.note = std::string(why.message());
    COMPRESSC_ASSIGN_OR_RETURN(toolchain.runtime, findRuntime(options.runtime));
    return toolchain;
  };
  auto compiler = FindHostCompiler(options.hostCompiler);
  bool needed = !options.emit.empty() || !options.hostCompiler.empty();
  if (absl::IsNotFound(compiler.status()) && (options.emit.empty() || options.hostCompiler == "none")) {
    if (!options.emit.empty())
      return Invalid("--emit=", options.emit, " needs a C++ compiler, and --host-compiler=none asks for none");
    return walkSchedule(compiler.status());
  }
  COMPRESSC_RETURN_IF_ERROR(compiler.status());
  auto files = RuntimeFiles::Find(options.runtimeDirectory);
  if (!files.ok() && !needed && options.runtimeDirectory.empty())
    return walkSchedule(files.status());
  COMPRESSC_RETURN_IF_ERROR(files.status());
  toolchain.compiler = *compiler;
  toolchain.files = *files;
  return toolchain;
}

StatusOr<double> DeployProgram(exec::ProgramOp program, const ModelInfo &info, const std::string &title,
                               const CompileOptions &options, const Toolchain &toolchain,
                               const std::string &directory) {
  std::string payload = absl::StrCat("{\"model\":", SerializeModelInfo(info), ",\n\"schedule\":",
                                     SerializeSchedule(ToSchedule(program)), "}\n");
  std::string runtime = toolchain.runtime;
  double seconds = 0;
  llvm::SmallString<128> compiled;
  llvm::scope_exit removeCompiled([&] {
    if (!compiled.empty())
      llvm::sys::fs::remove(compiled);
  });
  if (!toolchain.compiler.empty()) {
    auto before = std::chrono::steady_clock::now();
    // Not in the staging directory: a compiler that outlives us when we are killed would keep that alive.
    if (std::error_code error = llvm::sys::fs::createTemporaryFile("compressc", "run", compiled))
      return IOError("no temporary file for the compiler: ", error.message());
    runtime = std::string(compiled);
    COMPRESSC_RETURN_IF_ERROR(compile(program, title, toolchain, directory, runtime));
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count();
  }
  std::vector<EmbeddedFile> embedded;
  std::string modelDirectory = directory + "/model";
  if (options.singleFile)
    for (const char *name : {"model.safetensors", "tokenizer.json"})
      embedded.push_back({name, modelDirectory + "/" + name});
  COMPRESSC_RETURN_IF_ERROR(
      WriteExecutable(runtime, directory + "/" + toolchain.productName(), payload, embedded));
  std::error_code ignored; // what stays behind is in the way of nothing
  if (toolchain.library)
    std::filesystem::copy_file(toolchain.files.includes + "/compressc/compressc.h", directory + "/compressc.h",
                               ignored);
  if (options.singleFile)
    std::filesystem::remove_all(modelDirectory, ignored);
  return seconds;
}

} // namespace compressc
