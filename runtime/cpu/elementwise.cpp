#include "isa/functions.h"
#include "kernels.h"
#include "rows.h"

namespace compressc {
namespace {

/// Runs f(a, b, count, out) on runs of rows.
template <typename F>
Status onRuns(KernelContext &context, std::string_view kernel, const KernelCall &call, const F &f) {
  COMPRESSC_ASSIGN_OR_RETURN(ElementwiseOperands operands, ReadElementwise(kernel, call));
  ForRows(context, operands.rows, operands.width, [&](int64_t begin, int64_t end, int) {
    int64_t at = begin * operands.width;
    f(operands.a + at, operands.b + at, (end - begin) * operands.width, operands.out + at);
  });
  return absl::OkStatus();
}

} // namespace

Status AddKernel(KernelContext &context, const KernelCall &call) {
  return onRuns(context, "add", call, [](const float *a, const float *b, int64_t count, float *out) {
    COMPRESSC_ISA_CALL(addArrays, a, b, count, out);
  });
}

Status MulKernel(KernelContext &context, const KernelCall &call) {
  return onRuns(context, "mul", call, [](const float *a, const float *b, int64_t count, float *out) {
    COMPRESSC_ISA_CALL(mulArrays, a, b, count, out);
  });
}

Status GatedActivationKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(Activation kind, ReadActivation(call));
  return onRuns(context, "gated_activation", call,
                [kind](const float *gate, const float *up, int64_t count, float *out) {
                  COMPRESSC_ISA_CALL(gatedActivation, kind, gate, up, count, out);
                });
}

} // namespace compressc
