#include "compressc/runtime/device.h"
#include "kernels.h"
#include "model_kernels.h"
#include "operands.h"

namespace compressc {

void RmsNorm(KernelContext &context, const float *x, int64_t rows, int64_t width, const float *weight,
             int64_t run, float epsilon, float *out) {
  if (context.device)
    return context.device->rmsNorm(x, rows, width, weight, run, epsilon, out);
  ForRows(context, rows, width, [&](int64_t begin, int64_t end, int) {
    for (int64_t at = begin * width; at < end * width; at += run)
      COMPRESSC_ISA_CALL(rmsNorm, x + at, weight, run, epsilon, out + at);
  });
}

void LayerNorm(KernelContext &context, const float *x, int64_t rows, int64_t width, const float *weight,
               const float *bias, float epsilon, float *out) {
  if (context.device)
    return context.device->layerNorm(x, rows, width, weight, bias, epsilon, out);
  ForRows(context, rows, width, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row)
      COMPRESSC_ISA_CALL(layerNorm, x + row * width, weight, bias, width, epsilon,
                         out + row * width);
  });
}

Status RmsNormKernel(KernelContext &context, const KernelCall &call) {
  Operands operands("rms_norm", call);
  COMPRESSC_RETURN_IF_ERROR(operands.counts(2, 2, 1));
  COMPRESSC_ASSIGN_OR_RETURN(float epsilon, operands.epsilon());
  COMPRESSC_ASSIGN_OR_RETURN(float *x, operands.matrix(call.inputs[0], "x"));
  int64_t rows = call.inputs[0].dim(0), width = call.inputs[0].dim(1);
  COMPRESSC_ASSIGN_OR_RETURN(float *out,
                             operands.matrix(call.outputs[0], "the output", rows, width));
  int64_t run = call.inputs[1].rank() == 1 ? call.inputs[1].dim(0) : 0;
  if (run < 1 || width % run)
    return operands.error("the weight is ", Describe(call.inputs[1]), "; its size must divide x's ",
                          width, " columns");
  std::vector<float> storage;
  COMPRESSC_ASSIGN_OR_RETURN(const float *weight,
                             VectorAsFloats(call.inputs[1], run, "rms_norm: the weight", storage));
  RmsNorm(context, x, rows, width, weight, run, epsilon, out);
  return absl::OkStatus();
}

Status LayerNormKernel(KernelContext &context, const KernelCall &call) {
  Operands operands("layer_norm", call);
  COMPRESSC_RETURN_IF_ERROR(operands.counts(2, 3, 1));
  COMPRESSC_ASSIGN_OR_RETURN(float epsilon, operands.epsilon());
  COMPRESSC_ASSIGN_OR_RETURN(float *x, operands.matrix(call.inputs[0], "x"));
  int64_t rows = call.inputs[0].dim(0), width = call.inputs[0].dim(1);
  COMPRESSC_ASSIGN_OR_RETURN(float *out,
                             operands.matrix(call.outputs[0], "the output", rows, width));
  std::vector<float> weightStorage, biasStorage;
  COMPRESSC_ASSIGN_OR_RETURN(
      const float *weight,
      VectorAsFloats(call.inputs[1], width, "layer_norm: the weight", weightStorage));
  const float *bias = nullptr;
  if (call.inputs.size() == 3) {
    COMPRESSC_ASSIGN_OR_RETURN(
        bias, VectorAsFloats(call.inputs[2], width, "layer_norm: the bias", biasStorage));
  }
  LayerNorm(context, x, rows, width, weight, bias, epsilon, out);
  return absl::OkStatus();
}

} // namespace compressc
