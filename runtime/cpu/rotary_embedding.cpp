#include "compressc/runtime/device.h"
#include "batch_rows.h"
#include "kernels.h"
#include "rotary.h"
#include <cmath>

namespace compressc {

void RotateRows(KernelContext &context, const float *x, int64_t rows, int64_t width, const Rotation &rotation,
                const int32_t *to, float *out) {
  std::vector<int32_t> positions =
      rotation.selected ? SelectedPositions(*context.batch) : RowPositions(*context.batch);
  int64_t dim = rotation.dim, half = dim / 2;
  ForRows(context, rows, width, [&](int64_t begin, int64_t end, int worker) {
    float *angles =
        static_cast<float *>(context.scratch.worker(worker, size_t(dim) * sizeof(float)));
    for (int64_t row = begin; row < end; ++row) {
      COMPRESSC_ISA_CALL(rotaryAngles, float(positions[row]), rotation.frequencies, half, rotation.factor,
                         angles, angles + half);
      const float *from = x + row * width;
      float *target = out + (to ? to[row] : row) * width;
      for (int64_t at = 0; at < width; at += dim) {
        const float *head = from + at;
        if (rotation.norm) {
          COMPRESSC_ISA_CALL(rmsNorm, head, rotation.norm, dim, rotation.epsilon, target + at);
          head = target + at;
        }
        COMPRESSC_ISA_CALL(rotateHead, head, angles, angles + half, half, target + at);
      }
    }
  });
}

void RotaryEmbedding(KernelContext &context, const float *x, int64_t rows, int64_t width,
                     const Rotation &rotation, float *out) {
  if (context.device)
    return context.device->rotaryEmbedding(x, rows, width, rotation, out);
  RotateRows(context, x, rows, width, rotation, nullptr, out);
}

StatusOr<Rotation> ReadRotation(const Operands &operands, const KernelCall &call, int64_t dim, std::vector<float> &storage) {
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<double> wide, call.attributes.getFloats("frequencies"));
  if (dim % 2 || int64_t(wide.size()) != dim / 2)
    return operands.error(wide.size(), " frequencies given; heads of ", dim, " columns take half as many");
  storage.assign(wide.begin(), wide.end());
  for (float frequency : storage)
    if (!std::isfinite(frequency))
      return operands.error("a frequency is not finite");
  Rotation rotation;
  rotation.dim = dim;
  rotation.frequencies = storage.data();
  rotation.factor = float(call.attributes.getFloatOr("attention_factor", 1.0));
  return rotation;
}

Status RotaryEmbeddingKernel(KernelContext &context, const KernelCall &call) {
  Operands operands("rotary_embedding", call);
  COMPRESSC_RETURN_IF_ERROR(operands.counts(1, 2, 1));
  COMPRESSC_ASSIGN_OR_RETURN(int64_t dim, call.attributes.getInt("head_dim"));
  COMPRESSC_ASSIGN_OR_RETURN(float *x, operands.matrix(call.inputs[0], "x"));
  int64_t rows = call.inputs[0].dim(0), width = call.inputs[0].dim(1);
  COMPRESSC_ASSIGN_OR_RETURN(float *out,
                             operands.matrix(call.outputs[0], "the output", rows, width));
  if (dim < 2 || dim % 2 || width % dim)
    return operands.error("head_dim = ", dim, "; it must be even and divide x's ", width,
                          " columns");
  std::vector<float> frequencies, storage;
  COMPRESSC_ASSIGN_OR_RETURN(Rotation rotation, ReadRotation(operands, call, dim, frequencies));
  rotation.selected = call.attributes.getIntOr("selected", 0) != 0;
  if (call.inputs.size() > 1) {
    COMPRESSC_ASSIGN_OR_RETURN(rotation.epsilon, operands.epsilon());
    COMPRESSC_ASSIGN_OR_RETURN(rotation.norm, VectorAsFloats(call.inputs[1], dim, "rotary_embedding: the norm's weight", storage));
  }
  COMPRESSC_RETURN_IF_ERROR((rotation.selected ? operands.selectedBatch(context, rows) : operands.batch(context, rows)).status());
  RotaryEmbedding(context, x, rows, width, rotation, out);
  return absl::OkStatus();
}

} // namespace compressc
