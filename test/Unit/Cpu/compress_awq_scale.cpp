// The scale search against a search that quantises, runs every token and adds up the squared
// errors.
#include "compress_support.h"

namespace compressc::test {
namespace {

struct Problem {
  Problem(int64_t width, int64_t tokens, PackedFormat format)
      : width(width), x(RandomMatrix(tokens, width, 1)), format(format) {}

  int64_t width, repeat = 1, headDim = 0;
  std::vector<float> x;
  PackedFormat format;
  std::string grid = "all";
  std::vector<std::vector<float>> weights;

  std::vector<float> stacked() const {
    std::vector<float> all;
    for (const auto &w : weights)
      all.insert(all.end(), w.begin(), w.end());
    return all;
  }
  Attributes attributes() const {
    Attributes result = FormatAttributes(format);
    result.set("grid", grid);
    if (repeat > 1) {
      result.set("repeat", repeat);
      result.set("head_dim", headDim);
    }
    return result;
  }
};

struct Answer {
  std::vector<float> scales, choice;
};

StatusOr<Answer> search(const Problem &p, Kernels &kernels, const Tensor &statistics) {
  std::vector<Owned> weights;
  std::vector<Tensor> inputs = {statistics};
  for (const auto &w : p.weights)
    weights.emplace_back(std::vector<int64_t>{int64_t(w.size()) / p.width, p.width}, w);
  for (const Owned &w : weights)
    inputs.push_back(w);
  Owned scales(DType::F32, {p.width / p.repeat}), choice(DType::F32, {4});
  COMPRESSC_RETURN_IF_ERROR(kernels.run("awq_scale", inputs, {scales, choice}, p.attributes()));
  return Answer{scales.values(), choice.values()};
}

/// The scales of one point, for every column.
std::vector<double> slowScales(const Problem &p, int kind, double r) {
  const std::vector<float> w = p.stacked();
  const int64_t rows = w.size() / p.width, tokens = p.x.size() / p.width;
  std::vector<double> s(p.width, 1.0);
  if (kind == 0)
    return s;
  for (int64_t k = 0; k < p.width; ++k) {
    double xMean = 0, wMean = 0;
    for (int64_t t = 0; t < tokens; ++t)
      xMean += std::fabs(p.x[t * p.width + k]) / double(tokens);
    for (int64_t n = 0; n < rows; ++n) {
      double largest = 0;
      for (int64_t j = k / p.format.group * p.format.group, e = j + p.format.group; j < e; ++j)
        largest = std::fmax(largest, std::fabs(w[n * p.width + j]));
      wMean += std::fabs(w[n * p.width + k]) / (largest + 1e-6) / double(rows);
    }
    s[k] = std::pow(xMean, r) / (kind == 1 ? std::pow(wMean, 1 - r) + 1e-4 : 1.0);
    s[k] = std::fmax(s[k], 1e-4);
  }
  if (p.repeat > 1) {
    std::vector<double> mean(p.width, 0.0);
    for (int64_t k = 0; k < p.width; ++k) {
      int64_t g = k / (p.repeat * p.headDim), d = k % p.headDim;
      for (int64_t i = 0; i < p.repeat; ++i)
        mean[k] += s[(g * p.repeat + i) * p.headDim + d] / double(p.repeat);
    }
    s = mean;
  }
  double norm =
      std::sqrt(*std::max_element(s.begin(), s.end()) * *std::min_element(s.begin(), s.end()));
  for (double &value : s)
    value /= norm;
  return s;
}

double slowLoss(const Problem &p, const std::vector<double> &s) {
  const std::vector<float> w = p.stacked();
  std::vector<float> scaled;
  for (size_t i = 0; i < w.size(); ++i)
    scaled.push_back(w[i] * float(s[i % p.width]));
  std::vector<float> quantised = SlowQuantized(scaled, p.format);
  std::vector<double> error;
  for (size_t i = 0; i < w.size(); ++i)
    error.push_back(quantised[i] / s[i % p.width] - w[i]);
  return ExplicitLoss(error, p.x, p.width);
}

void checkAgainstSlowSearch(const Problem &p) {
  Kernels kernels;
  StatusOr<Answer> answer = search(p, kernels, StatisticsOf(p.x, p.width));
  ASSERT_STATUS_OK(answer.status());

  double best = slowLoss(p, slowScales(p, 0, 0)), identity = best;
  for (int kind : {1, 2})
    for (int i = kind - 1; i < 19 + kind; ++i)
      if (p.grid == "all" || p.grid == (kind == 1 ? "duo" : "plain"))
        best = std::min(best, slowLoss(p, slowScales(p, kind, i / 20.0)));

  const std::vector<float> w = p.stacked();
  double whole = ExplicitLoss({w.begin(), w.end()}, p.x, p.width);
  int kind = int(answer->choice[0]);
  double r = answer->choice[1];
  std::vector<double> chosen = slowScales(p, kind, std::round(r * 20) / 20);
  EXPECT_LE(slowLoss(p, chosen), best * (1 + 1e-3)) << "kind " << kind << ", r " << r;
  EXPECT_NEAR(answer->choice[2], best / whole, 1e-3 * best / whole);
  EXPECT_NEAR(answer->choice[3], identity / whole, 1e-3 * identity / whole);
  for (int64_t k = 0; k < p.width; ++k) {
    int64_t d = std::max<int64_t>(p.headDim, 1);
    int64_t channel = p.repeat == 1 ? k : k / (p.repeat * d) * d + k % d;
    EXPECT_NEAR(answer->scales[channel], chosen[k], 1e-5 * chosen[k]);
  }
}

TEST(CompressAwqScale, FindsTheBestPoint) {
  Problem p(96, 60, {4, 32, false, DType::F16});
  p.weights = {RandomMatrix(20, 96, 2), RandomMatrix(9, 96, 3)};
  for (int bits : {2, 3, 4})
    for (bool symmetric : {false, true})
      for (const char *grid : {"all", "duo", "plain"}) {
        SCOPED_TRACE(absl::StrCat(bits, " bits, symmetric ", symmetric, ", grid ", grid));
        p.format.bits = bits;
        p.format.symmetric = symmetric;
        p.format.scaleType = bits == 2 ? DType::F32 : bits == 3 ? DType::BF16 : DType::F16;
        p.grid = grid;
        checkAgainstSlowSearch(p);
      }
}

TEST(CompressAwqScale, AveragesOverRepeatedHeads) {
  // Groups that are not whole vectors, and rows for more than one block.
  Problem p(120, 50, {3, 20, false, DType::F16});
  p.repeat = 3;
  p.headDim = 10;
  p.weights = {RandomMatrix(530, 120, 5)};
  checkAgainstSlowSearch(p);
}

TEST(CompressAwqScale, DoesNotDependOnThreads) {
  Problem p(256, 64, {3, 64, false, DType::F16});
  p.weights = {RandomMatrix(700, 256, 2), RandomMatrix(33, 256, 3)};
  Owned statistics = StatisticsOf(p.x, p.width);
  Kernels one(1), four(4);
  StatusOr<Answer> a = search(p, one, statistics), b = search(p, four, statistics);
  ASSERT_STATUS_OK(a.status());
  ASSERT_STATUS_OK(b.status());
  EXPECT_EQ(a->scales, b->scales);
  EXPECT_EQ(a->choice, b->choice);
}

TEST(CompressAwqScale, DeadChannelsAndZeroWeightsStayFinite) {
  Kernels kernels;
  Problem p(64, 30, {4, 32, false, DType::F16});
  p.weights = {RandomMatrix(16, 64, 2)};
  for (int64_t t = 0; t < 30; ++t)
    p.x[t * 64 + 5] = p.x[t * 64 + 40] = 0;
  for (int64_t n = 0; n < 16; ++n)
    p.weights[0][n * 64 + 9] = 0;
  for (const char *grid : {"all", "plain"}) {
    p.grid = grid;
    StatusOr<Answer> answer = search(p, kernels, StatisticsOf(p.x, 64));
    ASSERT_STATUS_OK(answer.status());
    for (float s : answer->scales)
      EXPECT_TRUE(std::isfinite(s) && s > 0);
    for (float c : answer->choice)
      EXPECT_TRUE(std::isfinite(c));
    EXPECT_LE(answer->choice[2], answer->choice[3]);
  }
  // Nothing to lose: every point ties, and the first one, the identity, wins.
  for (bool zeroWeights : {true, false}) {
    Problem dead = p;
    std::vector<float> &zeroed = zeroWeights ? dead.weights[0] : dead.x;
    std::fill(zeroed.begin(), zeroed.end(), 0.0f);
    StatusOr<Answer> answer = search(dead, kernels, StatisticsOf(dead.x, 64));
    ASSERT_STATUS_OK(answer.status());
    EXPECT_EQ(answer->choice, (std::vector<float>{0, 0, 0, 0}));
    EXPECT_EQ(answer->scales, std::vector<float>(64, 1.0f));
  }
}

TEST(CompressAwqScale, RefusesBadOperands) {
  Kernels kernels;
  Problem good(64, 30, {4, 32, false, DType::F16});
  good.weights = {RandomMatrix(16, 64, 2), RandomMatrix(8, 64, 3)};
  Owned statistics = StatisticsOf(good.x, 64);
  auto result = [&](const Problem &p) { return search(p, kernels, statistics).status(); };
  EXPECT_STATUS_OK(result(good));

  Problem p = good;
  p.weights[1][2 * 64 + 7] = NAN;
  EXPECT_TRUE(Fails(result(p), "row 2, column 7 of awq_scale: weight 1 is NaN"));
  p = good;
  p.weights[0][0] = 1e30f;
  EXPECT_TRUE(Fails(result(p), "too large for f16 scales"));
  p = good;
  p.format.group = 48;
  EXPECT_TRUE(Fails(result(p), "group = 48 does not divide"));
  p.format.group = -32;
  EXPECT_TRUE(Fails(result(p), "group = -32"));
  p = good;
  p.format.bits = 16;
  EXPECT_TRUE(Fails(result(p), "bits = "));
  p = good;
  p.format.scaleType = DType::U8;
  EXPECT_TRUE(Fails(result(p), "scale_type = u8"));
  p = good;
  p.grid = "fine";
  EXPECT_TRUE(Fails(result(p), "grid = fine"));
  p = good;
  p.repeat = 2;
  p.headDim = 5;
  EXPECT_TRUE(Fails(result(p), "head_dim = 5"));
  p.headDim = int64_t(1) << 62;
  EXPECT_TRUE(Fails(result(p), "do not divide"));
  p = good;
  p.weights.clear();
  EXPECT_TRUE(Fails(result(p), "1 inputs"));

  Owned weight({2, 32}, std::vector<float>(64)), scales(DType::F32, {64}), choice(DType::F32, {4});
  EXPECT_TRUE(
      Fails(kernels.run("awq_scale", {statistics, weight}, {scales, choice}, good.attributes()),
            "weight 0 has 32 columns"));
  EXPECT_TRUE(Fails(kernels.run("awq_scale", {weight, weight}, {scales, choice}, good.attributes()),
                    "must be statistics"));
  AsStatistics(statistics).absSum[3] = NAN;
  EXPECT_TRUE(Fails(result(good), "column 3"));
  AsStatistics(statistics).absSum[3] = 1;
  AsStatistics(statistics).gram[64] = INFINITY;
  EXPECT_TRUE(Fails(result(good), "row 1, column 0"));
}

} // namespace
} // namespace compressc::test
