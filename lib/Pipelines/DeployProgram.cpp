#include "DeployProgram.h"
#include "compressc/Conversion/ToSchedule.h"
#include "compressc/Target/EmitCpp.h"
#include "compressc/Target/EmitCuda.h"
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

/// A name for the compiler's output that goes with its file. Not in the staging directory: a compiler that outlives us
/// when we are killed would keep that alive.
class TemporaryFile {
public:
  ~TemporaryFile() {
    if (!path.empty())
      llvm::sys::fs::remove(path);
  }
  StatusOr<std::string> create(llvm::StringRef suffix) {
    if (std::error_code error = llvm::sys::fs::createTemporaryFile("compressc", suffix, path))
      return IOError("no temporary file for the compiler: ", error.message());
    return std::string(path);
  }

private:
  llvm::SmallString<128> path;
};

using Emitter = Status(exec::ProgramOp, llvm::StringRef, llvm::raw_ostream &);

Status emit(Emitter *emitter, exec::ProgramOp program, const std::string &title, const std::string &path) {
  std::string source;
  llvm::raw_string_ostream stream(source);
  COMPRESSC_RETURN_IF_ERROR(emitter(program, title, stream));
  return WriteFileAtomically(path, source);
}

/// Emits the sources to `directory`, compiles and links them.
StatusOr<CompileSeconds> compile(exec::ProgramOp program, const std::string &title, const Toolchain &toolchain,
                                 const std::string &directory, const std::string &output) {
  CompileSeconds seconds;
  auto timed = [](double &seconds, auto work) {
    auto before = std::chrono::steady_clock::now();
    Status status = work();
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count();
    return status;
  };
  std::vector<std::string> sources{directory + "/program.cpp"};
  COMPRESSC_RETURN_IF_ERROR(emit(EmitCpp, program, title, sources[0]));
  TemporaryFile object;
  if (!toolchain.nvcc.empty()) {
    std::string source = directory + "/program.cu";
    COMPRESSC_RETURN_IF_ERROR(emit(EmitCuda, program, title, source));
    COMPRESSC_ASSIGN_OR_RETURN(sources.emplace_back(), object.create("o"));
    COMPRESSC_RETURN_IF_ERROR(timed(seconds.cuda, [&] {
      return CompileCuda(toolchain.nvcc, toolchain.files, toolchain.architectures, source, sources[1]);
    }));
  }
  COMPRESSC_RETURN_IF_ERROR(timed(seconds.host, [&] {
    return CompileProgram(toolchain.compiler, toolchain.files,
                          toolchain.library ? Product::SharedLibrary : Product::Executable, sources, output);
  }));
  return seconds;
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
  if (options.target != "cuda" || toolchain.library)
    return toolchain;
  auto nvcc = FindCudaCompiler(options.nvcc);
  if (absl::IsNotFound(nvcc.status())) {
    toolchain.cudaNote = std::string(nvcc.status().message());
    return toolchain;
  }
  COMPRESSC_RETURN_IF_ERROR(nvcc.status());
  toolchain.nvcc = *nvcc;
  COMPRESSC_ASSIGN_OR_RETURN(toolchain.architectures, CudaArchitectures(options.architectures));
  return toolchain;
}

StatusOr<CompileSeconds> DeployProgram(exec::ProgramOp program, const ModelInfo &info, const std::string &title,
                               const CompileOptions &options, const Toolchain &toolchain,
                               const std::string &directory) {
  std::string payload = absl::StrCat("{\"model\":", SerializeModelInfo(info), ",\n\"schedule\":",
                                     SerializeSchedule(ToSchedule(program)), "}\n");
  std::string runtime = toolchain.runtime;
  CompileSeconds seconds;
  TemporaryFile compiled;
  if (!toolchain.compiler.empty()) {
    COMPRESSC_ASSIGN_OR_RETURN(runtime, compiled.create("run"));
    COMPRESSC_ASSIGN_OR_RETURN(seconds, compile(program, title, toolchain, directory, runtime));
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
