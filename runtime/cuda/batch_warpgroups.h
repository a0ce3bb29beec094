// Products of 5 to 64 rows on compute capability 9.0; see batch_warpgroups.cu.
#pragma once

#include "kernels.h"

namespace compressc::cuda {

/// Whether the GPU has them and they are faster there.
bool CanMultiplyBatchWarpgroups(int64_t rows, const StreamedProduct *products, int count);
int64_t BatchWarpgroupsScratchBytes(int64_t rows, const StreamedProduct *products, int count);
/// Which are 0 between launches.
int BatchWarpgroupsCounters(int64_t rows, const StreamedProduct *products, int count);
void MultiplyBatchWarpgroups(cudaStream_t stream, const StreamedRows &x, const StreamedProduct *products, int count, DType half,
                             void *scratch, int32_t *counters);

} // namespace compressc::cuda
