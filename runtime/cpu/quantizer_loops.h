// The inner loops of the quantiser's searches, compiled once for each instruction set
// (isa/quantizer_loops.cpp). They use no fused multiply-adds and a fixed width, so their results
// are the same on all of them.
#pragma once

#include "compressc/runtime/tensor.h"
#include "instruction_set.h"

namespace compressc {

/// One group of 16 rows, each row in a lane: element k of row r is at [k * 16 + r].
struct ClipTile {
  static constexpr int rows = 16;
  const float *values; // [group, 16]
  float *delta;        // scratch [group, 16]
  const float *gram;   // the group's block on the diagonal of G
  int64_t gramStride;
};

COMPRESSC_PER_ISA(
    /// error[k] = Q(w·s)[k] · inverse[k] − w[k] for one row, inverse = 1/s.
    void scaledErrorRow(const float *w, const float *s, const float *inverse, int64_t columns,
                        const PackedFormat &format, float *error);

    /// Each row's best range for the tile, starting from its own [low, high], which is replaced.
    /// `before` and `after` are δᵀ·G·δ of the old and the new range, [16] each.
    void clipTile(const ClipTile &tile, const PackedFormat &format, float *low, float *high,
                  float *before, float *after);

    /// Σ a·b in fp64.
    double dotInDouble(const float *a, const float *b, int64_t count);)

} // namespace compressc
