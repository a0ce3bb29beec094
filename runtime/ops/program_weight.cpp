#include "program_weight.h"

namespace compressc {

StatusOr<ProgramWeight> ProgramWeight::Create(const Tensor &tensor, std::string_view what) {
  ProgramWeight weight;
  weight.tensor = tensor;
  if (tensor.rank() != 1) {
    COMPRESSC_ASSIGN_OR_RETURN(weight.matrix, ReadWeight(tensor, what));
    return weight;
  }
  COMPRESSC_ASSIGN_OR_RETURN(weight.vector, Floats::Read(tensor, tensor.dim(0), what));
  weight.matrix.rows = tensor.dim(0);
  return weight;
}

} // namespace compressc
