// The weights of a model that was raised from a graph, and the graph's initialisers.
#pragma once

#include "ONNXModel.h"
#include "lib/Import/BuildModule.h"

namespace compressc {

/// Binds a weight of the raised model to a tensor of the graph's store.
StatusOr<StoredWeight> BindONNX(const WeightName &name, const std::vector<int64_t> &shape,
                                const ONNXModel &model, const ONNXGraph &graph,
                                const WeightStore &store);

} // namespace compressc
