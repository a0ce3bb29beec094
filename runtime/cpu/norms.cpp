#include "isa/functions.h"
#include "kernels.h"
#include "rows.h"

namespace compressc {

void RmsNorm(KernelContext &context, const float *x, int64_t rows, int64_t width, const float *weight,
             int64_t run, float epsilon, float *out) {
  ForRows(context, rows, width, [&](int64_t begin, int64_t end, int) {
    for (int64_t at = begin * width; at < end * width; at += run)
      COMPRESSC_ISA_CALL(rmsNorm, x + at, weight, run, epsilon, out + at);
  });
}

Status RmsNormKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(NormOperands norm, ReadRmsNorm(call));
  RmsNorm(context, norm.x, norm.rows, norm.width, norm.weight.data(), norm.run, norm.epsilon, norm.out);
  return absl::OkStatus();
}

Status LayerNormKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(NormOperands norm, ReadLayerNorm(call));
  int64_t width = norm.width;
  ForRows(context, norm.rows, width, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row)
      COMPRESSC_ISA_CALL(layerNorm, norm.x + row * width, norm.weight.data(), norm.bias.data(), width,
                         norm.epsilon, norm.out + row * width);
  });
  return absl::OkStatus();
}

} // namespace compressc
