#include "RunCompiler.h"
#include "absl/strings/str_join.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

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

Status RunCompiler(const std::vector<std::string> &arguments, const std::string &without) {
  // What it says goes to a file without a name, of which nothing is left when this process is killed.
  int file = memfd_create("compiler", 0);
  if (file < 0)
    return IOError("no temporary file: ", std::strerror(errno));
  llvm::scope_exit cleanUp([&] { close(file); });
  std::string log = absl::StrCat("/proc/self/fd/", file);
  std::vector<llvm::StringRef> pieces(arguments.begin(), arguments.end());
  std::string reason;
  int code = llvm::sys::ExecuteAndWait(arguments[0], pieces, std::nullopt, {llvm::StringRef(""), log, log},
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

} // namespace compressc
