// Weights in the tensors of a checkpoint.
#pragma once

#include "compressc/runtime/safetensors.h"
#include "compressc/runtime/session.h"

namespace compressc {

/// Plain weights are the tensor of their key; packed ones are three tensors in compressed-tensors'
/// `pack-quantized` layout. The memory is the reader's and is only read; that of a weight to which a
/// number is added goes into `sums`.
StatusOr<Tensor> ResolveWeight(const SafetensorsReader &reader, const WeightDecl &decl,
                               std::vector<std::unique_ptr<float[]>> &sums);

} // namespace compressc
