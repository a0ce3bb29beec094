#include "runtime/tasks/output.h"
#include "compressc/runtime/safetensors.h"
#include <cstdio>
#include <filesystem>

namespace compressc {
namespace {

bool isSpecial(const std::string &path) {
  std::error_code error;
  std::filesystem::file_status status = std::filesystem::status(path, error);
  return std::filesystem::exists(status) && !std::filesystem::is_regular_file(status) &&
         !std::filesystem::is_directory(status);
}

bool writeAll(std::FILE *file, const std::string &contents) {
  return std::fwrite(contents.data(), 1, contents.size(), file) == contents.size() &&
         std::fflush(file) == 0;
}

} // namespace

bool WritesFile(const std::string &path) { return !path.empty() && path != "-" && !isSpecial(path); }

Status WriteOutput(const std::string &path, const std::string &contents) {
  if (path == "-")
    return writeAll(stdout, contents) ? absl::OkStatus()
                                      : IOError("standard output could not be written");
  if (!isSpecial(path))
    return WriteFileAtomically(path, contents);
  std::FILE *file = std::fopen(path.c_str(), "wb");
  if (!file)
    return IOError(path, ": cannot be opened for writing");
  bool written = writeAll(file, contents);
  if (std::fclose(file) != 0 || !written)
    return IOError(path, ": could not be written");
  return absl::OkStatus();
}

} // namespace compressc
