// Calibration and weight expressions: which launches each kernel takes.
#include "calibration.h"
#include "../cpu/clip.h"
#include "first_bad.h"
#include "gram_errors.h"
#include "matrix.h"
#include <algorithm>

namespace compressc::cuda {
namespace {

constexpr int64_t gramPanel = 2048; // columns of a Gram matrix computed at a time, under the diagonal
constexpr int64_t floatBytes = sizeof(float), doubleBytes = sizeof(double);

} // namespace

StatusOr<FirstBad> FirstBad::Create(CudaDevice &device, int count) {
  FirstBad bad;
  bad.device = &device;
  std::vector<int64_t> none(size_t(count), std::numeric_limits<int64_t>::max());
  int64_t bytes = count * int64_t(sizeof(int64_t));
  COMPRESSC_ASSIGN_OR_RETURN(bad.memory, device.allocate(bytes, "a check"));
  COMPRESSC_RETURN_IF_ERROR(device.send(bad.memory.get(), none.data(), bytes));
  return bad;
}

StatusOr<int64_t> FirstBad::get(int which) const {
  int64_t index = 0;
  COMPRESSC_RETURN_IF_ERROR(device->download(&index, data() + which, sizeof index));
  return index == std::numeric_limits<int64_t>::max() ? -1 : index;
}

StatusOr<int64_t> CudaDevice::observe(const float *x, int64_t tokens, int64_t width, const StatisticsView &to) {
  COMPRESSC_ASSIGN_OR_RETURN(FirstBad bad, FirstBad::Create(*this));
  COMPRESSC_ASSIGN_OR_RETURN(auto partial, scratch(PartialSums(tokens) * width * doubleBytes, "sums of activations"));
  AddColumnMagnitudes(stream, x, tokens, width, static_cast<double *>(partial.get()), to.absSum, bad.data());
  COMPRESSC_ASSIGN_OR_RETURN(int64_t column, bad.get());
  if (column >= 0)
    return column;
  // In 16 bits, like the linears that read x.
  COMPRESSC_ASSIGN_OR_RETURN(auto rounded, scratch(tokens * width * 2, "activations in 16 bits"));
  Convert(stream, x, DType::F32, tokens * width, rounded.get(), half);
  for (int64_t begin = 0; begin < width; begin += gramPanel) {
    Product part{};
    part.m = std::min(gramPanel, width - begin), part.n = begin + part.m, part.k = tokens;
    part.x = static_cast<const char *>(rounded.get()) + begin * 2, part.ldx = width;
    part.w = rounded.get(), part.ldw = width;
    part.out = to.gram + begin * width, part.ldo = width;
    part.type = half, part.outType = DType::F32;
    part.accumulate = part.transposed = true;
    COMPRESSC_RETURN_IF_ERROR(orLost(matmul->run(stream, part)));
  }
  MirrorLower(stream, to.gram, width);
  float count = 0;
  COMPRESSC_RETURN_IF_ERROR(download(&count, to.count, sizeof count));
  count += float(tokens);
  COMPRESSC_RETURN_IF_ERROR(send(to.count, &count, sizeof count));
  return -1;
}

StatusOr<int64_t> CudaDevice::observeCosine(const float *x, const float *y, int64_t tokens, int64_t width, float *influence) {
  COMPRESSC_ASSIGN_OR_RETURN(FirstBad bad, FirstBad::Create(*this));
  COMPRESSC_ASSIGN_OR_RETURN(auto distances, scratch(tokens * doubleBytes, "cosines"));
  AddCosines(stream, x, y, tokens, width, static_cast<double *>(distances.get()), influence, bad.data());
  return bad.get();
}

StatusOr<int64_t> CudaDevice::scaleStatistics(const StatisticsView &from, const float *scales, const StatisticsView &to) {
  COMPRESSC_ASSIGN_OR_RETURN(FirstBad bad, FirstBad::Create(*this));
  ScaleGram(stream, from.gram, from.absSum, scales, from.width, to.gram, to.absSum, bad.data());
  COMPRESSC_RETURN_IF_ERROR(check(cudaMemcpyAsync(to.count, from.count, sizeof(float), cudaMemcpyDeviceToDevice, stream), "a count"));
  return bad.get();
}

Status CudaDevice::mirrorGram(const StatisticsView &statistics) {
  MirrorLower(stream, statistics.gram, statistics.width);
  return check(cudaGetLastError(), "a Gram matrix");
}

StatusOr<int64_t> CudaDevice::firstNonFinite(const float *values, int64_t count) {
  COMPRESSC_ASSIGN_OR_RETURN(FirstBad bad, FirstBad::Create(*this));
  FindNonFinite(stream, values, count, bad.data());
  return bad.get();
}

StatusOr<std::unique_ptr<GramErrors>> CudaDevice::gramErrors(absl::Span<const WeightMatrix> weights, const float *gram) {
  return CudaGramErrors::Create(*this, weights, gram);
}

StatusOr<ClipSums> CudaDevice::clip(const WeightMatrix &weight, const float *gram, const PackedFormat &format, float *out) {
  COMPRESSC_ASSIGN_OR_RETURN(FirstBad bad, FirstBad::Create(*this));
  int64_t parts = 3 * ClipParts(weight.rows, weight.columns, format.group, errorType());
  COMPRESSC_ASSIGN_OR_RETURN(auto partial, scratch((parts + 3) * doubleBytes, "sums of errors"));
  auto *sums = static_cast<double *>(partial.get());
  Clip(stream, matrixOf(weight), gram, format, errorType(), out, sums, sums + parts, bad.data());
  double totals[3];
  COMPRESSC_RETURN_IF_ERROR(download(totals, sums + parts, sizeof totals));
  ClipSums result{totals[0], totals[1], totals[2]};
  COMPRESSC_ASSIGN_OR_RETURN(result.bad, bad.get());
  return result;
}

StatusOr<Device::QuantizeFault> CudaDevice::quantize(const WeightMatrix &weight, const Tensor &out) {
  COMPRESSC_ASSIGN_OR_RETURN(FirstBad bad, FirstBad::Create(*this, 2));
  int64_t groups = weight.rows * (weight.columns / out.packed.group);
  COMPRESSC_ASSIGN_OR_RETURN(auto quantizers, scratch(2 * groups * floatBytes, "quantisers"));
  Quantize(stream, matrixOf(weight), {out.packed, out.as<uint32_t>(), out.scales, static_cast<uint32_t *>(out.zeros)},
           static_cast<float *>(quantizers.get()), bad.data());
  QuantizeFault fault;
  COMPRESSC_ASSIGN_OR_RETURN(fault.value, bad.get(0));
  COMPRESSC_ASSIGN_OR_RETURN(fault.scale, bad.get(1));
  return fault;
}

StatusOr<Device::ConvertFault> CudaDevice::convert(const WeightMatrix &weight, const Tensor &out) {
  COMPRESSC_ASSIGN_OR_RETURN(FirstBad bad, FirstBad::Create(*this));
  ConvertMatrix(stream, matrixOf(weight), out.data, out.dtype, bad.data());
  ConvertFault fault;
  COMPRESSC_ASSIGN_OR_RETURN(fault.index, bad.get());
  if (fault.index < 0)
    return fault;
  COMPRESSC_ASSIGN_OR_RETURN(auto row, scratch(weight.columns * floatBytes, "a row"));
  COMPRESSC_ASSIGN_OR_RETURN(auto index, scratch(sizeof(int32_t), "a row"));
  auto which = int32_t(fault.index / weight.columns);
  COMPRESSC_RETURN_IF_ERROR(send(index.get(), &which, sizeof which));
  GatherRows(stream, matrixOf(weight), static_cast<const int32_t *>(index.get()), 1, static_cast<float *>(row.get()));
  COMPRESSC_RETURN_IF_ERROR(download(&fault.value, static_cast<const float *>(row.get()) + fault.index % weight.columns, floatBytes));
  return fault;
}

Status CudaDevice::scaleColumns(const WeightMatrix &weight, const float *scales, float *out) {
  ScaleColumns(stream, matrixOf(weight), scales, out);
  return check(cudaGetLastError(), "scale_columns");
}

Status CudaDevice::scaleRows(const WeightMatrix &weight, const float *scales, bool inverse, float *out) {
  ScaleRows(stream, matrixOf(weight), scales, inverse, out);
  return check(cudaGetLastError(), "scale_rows");
}

Status CudaDevice::expandHeads(const float *x, int64_t width, int64_t headDim, int64_t repeat, float *out) {
  ExpandHeads(stream, x, width, headDim, repeat, out);
  return check(cudaGetLastError(), "expand_heads");
}

Status CudaDevice::transpose(const Tensor &in, const Tensor &out) {
  Transpose(stream, in.data, in.dim(0), in.dim(1), DTypeSize(in.dtype), out.data);
  return check(cudaGetLastError(), "transpose");
}

} // namespace compressc::cuda
