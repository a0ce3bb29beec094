// Every kernel of the CPU: what the table calls, and what emitted programs call on operands that were checked when they
// were emitted. runtime/cpu/README.md describes the kernels.
#pragma once

#include "../ops/model_kernels.h"
#include "../ops/weight_kernels.h"

namespace compressc {

#define COMPRESSC_KERNEL(name, function, ...)                                                      \
  Status function##Kernel(KernelContext &context, const KernelCall &call);
#define COMPRESSC_CPU_KERNEL COMPRESSC_KERNEL
#include "../ops/kernels.def"
#undef COMPRESSC_KERNEL
#undef COMPRESSC_CPU_KERNEL
/// Only where it is linked; see CMakeLists.txt.
[[gnu::weak]] Status SvdKernel(KernelContext &context, const KernelCall &call);

/// Each run of `run` columns by itself; `out` may be x.
void RmsNorm(KernelContext &context, const float *x, int64_t rows, int64_t width, const float *weight,
             int64_t run, float epsilon, float *out);
void Linear(KernelContext &context, const LinearOperands &operands);
/// `out` may be x.
void RotaryEmbedding(KernelContext &context, const float *x, int64_t rows, int64_t width,
                     const Rotation &rotation, float *out);
/// The same; row r of x becomes row to[r] of out, or row r where `to` is null.
void RotateRows(KernelContext &context, const float *x, int64_t rows, int64_t width, const Rotation &rotation,
                const int32_t *to, float *out);
/// Writes keys and values to the cache, then attends. The batch's slots are inside the cache.
void Attention(KernelContext &context, const AttentionOperands &operands);

/// Row `row` of the weight as fp32, out[columns].
void DequantizeRow(const WeightMatrix &w, int64_t row, float *out);

/// At least one token was observed, and every number is finite.
Status CheckStatisticsValues(KernelContext &context, const StatisticsView &statistics, absl::string_view what);

} // namespace compressc
