#include "RunCompiler.h"
#include "absl/strings/str_join.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include <cstdlib>

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

} // namespace compressc
