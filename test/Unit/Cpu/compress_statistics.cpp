// Statistics against sums in fp64, and the Gram form of the output error against explicit outputs.
#include "compress_support.h"

namespace compressc::test {
namespace {

void expectNear(const Tensor &got, const Tensor &want, double tolerance) {
  StatisticsView a = AsStatistics(got), b = AsStatistics(want);
  for (int64_t i = 0; i < a.width; ++i) {
    EXPECT_NEAR(a.absSum[i], b.absSum[i], tolerance * b.absSum[i]);
    for (int64_t j = 0; j < a.width; ++j) {
      double size = std::sqrt(double(b.gram[i * a.width + i]) * b.gram[j * a.width + j]);
      ASSERT_NEAR(a.gram[i * a.width + j], b.gram[i * a.width + j], tolerance * size);
      ASSERT_EQ(a.gram[i * a.width + j], a.gram[j * a.width + i]);
    }
  }
  EXPECT_EQ(*a.count, *b.count);
}

TEST(CompressStatistics, ObserveAccumulatesBatches) {
  const int64_t width = 150;
  std::vector<float> x = RandomMatrix(301, width, 6);
  std::vector<float> head(x.begin(), x.begin() + 100 * width),
      tail(x.begin() + 100 * width, x.end());
  Owned all(DType::Statistics, {width});
  Kernels kernels;
  ASSERT_STATUS_OK(kernels.run("observe", {Owned({100, width}, head)}, {all}));
  ASSERT_STATUS_OK(kernels.run("observe", {Owned(DType::F32, {0, width})}, {all}));
  ASSERT_STATUS_OK(kernels.run("observe", {Owned({201, width}, tail)}, {all}));
  expectNear(all, StatisticsOf(x, width), 1e-5);

  Owned one(DType::Statistics, {width}), four(DType::Statistics, {width});
  ASSERT_STATUS_OK(Kernels(1).run("observe", {Owned({301, width}, x)}, {one}));
  ASSERT_STATUS_OK(Kernels(4).run("observe", {Owned({301, width}, x)}, {four}));
  EXPECT_EQ(one.bytes(), four.bytes());
}

TEST(CompressStatistics, ObserveRefusesBadOperands) {
  Kernels kernels;
  std::vector<float> x = RandomMatrix(20, 70, 6);
  Owned statistics(DType::Statistics, {70});
  x[3 * 70 + 68] = NAN;
  x[4 * 70 + 69] = INFINITY;
  EXPECT_TRUE(Fails(kernels.run("observe", {Owned({20, 70}, x)}, {statistics}), "column 68"));
  Owned good(DType::F32, {20, 70});
  EXPECT_TRUE(Fails(kernels.run("observe", {good}, {Owned(DType::Statistics, {71})}), "[70]"));
  EXPECT_TRUE(Fails(kernels.run("observe", {good}, {Owned(DType::F32, {70})}), "statistics [70]"));
  EXPECT_TRUE(Fails(kernels.run("observe", {Owned(DType::F16, {20, 70})}, {statistics}), "f32"));
  Tensor empty = good;
  empty.data = nullptr;
  EXPECT_TRUE(Fails(kernels.run("observe", {empty}, {statistics}), "no data"));
}

TEST(CompressStatistics, MirrorGramCopiesTheLowerHalfInPlace) {
  const int64_t width = 37;
  Owned statistics = StatisticsOf(RandomMatrix(50, width, 8), width), whole = StatisticsOf(RandomMatrix(50, width, 8), width);
  StatisticsView view = AsStatistics(statistics);
  for (int64_t i = 0; i < width; ++i)
    for (int64_t j = i + 1; j < width; ++j)
      view.gram[i * width + j] = NAN;
  Kernels kernels;
  ASSERT_STATUS_OK(kernels.run("mirror_gram", {statistics}, {statistics}));
  EXPECT_EQ(statistics.bytes(), whole.bytes());
  EXPECT_TRUE(Fails(kernels.run("mirror_gram", {statistics}, {whole}), "works in place"));
}

TEST(CompressStatistics, CosineOfRowsIsAveragedOverBatches) {
  const int64_t width = 37, rows = 90, first = 40;
  std::vector<float> x = RandomMatrix(rows, width, 3), y = RandomMatrix(rows, width, 4);
  for (int64_t k = 0; k < width; ++k) {
    x[5 * width + k] = 0; // of one row: 1
    x[6 * width + k] = y[6 * width + k] = 0; // of both: 0
    y[7 * width + k] = 3 * x[7 * width + k]; // parallel: 0
    y[50 * width + k] = -x[50 * width + k]; // opposite: 2
  }
  double sum = 0;
  for (int64_t t = 0; t < rows; ++t) {
    long double ab = 0, aa = 0, bb = 0;
    for (int64_t k = t * width; k < (t + 1) * width; ++k)
      ab += (long double)x[k] * y[k], aa += (long double)x[k] * x[k], bb += (long double)y[k] * y[k];
    sum += t == 5 ? 1 : t == 6 ? 0 : double(1 - ab / std::sqrt(aa * bb));
  }
  auto part = [&](const std::vector<float> &rowsOf, int64_t begin, int64_t end) {
    return Owned({end - begin, width}, {rowsOf.begin() + begin * width, rowsOf.begin() + end * width});
  };
  std::vector<std::vector<float>> results;
  for (int threads : {1, 3}) {
    Kernels kernels(threads);
    Owned out(DType::F32, {2});
    ASSERT_STATUS_OK(kernels.run("observe_cosine", {part(x, 0, first), part(y, 0, first)}, {out}));
    ASSERT_STATUS_OK(kernels.run("observe_cosine", {Owned(DType::F32, {0, width}), Owned(DType::F32, {0, width})}, {out}));
    ASSERT_STATUS_OK(kernels.run("observe_cosine", {part(x, first, rows), part(y, first, rows)}, {out}));
    EXPECT_NEAR(out.floats()[0], sum / rows, 1e-6);
    EXPECT_EQ(out.floats()[1], float(rows));
    results.push_back(out.values());
  }
  EXPECT_EQ(results[0], results[1]);

  Kernels kernels;
  Owned out(DType::F32, {2}), good({rows, width}, x);
  x[3 * width] = NAN;
  EXPECT_TRUE(Fails(kernels.run("observe_cosine", {Owned({rows, width}, x), good}, {out}), "row 3"));
  EXPECT_TRUE(Fails(kernels.run("observe_cosine", {good, Owned(DType::F32, {rows, 5})}, {out}), "the output"));
  EXPECT_TRUE(Fails(kernels.run("observe_cosine", {good, good}, {Owned(DType::F32, {1})}), "the influence"));
  EXPECT_TRUE(Fails(kernels.run("observe_cosine", {Owned(DType::F16, {rows, width}), good}, {out}), "f32"));
}

TEST(CompressStatistics, ScaledStatisticsAreThoseOfScaledInputs) {
  const int64_t width = 40;
  std::vector<float> x = RandomMatrix(99, width, 8), scales(width);
  for (int64_t k = 0; k < width; ++k)
    scales[k] = std::exp(float(k % 13) - 6) * (k % 5 ? 1.0f : -1.0f);
  std::vector<float> scaled = x;
  for (size_t i = 0; i < x.size(); ++i)
    scaled[i] /= scales[i % width];
  Kernels kernels;
  Owned out(DType::Statistics, {width});
  ASSERT_STATUS_OK(
      kernels.run("scale_statistics", {StatisticsOf(x, width), Owned({width}, scales)}, {out}));
  expectNear(out, StatisticsOf(scaled, width), 1e-6);

  scales[11] = 0;
  EXPECT_TRUE(Fails(
      kernels.run("scale_statistics", {StatisticsOf(x, width), Owned({width}, scales)}, {out}),
      "scale 11 is 0"));
  scales[11] = 1e-30f;
  EXPECT_TRUE(Fails(
      kernels.run("scale_statistics", {StatisticsOf(x, width), Owned({width}, scales)}, {out}),
      "NaN or infinite"));
}

TEST(CompressStatistics, OutputErrorIsTheExplicitError) {
  Kernels kernels;
  // Several row blocks of the trace, and widths around its panels.
  for (auto [rows, width] :
       {std::pair<int64_t, int64_t>{3, 20}, {601, 64}, {40, 128}, {9, 333}, {5, 2100}}) {
    std::vector<float> w = RandomMatrix(rows, width, 1), x = RandomMatrix(77, width, 2), other = w;
    std::mt19937 generator(3);
    std::normal_distribution<float> normal(0, 0.1f);
    std::vector<double> error, whole(w.begin(), w.end());
    for (size_t i = 0; i < w.size(); ++i) {
      other[i] += normal(generator);
      error.push_back(double(other[i]) - w[i]);
    }
    double want = ExplicitLoss(error, x, width) / ExplicitLoss(whole, x, width);
    Owned out(DType::F32, {1}), statistics = StatisticsOf(x, width);
    ASSERT_STATUS_OK(kernels.run(
        "output_error", {Owned({rows, width}, w), Owned({rows, width}, other), statistics}, {out}));
    EXPECT_NEAR(*out.floats(), want, 1e-4 * want) << rows << "x" << width;
    Owned again(DType::F32, {1});
    ASSERT_STATUS_OK(Kernels(5).run(
        "output_error", {Owned({rows, width}, w), Owned({rows, width}, other), statistics},
        {again}));
    EXPECT_EQ(*out.floats(), *again.floats());
  }
}

TEST(CompressStatistics, OutputErrorOfPackedWeightsAndCorners) {
  Kernels kernels;
  const int64_t rows = 33, width = 64;
  std::vector<float> w = RandomMatrix(rows, width, 1), x = RandomMatrix(50, width, 2);
  PackedFormat format{3, 32, false, DType::F16};
  std::vector<float> quantised = SlowQuantized(w, format);
  std::vector<double> error, whole(w.begin(), w.end());
  for (size_t i = 0; i < w.size(); ++i)
    error.push_back(double(quantised[i]) - w[i]);
  double want = ExplicitLoss(error, x, width) / ExplicitLoss(whole, x, width);
  Owned weight({rows, width}, w), packed(rows, width, format), out(DType::F32, {1});
  Owned statistics = StatisticsOf(x, width);
  ASSERT_STATUS_OK(kernels.run("quantize", {weight}, {packed}));
  ASSERT_STATUS_OK(kernels.run("output_error", {weight, packed, statistics}, {out}));
  EXPECT_NEAR(*out.floats(), want, 1e-4 * want);

  Owned zero(DType::F32, {rows, width});
  ASSERT_STATUS_OK(kernels.run("output_error", {zero, zero, statistics}, {out}));
  EXPECT_EQ(*out.floats(), 0);
  ASSERT_STATUS_OK(kernels.run("output_error", {zero, weight, statistics}, {out}));
  EXPECT_TRUE(std::isfinite(*out.floats()));

  Owned unseen(DType::Statistics, {width});
  EXPECT_TRUE(Fails(kernels.run("output_error", {weight, packed, unseen}, {out}), "no observed"));
  AsStatistics(statistics).gram[5 * width + 6] = NAN;
  EXPECT_TRUE(Fails(kernels.run("output_error", {weight, packed, statistics}, {out}),
                    "row 5, column 6 of output_error: the statistics is NaN"));
  weight.floats()[70] = INFINITY;
  EXPECT_TRUE(Fails(kernels.run("output_error", {weight, packed, StatisticsOf(x, width)}, {out}),
                    "row 1, column 6 of output_error: the weight is NaN"));
  EXPECT_TRUE(Fails(kernels.run("output_error", {zero, weight, StatisticsOf(x, width)}, {out}),
                    "row 1, column 6 of output_error: the changed weight"));
  EXPECT_TRUE(
      Fails(kernels.run("output_error",
                        {zero, Owned(DType::F32, {rows, 32}), StatisticsOf(x, width)}, {out}),
            "[33, 32]"));
}

} // namespace
} // namespace compressc::test
