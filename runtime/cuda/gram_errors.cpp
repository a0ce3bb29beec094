#include "gram_errors.h"
#include "first_bad.h"
#include "matrix.h"
#include <algorithm>

namespace compressc::cuda {
namespace {

/// How the product E·G is cut: enough rows for all processors, and few enough that a bad E is given up soon; panels of
/// columns as wide as keeps products efficient, since half of each block on the diagonal is wasted.
constexpr int64_t blockRows = 8192;
int64_t panelOf(int64_t width) { return std::min<int64_t>(width, width < 8192 ? 1024 : 2048); }

} // namespace

StatusOr<std::unique_ptr<GramErrors>> CudaGramErrors::Create(CudaDevice &device, absl::Span<const WeightMatrix> weights,
                                                             const float *gram) {
  std::unique_ptr<CudaGramErrors> errors(new CudaGramErrors(device));
  for (const WeightMatrix &weight : weights) {
    errors->weights.push_back(matrixOf(weight));
    errors->rows += weight.rows;
  }
  int64_t width = errors->width = weights.front().columns, panel = errors->panel = panelOf(width);
  int64_t block = errors->block = std::min(errors->rows, blockRows);
  int64_t size = errors->size;
  constexpr std::string_view what = "the errors of weights";
  COMPRESSC_ASSIGN_OR_RETURN(errors->half, device.scratch(width * width * size, what));
  COMPRESSC_ASSIGN_OR_RETURN(errors->error, device.scratch(block * width * size, what));
  COMPRESSC_ASSIGN_OR_RETURN(errors->product, device.scratch(block * width * size, what));
  COMPRESSC_ASSIGN_OR_RETURN(errors->sums, device.scratch((block + 1) * int64_t(sizeof(double)), what));
  COMPRESSC_ASSIGN_OR_RETURN(errors->factors, device.scratch(2 * width * int64_t(sizeof(float)), what));
  HalveGram(device.stream, gram, width, panel, errors->half.get(), errors->type);
  return std::unique_ptr<GramErrors>(std::move(errors));
}

/// product = error T, T the blocks of G under the diagonal and half of those on it; so e·G·eᵀ = 2 e·T·eᵀ.
Status CudaGramErrors::multiply(int64_t count) {
  for (int64_t begin = 0; begin < width; begin += panel) {
    int64_t n = std::min(panel, width - begin);
    Product part{};
    part.m = count, part.n = n, part.k = begin + n;
    part.x = error.get(), part.ldx = width;
    part.w = static_cast<const char *>(half.get()) + begin * width * size, part.ldw = width;
    part.out = static_cast<char *>(product.get()) + begin * size, part.ldo = width;
    part.type = part.outType = type;
    COMPRESSC_RETURN_IF_ERROR(device.orLost(device.matmul->run(device.stream, part)));
  }
  return absl::OkStatus();
}

StatusOr<double> CudaGramErrors::trace(const MakeRows &makeRows, double limit) {
  auto *perRow = static_cast<double *>(sums.get());
  double total = 0;
  for (int64_t begin = 0; begin < rows; begin += block) {
    int64_t count = std::min(block, rows - begin), origin = 0;
    for (size_t index = 0; index < weights.size(); ++index) {
      int64_t first = std::max(begin, origin), end = std::min(begin + count, origin + weights[index].rows);
      if (first < end)
        makeRows(index, first - origin, end - first, first, static_cast<char *>(error.get()) + (first - begin) * width * size);
      origin += weights[index].rows;
    }
    COMPRESSC_RETURN_IF_ERROR(multiply(count));
    SumOfProducts(device.stream, error.get(), product.get(), type, count, width, perRow, perRow + block);
    double sum = 0;
    COMPRESSC_RETURN_IF_ERROR(device.download(&sum, perRow + block, sizeof sum));
    total += sum;
    if (total > limit)
      break;
  }
  return total;
}

StatusOr<int64_t> CudaGramErrors::meanMagnitude(int64_t group, std::vector<float> &mean) {
  std::vector<double> sums(size_t(width), 0.0), part(size_t(width), 0.0);
  int64_t origin = 0;
  for (const Matrix &weight : weights) {
    int64_t parts = PartialSums(weight.rows);
    COMPRESSC_ASSIGN_OR_RETURN(auto largest, device.scratch(weight.rows * (width / group) * int64_t(sizeof(float)), "magnitudes"));
    COMPRESSC_ASSIGN_OR_RETURN(auto partial, device.scratch((parts + 1) * width * int64_t(sizeof(double)), "magnitudes"));
    auto *values = static_cast<double *>(partial.get());
    COMPRESSC_ASSIGN_OR_RETURN(FirstBad bad, FirstBad::Create(device));
    SumMagnitudes(device.stream, weight, group, static_cast<float *>(largest.get()), values, bad.data());
    SumPartial(device.stream, values, parts, width, values + parts * width);
    COMPRESSC_RETURN_IF_ERROR(device.download(part.data(), values + parts * width, width * int64_t(sizeof(double))));
    COMPRESSC_ASSIGN_OR_RETURN(int64_t index, bad.get());
    if (index >= 0)
      return origin * width + index;
    for (size_t k = 0; k < sums.size(); ++k)
      sums[k] += part[k];
    origin += weight.rows;
  }
  mean.resize(size_t(width));
  for (size_t k = 0; k < sums.size(); ++k)
    mean[k] = float(sums[k] / double(rows));
  return -1;
}

StatusOr<GramTrace> CudaGramErrors::ofWeights() {
  COMPRESSC_ASSIGN_OR_RETURN(FirstBad bad, FirstBad::Create(device));
  GramTrace result;
  COMPRESSC_ASSIGN_OR_RETURN(result.value, trace([&](size_t index, int64_t begin, int64_t count, int64_t origin, void *out) {
                               WeightRows(device.stream, weights[index], begin, count, origin, out, type, bad.data());
                             }));
  COMPRESSC_ASSIGN_OR_RETURN(result.bad, bad.get());
  return result;
}

StatusOr<GramTrace> CudaGramErrors::ofScales(const std::vector<float> &scales, const std::vector<float> &inverse,
                                             const PackedFormat &format, double limit) {
  auto *to = static_cast<float *>(factors.get());
  COMPRESSC_RETURN_IF_ERROR(device.send(to, scales.data(), width * int64_t(sizeof(float))));
  COMPRESSC_RETURN_IF_ERROR(device.send(to + width, inverse.data(), width * int64_t(sizeof(float))));
  GramTrace result;
  COMPRESSC_ASSIGN_OR_RETURN(result.value, trace([&](size_t index, int64_t begin, int64_t count, int64_t, void *out) {
                               ScaledErrorRows(device.stream, weights[index], begin, count, to, to + width, format, out, type);
                             }, limit));
  return result;
}

StatusOr<GramTrace> CudaGramErrors::ofChange(const WeightMatrix &changed) {
  COMPRESSC_ASSIGN_OR_RETURN(FirstBad bad, FirstBad::Create(device));
  Matrix to = matrixOf(changed);
  GramTrace result;
  COMPRESSC_ASSIGN_OR_RETURN(result.value, trace([&](size_t, int64_t begin, int64_t count, int64_t, void *out) {
                               DifferenceRows(device.stream, to, weights[0], begin, count, out, type, bad.data());
                             }));
  COMPRESSC_ASSIGN_OR_RETURN(result.bad, bad.get());
  return result;
}

} // namespace compressc::cuda
