// Attention of one query for each sequence; see attend_step.cu.
#pragma once

#include "kernels.h"
#include <cuda_bf16.h>

namespace compressc::cuda {

/// An element of an attention's result.
__device__ __forceinline__ void StoreOut(const Attention &a, int64_t at, float v) {
  if (a.outType == DType::BF16)
    static_cast<__nv_bfloat16 *>(a.out)[at] = __float2bfloat16(v);
  else
    static_cast<float *>(a.out)[at] = v;
}

/// bf16 caches, heads of 64 or 128, up to 8 query heads for each key head, one query for each tile.
bool CanAttendStep(const Attention &attention);
void AttendStep(cudaStream_t stream, const Attention &attention);

} // namespace compressc::cuda
