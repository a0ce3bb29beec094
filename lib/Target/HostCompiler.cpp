// Find and run the compiler of this machine.
#include "compressc/Target/HostCompiler.h"
#include "RunCompiler.h"
#include "absl/strings/str_join.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include <cstdlib>
#include <filesystem>

namespace compressc {

StatusOr<std::string> FindCompiler(const std::string &asked, const std::string &option, const char *variable,
                                   std::vector<std::string> names) {
  if (asked == "none")
    return absl::NotFoundError(option + "=none");
  if (const char *named = std::getenv(variable); named && *named)
    names.insert(names.begin(), named);
  if (!asked.empty())
    names = {asked};
  for (const std::string &name : names)
    if (auto path = llvm::sys::findProgramByName(name))
      return *path;
  if (!asked.empty())
    return Invalid(option, "=", asked, ": there is no such program");
  return absl::NotFoundError(absl::StrCat("neither $", variable, " nor ", absl::StrJoin(names, " or "), " is a program here"));
}

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

Status RunCompiler(const std::vector<std::string> &arguments, const std::string &without) {
  llvm::SmallString<128> log;
  if (std::error_code error = llvm::sys::fs::createTemporaryFile("compressc", "log", log))
    return IOError("no temporary file: ", error.message());
  llvm::scope_exit cleanUp([&] { llvm::sys::fs::remove(log); });
  std::vector<llvm::StringRef> pieces(arguments.begin(), arguments.end());
  std::string reason;
  int code = llvm::sys::ExecuteAndWait(arguments[0], pieces, std::nullopt, {llvm::StringRef(""), log.str(), log.str()},
                                       /*SecondsToWait=*/600, /*MemoryLimit=*/0, &reason);
  if (code == 0)
    return absl::OkStatus();
  auto text = llvm::MemoryBuffer::getFile(log);
  llvm::StringRef message = text ? (*text)->getBuffer() : llvm::StringRef();
  // The first line that says error, else the first.
  llvm::SmallVector<llvm::StringRef> lines;
  message.split(lines, '\n', -1, false);
  llvm::StringRef first = lines.empty() ? llvm::StringRef(reason) : lines.front();
  for (llvm::StringRef line : lines)
    if (line.contains("error")) {
      first = line;
      break;
    }
  return Invalid(arguments[0], " failed: ", first.str(), "; ", without, " does without it");
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
