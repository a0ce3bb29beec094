#include "operands.h"

namespace compressc {

StatusOr<WeightMatrix> ReadWeight(const Tensor &tensor, std::string_view what) {
  WeightMatrix w;
  int64_t elements = 0;
  if (tensor.rank() != 2 || !CountElements(tensor, elements) || elements == 0)
    return Invalid(what, " is ", Describe(tensor), "; a weight is a matrix [N, K]");
  if (!tensor.data)
    return Invalid(what, " has no data");
  w.dtype = tensor.dtype;
  w.rows = tensor.dim(0);
  w.columns = tensor.dim(1);
  w.data = tensor.data;

  switch (tensor.dtype) {
  case DType::F32:
  case DType::F16:
  case DType::BF16:
    w.rowBytes = w.columns * int64_t(DTypeSize(w.dtype));
    return w;
  case DType::Q4_0:
  case DType::Q4_1:
  case DType::Q8_0:
  case DType::Q5_0:
  case DType::Q5_1:
  case DType::Q4_K:
  case DType::Q5_K:
  case DType::Q6_K: {
    BlockInfo block = DTypeBlock(w.dtype);
    if (w.columns % block.elements)
      return Invalid(what, " is ", Describe(tensor), "; its rows must be whole blocks of ",
                     block.elements);
    w.rowBytes = w.columns / block.elements * block.bytes;
    return w;
  }
  case DType::Packed: {
    const PackedFormat &format = tensor.packed;
    if (format.bits != 2 && format.bits != 3 && format.bits != 4 && format.bits != 8)
      return Invalid(what, " has ", format.bits, " bits; 2, 3, 4 or 8 are supported");
    if (format.group < 1 || w.columns % format.group)
      return Invalid(what, " has groups of ", format.group, ", which do not divide its ", w.columns,
                     " columns");
    if (format.scaleType != DType::F32 && format.scaleType != DType::F16 &&
        format.scaleType != DType::BF16)
      return Invalid(what, " has ", DTypeName(format.scaleType),
                     " scales; f32, f16 or bf16 are supported");
    if (!tensor.scales || (!format.symmetric && !tensor.zeros))
      return Invalid(what, " lacks its ", tensor.scales ? "zero points" : "scales");
    w.rowBytes = (w.columns * format.bits + 31) / 32 * 4;
    w.packed = format;
    w.scales = tensor.scales;
    w.zeros = format.symmetric ? nullptr : static_cast<const uint32_t *>(tensor.zeros);
    return w;
  }
  default:
    return Invalid(what, " is ", Describe(tensor), ", which is not a type of weights");
  }
}

} // namespace compressc
