#include "compressc/runtime/device.h"
#include "kernels.h"
#include "model_kernels.h"
#include "operands.h"

namespace compressc {
namespace {

/// Runs f(a, b, count, out) on runs of rows.
template <typename F>
void onRuns(KernelContext &context, const float *a, const float *b, int64_t rows, int64_t width,
            float *out, const F &f) {
  ForRows(context, rows, width, [&](int64_t begin, int64_t end, int) {
    int64_t at = begin * width;
    f(a + at, b + at, (end - begin) * width, out + at);
  });
}

/// Calls f(a, b, rows, width, out) for two equally shaped inputs.
template <typename F> Status binary(std::string_view name, const KernelCall &call, const F &f) {
  Operands operands(name, call);
  COMPRESSC_RETURN_IF_ERROR(operands.counts(2, 2, 1));
  COMPRESSC_ASSIGN_OR_RETURN(float *a, operands.matrix(call.inputs[0], "the first input"));
  int64_t rows = call.inputs[0].dim(0), width = call.inputs[0].dim(1);
  COMPRESSC_ASSIGN_OR_RETURN(float *b,
                             operands.matrix(call.inputs[1], "the second input", rows, width));
  COMPRESSC_ASSIGN_OR_RETURN(float *out,
                             operands.matrix(call.outputs[0], "the output", rows, width));
  f(a, b, rows, width, out);
  return absl::OkStatus();
}

} // namespace

void Add(KernelContext &context, const float *a, const float *b, int64_t rows, int64_t width, float *out) {
  if (context.device)
    return context.device->add(a, b, rows * width, out);
  onRuns(context, a, b, rows, width, out, [](const float *a, const float *b, int64_t count, float *out) {
    COMPRESSC_ISA_CALL(addArrays, a, b, count, out);
  });
}

void Mul(KernelContext &context, const float *a, const float *b, int64_t rows, int64_t width, float *out) {
  if (context.device)
    return context.device->mul(a, b, rows * width, out);
  onRuns(context, a, b, rows, width, out, [](const float *a, const float *b, int64_t count, float *out) {
    COMPRESSC_ISA_CALL(mulArrays, a, b, count, out);
  });
}

void GatedActivation(KernelContext &context, Activation kind, const float *gate, const float *up,
                     int64_t rows, int64_t width, float *out) {
  if (context.device)
    return context.device->gatedActivation(kind, gate, up, rows * width, out);
  onRuns(context, gate, up, rows, width, out,
         [=](const float *gate, const float *up, int64_t count, float *out) {
           COMPRESSC_ISA_CALL(gatedActivation, kind, gate, up, count, out);
         });
}

Status AddKernel(KernelContext &context, const KernelCall &call) {
  return binary("add", call, [&](auto... operands) { Add(context, operands...); });
}

Status MulKernel(KernelContext &context, const KernelCall &call) {
  return binary("mul", call, [&](auto... operands) { Mul(context, operands...); });
}

Status GatedActivationKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(std::string kind, call.attributes.getString("kind"));
  std::optional<Activation> activation = ActivationFromName(kind);
  if (!activation)
    return Invalid("gated_activation: the kind '", kind,
                   "' is unknown; choose silu, gelu, gelu_tanh or relu");
  return binary("gated_activation", call,
                [&](auto... operands) { GatedActivation(context, *activation, operands...); });
}

} // namespace compressc
