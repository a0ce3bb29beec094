// Operands of calls of the model's kernels, checked: the same on the CPU and on devices.
#pragma once

#include "operands.h"

namespace compressc {

/// Of `add`, `mul` and `gated_activation`; `out` may be an input.
struct ElementwiseOperands {
  const float *a, *b; // [rows, width]
  int64_t rows, width;
  float *out;
};
StatusOr<ElementwiseOperands> ReadElementwise(std::string_view kernel, const KernelCall &call);
/// The attribute `kind` of gated_activation.
StatusOr<Activation> ReadActivation(const KernelCall &call);

/// Of `rms_norm`, where each run of columns is normalised by itself, and `layer_norm`; `out` may be x.
struct NormOperands {
  const float *x = nullptr; // [rows, width]
  int64_t rows = 0, width = 0;
  int64_t run = 0;     // the weight's size; of layer_norm the width
  Floats weight, bias; // the bias may be null
  float epsilon = 0;
  float *out = nullptr;
};
StatusOr<NormOperands> ReadRmsNorm(const KernelCall &call);
StatusOr<NormOperands> ReadLayerNorm(const KernelCall &call);

struct EmbeddingOperands {
  const int32_t *tokens; // [rows], inside the table
  int64_t rows;
  WeightMatrix table;
  float scale; // what rows are multiplied by
  float *out;
};
StatusOr<EmbeddingOperands> ReadEmbedding(const KernelCall &call);

struct SelectRowsOperands {
  const float *x;
  int64_t width;
  float *out;
};
StatusOr<SelectRowsOperands> ReadSelectRows(const KernelContext &context, const KernelCall &call);

struct RotaryOperands {
  const float *x = nullptr; // [rows, width]
  int64_t rows = 0, width = 0;
  Rotation rotation;
  float *out = nullptr; // may be x
  std::vector<float> frequencies = {};
  Floats norm = {};
};
StatusOr<RotaryOperands> ReadRotary(const KernelContext &context, const KernelCall &call);

/// An attention with what its operands point to. The batch's slots are inside the cache.
struct AttentionCall {
  AttentionOperands operands;
  std::vector<float> frequencies = {};
  Floats queryNorm = {}, keyNorm = {};
};
StatusOr<AttentionCall> ReadAttention(const KernelContext &context, const KernelCall &call);

/// A linear with what its operands point to.
struct LinearCall {
  LinearOperands operands;
  std::vector<WeightMatrix> weights = {};
  std::vector<LinearProduct> products = {};
  Floats norm = {};
  std::vector<Floats> biases = {};
};
StatusOr<LinearCall> ReadLinear(const KernelContext &context, const KernelCall &call);
/// The batch's answers are columns of a linear's only product.
Status CheckAnswers(const LinearOperands &operands);

} // namespace compressc
