#include "ONNXBind.h"
#include "compressc/runtime/text.h"
#include <algorithm>

namespace compressc {

Status BindONNX(std::vector<Parameter> &parameters, const ONNXModel &model, const ONNXGraph &graph,
                const WeightStore &store) {
  for (Parameter &parameter : parameters) {
    auto matrix = model.matrices.find(parameter.name);
    auto vector = model.vectors.find(parameter.name);
    if (matrix == model.matrices.end() && vector == model.vectors.end())
      return Invalid(graph.path(), ": the graph has no ", parameter.name);
    bool isMatrix = matrix != model.matrices.end();
    int value = isMatrix ? matrix->second.value : vector->second;
    parameter.key = graph.values()[size_t(value)].name;
    parameter.transposed = isMatrix && matrix->second.transposed;
    COMPRESSC_ASSIGN_OR_RETURN(parameter.stored, store.get(parameter.key));
    std::vector<int64_t> shape = parameter.stored->shape;
    if (parameter.transposed)
      std::reverse(shape.begin(), shape.end());
    if (shape != parameter.shape)
      return Invalid(graph.path(), ": initialiser ", Quoted(parameter.key), ", which is ",
                     parameter.name, ", does not have the shape that the model needs");
  }
  return absl::OkStatus();
}

} // namespace compressc
