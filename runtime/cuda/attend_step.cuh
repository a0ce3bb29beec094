// Attention of one query for each sequence; see attend_step.cu.
#pragma once

#include "half.cuh"
#include "kernels.h"

namespace compressc::cuda {

/// 16-bit caches, heads of 64 or 128, up to 8 query heads for each key head, one query for each tile.
bool CanAttendStep(const Attention &attention);
void AttendStep(cudaStream_t stream, const Attention &attention);

} // namespace compressc::cuda
