#include "weight_operands.h"
#include "floats.h"
#include "operands.h"
#include "absl/strings/str_join.h"
#include <bit>

namespace compressc {

Status CheckCounts(const KernelCall &call, absl::string_view kernel, size_t minInputs,
                   size_t maxInputs, size_t outputs) {
  if (call.inputs.size() < minInputs || call.inputs.size() > maxInputs ||
      call.outputs.size() != outputs || !call.caches.empty())
    return Invalid(kernel, ": ", call.inputs.size(), " inputs, ", call.outputs.size(),
                   " outputs and ", call.caches.size(), " caches given; it takes ", minInputs,
                   maxInputs == minInputs ? "" : " or more", " inputs and ", outputs, " outputs");
  return absl::OkStatus();
}

bool IsPlainFloat(DType dtype) {
  return dtype == DType::F32 || dtype == DType::F16 || dtype == DType::BF16;
}

static Status CheckShape(const Tensor &tensor, size_t rank, absl::string_view what) {
  bool good = tensor.rank() == rank;
  int64_t elements = 1;
  for (int64_t dim : tensor.shape)
    good = good && dim > 0 && !__builtin_mul_overflow(elements, dim, &elements);
  // Room for the byte size of every type.
  if (!good || elements > std::numeric_limits<int64_t>::max() / 16)
    return Invalid(what, " has the shape [", absl::StrJoin(tensor.shape, ", "), "]; it needs ",
                   rank, " dimensions of 1 or more");
  if (!tensor.data)
    return Invalid(what, " has no data");
  return absl::OkStatus();
}

Status CheckTensor(const Tensor &tensor, DType dtype, absl::Span<const int64_t> shape,
                   absl::string_view what) {
  if (tensor.dtype != dtype || absl::MakeConstSpan(tensor.shape) != shape)
    return Invalid(what, " is ", TypeName(tensor.dtype), " [", absl::StrJoin(tensor.shape, ", "),
                   "]; it must be ", TypeName(dtype), " [", absl::StrJoin(shape, ", "), "]");
  return CheckShape(tensor, shape.size(), what);
}

Status CheckPlain(const Tensor &tensor, absl::string_view what) {
  if (!IsPlainFloat(tensor.dtype))
    return Invalid(what, " is ", TypeName(tensor.dtype), "; it must be f32, f16 or bf16");
  return CheckShape(tensor, std::max<size_t>(tensor.rank(), 1), what);
}

StatusOr<WeightMatrix> PlainMatrix(const Tensor &tensor, absl::string_view what) {
  COMPRESSC_RETURN_IF_ERROR(CheckPlain(tensor, what));
  COMPRESSC_RETURN_IF_ERROR(CheckShape(tensor, 2, what));
  return ReadWeight(tensor, std::string(what));
}

StatusOr<StatisticsView> CheckStatistics(const Tensor &tensor, int64_t width,
                                         absl::string_view what) {
  COMPRESSC_RETURN_IF_ERROR(CheckTensor(tensor, DType::Statistics, {width}, what));
  // [K,K] floats and a little must have a size that fits.
  if (width > int64_t(1) << 30)
    return Invalid(what, " has the width ", width, ", which is more than 2^30");
  return AsStatistics(tensor);
}

Status CheckObserved(const KernelContext &context, const StatisticsView &statistics, absl::string_view what) {
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<float> count, ReadFloats(context, statistics.count, 1));
  if (!(count[0] > 0) || FirstNonFinite(count.data(), 1) >= 0)
    return Invalid(what, " holds no observed tokens (count = ", count[0],
                   "); run the calibration first");
  return absl::OkStatus();
}

Status StatisticsFault(const StatisticsView &statistics, int64_t first, absl::string_view what) {
  int64_t elements = statistics.width * statistics.width;
  if (first < 0)
    return absl::OkStatus();
  if (first < elements)
    return NonFiniteError(first, statistics.width, what);
  return Invalid("the sum of |x| of column ", first - elements, " in ", what, " is NaN or infinite");
}

StatusOr<PackedFormat> FormatFromAttributes(const Attributes &attributes, int64_t columns,
                                            absl::string_view kernel) {
  COMPRESSC_ASSIGN_OR_RETURN(int64_t bits, attributes.getInt("bits"));
  COMPRESSC_ASSIGN_OR_RETURN(int64_t group, attributes.getInt("group"));
  COMPRESSC_ASSIGN_OR_RETURN(int64_t symmetric, attributes.getInt("symmetric"));
  COMPRESSC_ASSIGN_OR_RETURN(std::string scaleType, attributes.getString("scale_type"));
  std::optional<DType> dtype = DTypeFromName(scaleType);
  if (!dtype)
    return Invalid(kernel, ": scale_type = ", scaleType, " is unknown; choose f16, bf16 or f32");
  PackedFormat format;
  format.bits = bits >= 0 && bits <= 8 ? int(bits) : 0;
  format.group = group;
  format.symmetric = symmetric != 0;
  format.scaleType = *dtype;
  COMPRESSC_RETURN_IF_ERROR(WithContext(CheckPackedFormat(format, columns), kernel));
  return format;
}

int64_t FirstNonFinite(const float *values, int64_t count) {
  constexpr uint32_t exponent = 0x7f800000;
  for (int64_t begin = 0; begin < count; begin += 256) {
    int64_t end = std::min(count, begin + 256);
    uint32_t bad = 0; // a loop without a branch, for vectors
    for (int64_t i = begin; i < end; ++i)
      bad |= uint32_t((std::bit_cast<uint32_t>(values[i]) & exponent) == exponent);
    for (int64_t i = begin; bad && i < end; ++i)
      if ((std::bit_cast<uint32_t>(values[i]) & exponent) == exponent)
        return i;
  }
  return -1;
}

Status NonFiniteError(int64_t index, int64_t columns, absl::string_view what) {
  return Invalid("row ", index / columns, ", column ", index % columns, " of ", what,
                 " is NaN or infinite");
}

} // namespace compressc
