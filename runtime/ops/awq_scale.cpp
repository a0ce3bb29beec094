// The search for AWQ's column scales: s such that Q(W·s)/s loses least over the calibration tokens.
#include "floats.h"
#include "weight_kernels.h"
#include <cmath>

namespace compressc {
namespace {

constexpr absl::string_view kernelName = "awq_scale";

/// A candidate: the identity, x^r / w^(1-r), or x^r.
struct Point {
  enum Kind { Identity, Duo, Plain } kind;
  double r;
};

std::vector<Point> makeGrid(bool duo, bool plain) {
  std::vector<Point> points = {{Point::Identity, 0}};
  for (int i = 0; duo && i < 20; ++i)
    points.push_back({Point::Duo, i / 20.0});
  for (int i = 1; plain && i <= 20; ++i)
    points.push_back({Point::Plain, i / 20.0});
  return points;
}

/// Heads of a grouped-query attention: column (g·repeat + i)·headDim + d reads kv channel
/// g·headDim + d for every i.
struct Heads {
  int64_t repeat = 1;
  int64_t dim = 1;
  int64_t channelOf(int64_t column) const { return column / (repeat * dim) * dim + column % dim; }
};

/// The candidate's scales by kv channel, normalised so that max · min = 1.
std::vector<float> makeScales(Point point, const std::vector<float> &x, const std::vector<float> &w,
                              Heads heads) {
  std::vector<double> scales(x.size() / heads.repeat, 0.0);
  if (point.kind == Point::Identity)
    return std::vector<float>(scales.size(), 1.0f);
  for (size_t k = 0; k < x.size(); ++k) {
    double scale = std::pow(double(x[k]), point.r);
    if (point.kind == Point::Duo)
      scale /= std::pow(double(w[k]), 1 - point.r) + 1e-4;
    scales[heads.channelOf(k)] += std::max(scale, 1e-4) / double(heads.repeat);
  }
  auto [least, most] = std::minmax_element(scales.begin(), scales.end());
  double norm = std::sqrt(*least * *most);
  std::vector<float> result;
  for (double scale : scales) {
    float normalised = float(scale / norm);
    // As small or large as fp32 holds only when x spans its whole range; 1 keeps the channel alive.
    bool usable = std::isnormal(normalised) && std::isfinite(1.0f / normalised);
    result.push_back(usable ? normalised : 1.0f);
  }
  return result;
}

} // namespace

Status AwqScale(KernelContext &context, const KernelCall &call, const SearchPlace &place) {
  COMPRESSC_RETURN_IF_ERROR(
      CheckCounts(call, kernelName, 2, std::numeric_limits<size_t>::max(), 2));
  const Tensor &first = call.inputs[0];
  int64_t width = first.rank() == 1 ? first.dim(0) : 0;
  COMPRESSC_ASSIGN_OR_RETURN(StatisticsView statistics,
                             CheckStatistics(first, width, "awq_scale: the statistics"));
  std::vector<WeightMatrix> weights;
  for (size_t i = 1; i < call.inputs.size(); ++i) {
    std::string what = absl::StrCat(kernelName, ": weight ", i - 1);
    COMPRESSC_ASSIGN_OR_RETURN(WeightMatrix weight, PlainMatrix(call.inputs[i], what));
    if (weight.columns != width)
      return Invalid(what, " has ", weight.columns, " columns, the statistics ", width);
    weights.push_back(weight);
  }
  COMPRESSC_ASSIGN_OR_RETURN(PackedFormat format,
                             FormatFromAttributes(call.attributes, width, kernelName));
  Heads heads;
  heads.repeat = call.attributes.getIntOr("repeat", 1);
  if (heads.repeat != 1)
    heads.dim = call.attributes.getIntOr("head_dim", 0);
  if (heads.repeat < 1 || heads.repeat > width || heads.dim < 1 || heads.dim > width ||
      width % (heads.repeat * heads.dim) != 0)
    return Invalid("awq_scale: repeat = ", heads.repeat, " and head_dim = ", heads.dim,
                   " do not divide the ", width, " columns into heads");
  std::string grid = call.attributes.getStringOr("grid", "all");
  if (grid != "all" && grid != "duo" && grid != "plain")
    return Invalid("awq_scale: grid = ", grid, " is unknown; choose all, duo or plain");
  COMPRESSC_RETURN_IF_ERROR(
      CheckTensor(call.outputs[0], DType::F32, {width / heads.repeat}, "awq_scale: the scales"));
  COMPRESSC_RETURN_IF_ERROR(CheckTensor(call.outputs[1], DType::F32, {4}, "awq_scale: the choice"));
  COMPRESSC_RETURN_IF_ERROR(
      place.checkStatistics(context, statistics, "awq_scale: the statistics"));

  COMPRESSC_ASSIGN_OR_RETURN(auto errors, place.gramErrors(context, weights, statistics.gram));
  std::vector<float> meanW;
  COMPRESSC_ASSIGN_OR_RETURN(int64_t bad, errors->meanMagnitude(format.group, meanW));
  if (bad >= 0) {
    size_t index = 0;
    for (; bad >= weights[index].rows * width; ++index)
      bad -= weights[index].rows * width;
    return NonFiniteError(bad, width, absl::StrCat(kernelName, ": weight ", index));
  }
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<float> meanX, ReadFloats(context, statistics.absSum, width));
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<float> count, ReadFloats(context, statistics.count, 1));
  for (float &x : meanX)
    x = std::fabs(x) / count[0];
  COMPRESSC_ASSIGN_OR_RETURN(GramTrace whole, errors->ofWeights());

  std::vector<Point> points = makeGrid(grid != "plain", grid != "duo");
  std::vector<float> expanded(width), inverse(width);
  auto lossOf = [&](const std::vector<float> &scales, double limit) -> StatusOr<double> {
    for (int64_t k = 0; k < width; ++k) {
      expanded[k] = scales[heads.channelOf(k)];
      inverse[k] = 1.0f / expanded[k];
    }
    COMPRESSC_ASSIGN_OR_RETURN(GramTrace loss, errors->ofScales(expanded, inverse, format, limit));
    return loss.value;
  };

  std::vector<float> best = makeScales(points[0], meanX, meanW, heads);
  size_t bestPoint = 0;
  COMPRESSC_ASSIGN_OR_RETURN(double identityLoss, lossOf(best, std::numeric_limits<double>::infinity()));
  double bestLoss = identityLoss;
  if (!std::isfinite(bestLoss))
    return Invalid("awq_scale: the weights are too large for ", TypeName(format.scaleType),
                   " scales; choose scale_type = f32");
  auto consider = [&](size_t index) -> Status {
    std::vector<float> scales = makeScales(points[index], meanX, meanW, heads);
    COMPRESSC_ASSIGN_OR_RETURN(double loss, lossOf(scales, bestLoss));
    // In any order of visits, the earlier point of the grid wins a tie.
    if (loss < bestLoss || (loss == bestLoss && index < bestPoint)) {
      best = std::move(scales);
      bestPoint = index;
      bestLoss = loss;
    }
    return absl::OkStatus();
  };
  // Coarse to fine: a good point found early lets the poor ones be given up after a few rows.
  for (size_t step = 32; step > 0; step /= 2)
    for (size_t index = step; index < points.size(); index += 2 * step)
      COMPRESSC_RETURN_IF_ERROR(consider(index));

  COMPRESSC_RETURN_IF_ERROR(WriteFloats(context, call.outputs[0], best));
  return WriteFloats(context, call.outputs[1],
                     {float(points[bestPoint].kind), float(points[bestPoint].r),
                      RelativeError(bestLoss, whole.value), RelativeError(identityLoss, whole.value)});
}

} // namespace compressc
