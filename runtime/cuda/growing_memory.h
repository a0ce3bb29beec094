// Device memory that grows where it lies: addresses are reserved at once, memory is put behind them when it is asked
// for. So a KV cache takes what it uses, and pointers into it stay.
#pragma once

#include "compressc/runtime/status.h"
#include <vector>

namespace compressc::cuda {

class GrowingMemory {
public:
  /// Reserves addresses for `bytes` of a device's memory.
  static StatusOr<GrowingMemory> Reserve(int64_t bytes, int device);
  GrowingMemory(GrowingMemory &&other) noexcept { *this = std::move(other); }
  GrowingMemory &operator=(GrowingMemory &&other) noexcept;
  ~GrowingMemory();

  void *data() const { return reinterpret_cast<void *>(base); }
  /// That have memory behind them.
  int64_t bytes() const { return committed; }
  /// How many bytes commit() would add.
  int64_t missing(int64_t bytes) const;
  /// Puts memory behind the first `bytes`, at least; it is not zeroed. ResourceExhausted when there is too little.
  Status commit(int64_t bytes);

private:
  GrowingMemory() = default;
  int64_t rounded(int64_t bytes) const { return (bytes + unit - 1) / unit * unit; }
  struct Block {
    unsigned long long handle;
    int64_t bytes;
  };
  unsigned long long base = 0;
  int64_t reserved = 0, committed = 0, unit = 1;
  int device = 0;
  std::vector<Block> blocks;
};

} // namespace compressc::cuda
