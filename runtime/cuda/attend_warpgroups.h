// Attention of tiles of queries on compute capability 9.0; see attend_warpgroups.cu. For comparisons, also the kernel
// that other GPUs take.
#pragma once

#include "kernels.h"

namespace compressc::cuda {

/// Caches of 16 bits, heads of 64 or 128, a scale above 0, and a GPU of 9.0.
bool CanAttendWarpgroups(const Attention &attention);
/// So many keys at a time: 64 or 128.
void AttendWarpgroups(cudaStream_t stream, const Attention &attention, int keyTile = 64);

/// attention.cu: caches of 16 bits and heads of 64 or 128 on any GPU.
void AttendTiles(cudaStream_t stream, const Attention &attention);

} // namespace compressc::cuda
