// A file that appears under its name only when it is complete.
#pragma once

#include "compressc/runtime/status.h"
#include <cstdint>
#include <memory>
#include <string>

namespace compressc {

class OutputFile {
public:
  /// Creates PATH.tmp with room for `bytes`. Where several processes may write the same file, `suffix`
  /// must tell them apart.
  static StatusOr<std::unique_ptr<OutputFile>> Create(const std::string &path, int64_t bytes,
                                                      const std::string &suffix = ".tmp");
  ~OutputFile(); // removes the temporary file when commit() did not succeed
  OutputFile(const OutputFile &) = delete;
  OutputFile &operator=(const OutputFile &) = delete;

  /// May be called from several threads for different ranges.
  Status writeAt(int64_t offset, const void *data, int64_t bytes);
  /// Makes the file end there: after the last write, or in zeros behind it.
  Status resize(int64_t bytes);
  /// Makes file and name durable: fsync, rename, fsync of the directory.
  Status commit();
  const std::string &path() const { return finalPath; }

private:
  OutputFile() = default;
  Status failed(const char *action) const;
  std::string finalPath, temporaryPath;
  int descriptor = -1;
  bool committed = false;
};

} // namespace compressc
