// What the fuzz targets share. Each is a libFuzzer program over one reader of outside data: whatever the
// bytes, it returns a status or a value and touches no memory but its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <unistd.h>

namespace compressc::fuzz {

inline std::string_view AsText(const uint8_t *data, size_t size) {
  return {reinterpret_cast<const char *>(data), size};
}

/// Calls f(path) with a file that holds the bytes.
template <typename F> void WithFile(const uint8_t *data, size_t size, const F &f) {
  int file = memfd_create("fuzz", 0);
  if (file < 0 || write(file, data, size) != ssize_t(size)) {
    std::perror("fuzz: no memory file");
    std::abort();
  }
  f("/proc/self/fd/" + std::to_string(file));
  close(file);
}

} // namespace compressc::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
