// The parameters of a model that was raised from a graph, and the graph's initialisers.
#pragma once

#include "ONNXModel.h"
#include "Parameters.h"

namespace compressc {

/// Binds the parameters of the raised configuration to the tensors of the graph's store.
Status BindONNX(std::vector<Parameter> &parameters, const ONNXModel &model, const ONNXGraph &graph,
                const WeightStore &store);

} // namespace compressc
