// A run of an emitted program; see compressc/runtime/program.h.
#pragma once

#include "../ops/program_weight.h"
#include "compressc/runtime/program.h"

namespace compressc {

/// Runs an entry point of an emitted program.
Status RunProgram(void (*entry)(program::Run &), const KernelContext &context, uint8_t *arena,
                  const ProgramWeight *weights, CacheView *caches);

} // namespace compressc

struct compressc::program::Run {
  compressc::KernelContext context;
  uint8_t *arena;
  const compressc::ProgramWeight *weights;
  compressc::CacheView *caches;
  compressc::Status status;

  int64_t rows(Value value) const {
    return value.rows == Rows::Tokens ? context.batch->rows() : int64_t(context.batch->selectedRows.size());
  }
  float *at(Value value) const { return reinterpret_cast<float *>(arena + value.offset); }
  /// Values that may be of either type.
  compressc::Activations activations(Value value) const {
    return {arena + value.offset, value.type == Type::BF16 ? compressc::DType::BF16 : compressc::DType::F32};
  }
  const float *vector(Weight weight) const { return weight == none ? nullptr : weights[weight].vector.data(); }
};
