#include "zeroed_memory.h"
#include <cerrno>
#include <cstring>
#include <string>
#include <sys/mman.h>

namespace compressc {

StatusOr<ZeroedMemory> ZeroedMemory::Map(int64_t bytes, std::string_view what) {
  ZeroedMemory memory;
  if (bytes == 0)
    return memory;
  void *base = mmap(nullptr, size_t(bytes), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED)
    return absl::ResourceExhaustedError(absl::StrCat(
        "cannot reserve ", bytes, " bytes for ", std::string(what), ": ", std::strerror(errno)));
  memory.base = base;
  memory.length = size_t(bytes);
  return memory;
}

ZeroedMemory::~ZeroedMemory() {
  if (base)
    munmap(base, length);
}

} // namespace compressc
