#include "ONNXBind.h"
#include "compressc/runtime/text.h"
#include <algorithm>

namespace compressc {

StatusOr<StoredWeight> BindONNX(const WeightName &name, const std::vector<int64_t> &shape,
                                const ONNXModel &model, const ONNXGraph &graph,
                                const WeightStore &store) {
  auto matrix = model.matrices.find(name.huggingFace);
  auto vector = model.vectors.find(name.huggingFace);
  if (matrix == model.matrices.end() && vector == model.vectors.end())
    return Invalid(graph.path(), ": the graph has no ", name.huggingFace);
  bool isMatrix = matrix != model.matrices.end();
  int value = isMatrix ? matrix->second.value : vector->second;
  StoredWeight weight{graph.values()[size_t(value)].name};
  weight.transposed = isMatrix && matrix->second.transposed;
  COMPRESSC_ASSIGN_OR_RETURN(weight.tensor, store.get(weight.key));
  std::vector<int64_t> stored = weight.tensor->shape;
  if (weight.transposed)
    std::reverse(stored.begin(), stored.end());
  if (stored != shape)
    return Invalid(graph.path(), ": initialiser ", Quoted(weight.key), ", which is ",
                   name.huggingFace, ", does not have the shape that the model needs");
  return weight;
}

} // namespace compressc
