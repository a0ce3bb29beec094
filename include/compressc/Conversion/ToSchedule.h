// An exec program as the runtime's data structure.
#pragma once

#include "compressc/runtime/schedule.h"
#include "dialects/Exec/Exec.h"

namespace compressc {

/// The runtime's type of an IR type, or nullopt for one that no buffer or weight can have.
struct StorageType {
  DType dtype;
  std::vector<int64_t> shape; // -1 for a dynamic dimension
  PackedFormat packed;
};
std::optional<StorageType> ToStorageType(mlir::Type type);

Schedule ToSchedule(exec::ProgramOp program);

} // namespace compressc
