// Every kernel of the table. README.md describes their operands.
#pragma once

#include "compressc/runtime/kernel.h"

namespace compressc {

// Model.
Status AddKernel(KernelContext &context, const KernelCall &call);
Status AttentionKernel(KernelContext &context, const KernelCall &call);
Status EmbeddingKernel(KernelContext &context, const KernelCall &call);
Status GatedActivationKernel(KernelContext &context, const KernelCall &call);
Status LayerNormKernel(KernelContext &context, const KernelCall &call);
Status LinearKernel(KernelContext &context, const KernelCall &call);
Status MulKernel(KernelContext &context, const KernelCall &call);
Status RmsNormKernel(KernelContext &context, const KernelCall &call);
Status RotaryEmbeddingKernel(KernelContext &context, const KernelCall &call);
Status SelectRowsKernel(KernelContext &context, const KernelCall &call);

// Weights and calibration.
Status AwqScaleKernel(KernelContext &context, const KernelCall &call);
Status ClipKernel(KernelContext &context, const KernelCall &call);
Status ConvertKernel(KernelContext &context, const KernelCall &call);
Status DequantizeKernel(KernelContext &context, const KernelCall &call);
Status ExpandHeadsKernel(KernelContext &context, const KernelCall &call);
Status LoraMergeKernel(KernelContext &context, const KernelCall &call);
Status ObserveCosineKernel(KernelContext &context, const KernelCall &call);
Status ObserveKernel(KernelContext &context, const KernelCall &call);
Status OutputErrorKernel(KernelContext &context, const KernelCall &call);
Status QuantizeKernel(KernelContext &context, const KernelCall &call);
Status ScaleColumnsKernel(KernelContext &context, const KernelCall &call);
Status ScaleRowsKernel(KernelContext &context, const KernelCall &call);
Status ScaleStatisticsKernel(KernelContext &context, const KernelCall &call);
/// Only where it is linked; see CMakeLists.txt.
[[gnu::weak]] Status SvdKernel(KernelContext &context, const KernelCall &call);
Status OffsetKernel(KernelContext &context, const KernelCall &call);
Status TransposeKernel(KernelContext &context, const KernelCall &call);
Status UnpermuteRowsKernel(KernelContext &context, const KernelCall &call);

} // namespace compressc
