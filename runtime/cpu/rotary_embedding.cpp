#include "../ops/batch_rows.h"
#include "kernels.h"
#include "isa/functions.h"
#include "rows.h"
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
  RotateRows(context, x, rows, width, rotation, nullptr, out);
}

Status RotaryEmbeddingKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(RotaryOperands rotary, ReadRotary(context, call));
  RotaryEmbedding(context, rotary.x, rotary.rows, rotary.width, rotary.rotation, rotary.out);
  return absl::OkStatus();
}

} // namespace compressc
