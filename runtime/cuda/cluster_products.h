// Products of 5 to 16 rows on compute capability 9.0; see cluster_products.cu.
#pragma once

#include "kernels.h"

namespace compressc::cuda {

/// Whether the GPU has them, and the weights are of a size at which they are faster.
bool CanMultiplyInClusters(int64_t rows, const StreamedProduct *products, int count);
int64_t ClusterScratchBytes(int64_t rows, const StreamedProduct *products);
void MultiplyInClusters(cudaStream_t stream, const StreamedRows &x, const StreamedProduct *products, int count, DType half,
                        void *scratch);

} // namespace compressc::cuda
