// Everything is written under a temporary name and renamed at the end.
#include "compressc/Export/Export.h"
#include "compressc/runtime/model.h"
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <unistd.h>

namespace fs = std::filesystem;

namespace compressc {
namespace {

/// OUT of an earlier run, which may be replaced.
bool madeByUs(const fs::path &path) {
  std::error_code error;
  return fs::is_regular_file(path / "report.json", error) &&
         (ReadPayload((path / "run").string()).ok() || ReadPayload((path / "libmodel.so").string()).ok());
}

Status syncDirectory(const fs::path &path) {
  int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY);
  if (descriptor < 0 || ::fsync(descriptor) != 0) {
    int code = errno;
    if (descriptor >= 0)
      ::close(descriptor);
    return IOError(path.string(), ": ", std::generic_category().message(code));
  }
  ::close(descriptor);
  return absl::OkStatus();
}

/// OUT as an absolute path without a slash at its end.
fs::path normalPath(const std::string &output) {
  std::error_code error;
  fs::path path = fs::absolute(output, error).lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

/// A directory that its process has locked as long as it lives, or -1.
int lockDirectory(const fs::path &path) {
  int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (descriptor >= 0 && ::flock(descriptor, LOCK_EX | LOCK_NB) == 0)
    return descriptor;
  if (descriptor >= 0)
    ::close(descriptor);
  return -1;
}

/// Removes temporary directories of runs that were killed.
void removeStale(const fs::path &path) {
  std::error_code error;
  std::string prefix = path.filename().string() + ".tmp-";
  std::vector<fs::path> stale;
  for (const fs::directory_entry &entry : fs::directory_iterator(path.parent_path(), error)) {
    std::string name = entry.path().filename().string();
    if (name.compare(0, prefix.size(), prefix) == 0 &&
        name.find_first_not_of("0123456789", prefix.size()) == std::string::npos)
      stale.push_back(entry.path());
  }
  for (const fs::path &directory : stale)
    if (int lock = lockDirectory(directory); lock >= 0) {
      fs::remove_all(directory, error);
      ::close(lock);
    }
}

} // namespace

std::string DefaultStore(const std::string &output) { return normalPath(output).string() + ".store"; }

StatusOr<std::unique_ptr<StagingDirectory>> StagingDirectory::Create(const std::string &output) {
  std::error_code error;
  fs::path path = normalPath(output);
  if (fs::exists(path, error) && !madeByUs(path) &&
      !(fs::is_directory(path, error) && fs::is_empty(path, error)))
    return Invalid(output, " exists and compressc did not make it; remove it or choose another -o");
  std::unique_ptr<StagingDirectory> staging(new StagingDirectory);
  staging->output = path.string();
  staging->temporary = path.string() + ".tmp-" + std::to_string(::getpid());
  fs::create_directories(path.parent_path(), error);
  removeStale(path);
  COMPRESSC_RETURN_IF_ERROR(staging->makeDirectory("model").status());
  staging->lock = lockDirectory(staging->temporary);
  return staging;
}

StatusOr<std::string> StagingDirectory::makeDirectory(const std::string &name) {
  std::error_code error;
  fs::path path = fs::path(temporary) / name;
  if (!fs::create_directories(path, error) || error) {
    std::string reason = error ? error.message() : "exists";
    return IOError("can't create ", temporary, ": ", reason, "; choose another -o");
  }
  return path.string();
}

StagingDirectory::~StagingDirectory() {
  if (lock >= 0)
    ::close(lock);
  std::error_code error;
  if (!temporary.empty())
    fs::remove_all(temporary, error);
}

Status StagingDirectory::commit() {
  std::error_code error;
  for (const fs::directory_entry &entry : fs::directory_iterator(temporary, error))
    if (entry.is_directory(error))
      COMPRESSC_RETURN_IF_ERROR(syncDirectory(entry.path()));
  COMPRESSC_RETURN_IF_ERROR(syncDirectory(temporary));
  std::string old = output + ".old-" + std::to_string(::getpid());
  bool replaces = fs::exists(output, error);
  if (replaces)
    fs::rename(output, old, error);
  if (!error)
    fs::rename(temporary, output, error);
  if (error) {
    std::string reason = error.message();
    if (replaces && !fs::exists(output, error))
      fs::rename(old, output, error);
    return IOError("can't rename ", temporary, " to ", output, ": ", reason);
  }
  temporary.clear();
  fs::remove_all(old, error);
  return syncDirectory(fs::path(output).parent_path());
}

} // namespace compressc
