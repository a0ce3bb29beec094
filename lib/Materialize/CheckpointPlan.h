// Which weights the new checkpoint holds: names and types, before anything is computed.
#pragma once

#include "compressc/Conversion/Passes.h"
#include "compressc/Formats/Formats.h"

namespace compressc {

struct CheckpointPlan {
  /// What is stored, as tensors that have no data yet.
  std::vector<std::pair<std::string, Tensor>> weights;
  /// Parameters that are stored as they are; they are among the weights.
  std::vector<lm::ParamOp> unchanged;
  int64_t parameters = 0;
  int64_t originalWeightBytes = 0;
  int64_t fileBytes = 0; // of OUT/model's weights

  /// The tensors of a file that holds the weights in a format.
  std::vector<SafetensorsWriter::Entry> entries(const CheckpointFormat &format) const;
};

StatusOr<CheckpointPlan> PlanCheckpoint(mlir::ModuleOp module, llvm::ArrayRef<BoundWeight> weights);

} // namespace compressc
