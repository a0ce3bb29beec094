#include "gemm.h"
#include "kernels.h"
#include "operands.h"

namespace compressc {

static bool overlap(const float *a, int64_t countA, const float *b, int64_t countB) {
  return a < b + countB && b < a + countA;
}

Status LinearKernel(KernelContext &context, const KernelCall &call) {
  Operands operands("linear", call);
  std::string epilogueName = call.attributes.getStringOr("epilogue", "");
  if (!epilogueName.empty() && epilogueName != "add")
    return operands.error("the epilogue '", epilogueName, "' is unknown; only \"add\" is");
  size_t residuals = epilogueName == "add";
  COMPRESSC_RETURN_IF_ERROR(operands.counts(2 + residuals, 3 + residuals, 1));

  COMPRESSC_ASSIGN_OR_RETURN(WeightMatrix w,
                             WeightMatrix::Create(call.inputs[1], "linear: the weight"));
  COMPRESSC_ASSIGN_OR_RETURN(float *x, operands.matrix(call.inputs[0], "x", -1, w.columns));
  int64_t rows = call.inputs[0].dim(0);
  COMPRESSC_ASSIGN_OR_RETURN(float *out,
                             operands.matrix(call.outputs[0], "the output", rows, w.rows));
  if (overlap(x, rows * w.columns, out, rows * w.rows))
    return operands.error("x and the output overlap");

  GemmEpilogue epilogue;
  std::vector<float> bias;
  if (call.inputs.size() == 3 + residuals) {
    COMPRESSC_ASSIGN_OR_RETURN(epilogue.bias,
                               VectorAsFloats(call.inputs[2], w.rows, "linear: the bias", bias));
  }
  if (residuals) {
    COMPRESSC_ASSIGN_OR_RETURN(epilogue.residual,
                               operands.matrix(call.inputs.back(), "the residual", rows, w.rows));
    epilogue.residualStride = w.rows;
  }
  Gemm(context, rows, w.rows, w.columns, x, w.columns, w, out, w.rows, epilogue);
  return absl::OkStatus();
}

} // namespace compressc
