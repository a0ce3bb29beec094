#include "weight_resolver.h"
#include "schedule_check.h"

namespace compressc {
namespace {

StatusOr<void *> findTensor(const SafetensorsReader &reader, const std::string &name, DType dtype,
                            const std::vector<int64_t> &shape) {
  const StoredTensor *stored = reader.find(name);
  if (!stored)
    return Invalid("the checkpoint has no tensor ", name,
                   "; put the files that were compiled with this binary beside it");
  std::string_view type = SafetensorsName(dtype);
  if (type.empty())
    return Invalid(name, ": safetensors cannot hold ", DTypeName(dtype));
  if (stored->dtype != type || stored->shape != shape)
    return Invalid((stored->file ? stored->file->path() + ": " : ""), name, " is ", stored->dtype,
                   " of another shape or type than the ", type,
                   " the binary was compiled for; both must come from one compilation");
  COMPRESSC_ASSIGN_OR_RETURN(int64_t bytes, CheckedBytes(dtype, shape, {}));
  if (stored->bytes != bytes)
    return Invalid(name, ": has ", stored->bytes, " bytes instead of ", bytes);
  if (reinterpret_cast<uintptr_t>(stored->data) % DTypeSize(dtype) != 0)
    return Invalid(name, ": its data is not aligned to its type; write the checkpoint again");
  // Tensors have no const form; CheckSchedule lets no call write to a weight.
  return const_cast<void *>(static_cast<const void *>(stored->data));
}

} // namespace

StatusOr<Tensor> ResolveWeight(const SafetensorsReader &reader, const WeightDecl &decl,
                               std::vector<std::unique_ptr<float[]>> &sums) {
  Tensor tensor;
  tensor.dtype = decl.dtype;
  tensor.shape = decl.shape;
  if (decl.plus != 0) {
    COMPRESSC_ASSIGN_OR_RETURN(void *stored, findTensor(reader, decl.key, decl.stored, decl.shape));
    int64_t elements = tensor.elements();
    float *sum = sums.emplace_back(std::make_unique<float[]>(size_t(elements))).get();
    for (int64_t i = 0; i < elements; ++i) {
      float value = decl.stored == DType::F32   ? static_cast<const float *>(stored)[i]
                    : decl.stored == DType::F16 ? HalfToFloat(static_cast<const uint16_t *>(stored)[i])
                                                : BFloat16ToFloat(static_cast<const uint16_t *>(stored)[i]);
      sum[i] = value + float(decl.plus);
    }
    tensor.data = sum;
    return tensor;
  }
  if (decl.dtype != DType::Packed) {
    COMPRESSC_ASSIGN_OR_RETURN(tensor.data, findTensor(reader, decl.key, decl.dtype, decl.shape));
    return tensor;
  }
  tensor.packed = decl.packed;
  int64_t rows = decl.shape[0], columns = decl.shape[1], groups = columns / decl.packed.group;
  auto words = [&](int64_t codes) { return (codes * decl.packed.bits + 31) / 32; };
  COMPRESSC_ASSIGN_OR_RETURN(tensor.data, findTensor(reader, decl.key + ".weight_packed",
                                                     DType::I32, {rows, words(columns)}));
  COMPRESSC_ASSIGN_OR_RETURN(tensor.scales, findTensor(reader, decl.key + ".weight_scale",
                                                       decl.packed.scaleType, {rows, groups}));
  if (decl.packed.symmetric)
    return tensor;
  COMPRESSC_ASSIGN_OR_RETURN(tensor.zeros, findTensor(reader, decl.key + ".weight_zero_point",
                                                      DType::I32, {words(rows), groups}));
  return tensor;
}

} // namespace compressc
