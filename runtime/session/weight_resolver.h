// Weights in the tensors of a checkpoint.
#pragma once

#include "compressc/runtime/safetensors.h"
#include "compressc/runtime/session.h"

namespace compressc {

/// Plain weights are the tensor of their key; packed ones are three tensors in compressed-tensors'
/// `pack-quantized` layout. The memory is the reader's and is only read.
StatusOr<Tensor> ResolveWeight(const SafetensorsReader &reader, const WeightDecl &decl);

} // namespace compressc
