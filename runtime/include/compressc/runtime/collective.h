// What several devices of one process compute together.
#pragma once

#include "compressc/runtime/status.h"
#include "absl/types/span.h"
#include <cstdint>
#include <memory>
#include <vector>

namespace compressc {

class Device;

class Collective {
public:
  virtual ~Collective() = default;

  enum class Number : uint8_t { I32, I64, F32, F64 };
  /// Arrays of `count` numbers, the i-th in the memory of the i-th device.
  struct Addends {
    std::vector<void *> arrays;
    int64_t count;
    Number type;
  };
  /// Adds up into the first device's arrays, behind the work that each device was given before, and waits. No other
  /// thread uses one of the devices meanwhile. The same devices add in the same order each time. After an error nothing
  /// can be added any more.
  virtual Status sum(absl::Span<const Addends> sums) = 0;
};

/// Of at least two different GPUs, from OpenCudaDevice, which live longer. Says when NCCL is missing.
StatusOr<std::unique_ptr<Collective>> OpenCudaCollective(absl::Span<Device *const> devices);

} // namespace compressc
