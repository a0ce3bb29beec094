// Rotary embedding, for the kernel of that name and for attention.
#pragma once

#include "model_kernels.h"
#include "operands.h"

namespace compressc {

/// RotaryEmbedding on the CPU; row r of x becomes row to[r] of out, or row r where `to` is null.
void RotateRows(KernelContext &context, const float *x, int64_t rows, int64_t width, const Rotation &rotation,
                const int32_t *to, float *out);

/// The rotation of heads of `dim` that a call's attributes tell of, without a norm; `storage` holds its frequencies.
StatusOr<Rotation> ReadRotation(const Operands &operands, const KernelCall &call, int64_t dim, std::vector<float> &storage);

} // namespace compressc
