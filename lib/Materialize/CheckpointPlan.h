// Which tensors the new checkpoint holds: names, types and sizes, before anything is computed.
#pragma once

#include "compressc/Conversion/Passes.h"
#include "compressc/runtime/safetensors.h"

namespace compressc {

struct CheckpointPlan {
  std::vector<SafetensorsWriter::Entry> entries;
  /// Parameters that are stored as they are.
  std::vector<lm::ParamOp> unchanged;
  int64_t parameters = 0;
  int64_t originalWeightBytes = 0;
  int64_t fileBytes = 0; // of the new checkpoint
};

StatusOr<CheckpointPlan> PlanCheckpoint(mlir::ModuleOp module, llvm::ArrayRef<BoundWeight> weights);

/// Writes a tensor under its export name; a packed one as P.weight_packed, P.weight_scale,
/// P.weight_zero_point and P.weight_shape.
Status WriteTensor(SafetensorsWriter &writer, llvm::StringRef name, const Tensor &tensor);

} // namespace compressc
