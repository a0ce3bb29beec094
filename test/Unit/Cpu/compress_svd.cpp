// svd against what defines it: the least error of its rank, worked out in fp64 from W, G and the factors.
#include "compress_support.h"
#include "svd_golden.h"

namespace compressc::test {
namespace {

struct Factors {
  Factors(int64_t rows, int64_t rank, int64_t columns)
      : left(DType::F32, {rows, rank}), right(DType::F32, {rank, columns}), choice(DType::F32, {4}), rank(rank),
        columns(columns) {}

  Status make(Kernels &kernels, const std::vector<Tensor> &inputs, double damping) {
    Attributes attributes;
    attributes.set("damping", damping);
    return kernels.run("svd", inputs, {left, right, choice}, attributes);
  }
  /// left · right - w.
  std::vector<double> error(const std::vector<float> &w) const {
    std::vector<double> result(w.begin(), w.end());
    for (size_t i = 0; i < w.size(); ++i) {
      result[i] = -result[i];
      for (int64_t r = 0; r < rank; ++r)
        result[i] += double(left.floats()[i / columns * rank + r]) * right.floats()[r * columns + i % columns];
    }
    return result;
  }
  Owned left, right, choice;
  int64_t rank, columns;
};

double squares(const std::vector<double> &values) {
  double sum = 0;
  for (double value : values)
    sum += value * value;
  return sum;
}

std::vector<double> asDoubles(const std::vector<float> &values) { return {values.begin(), values.end()}; }

TEST(CompressSvd, ErrorIsTheSumOfTheDroppedSquares) {
  std::vector<float> w(std::begin(svdWeight), std::end(svdWeight)), x(std::begin(svdInput), std::end(svdInput));
  Kernels kernels;
  Owned weight({svdRows, svdColumns}, w), statistics = StatisticsOf(x, svdColumns);
  for (int64_t rank = 1; rank <= svdColumns; ++rank) {
    double whole = 0, dropped = 0, wholePlain = 0, droppedPlain = 0;
    for (int64_t i = 0; i < svdColumns; ++i) {
      whole += svdWhitened[i] * svdWhitened[i], wholePlain += svdPlain[i] * svdPlain[i];
      if (i >= rank)
        dropped += svdWhitened[i] * svdWhitened[i], droppedPlain += svdPlain[i] * svdPlain[i];
    }
    Factors factors(svdRows, rank, svdColumns);
    ASSERT_STATUS_OK(factors.make(kernels, {weight, statistics}, 0));
    EXPECT_NEAR(ExplicitLoss(factors.error(w), x, svdColumns), dropped, 1e-5 * dropped + 1e-9 * whole);
    EXPECT_EQ(factors.choice.floats()[0], float(rank));
    EXPECT_NEAR(factors.choice.floats()[1], dropped / whole, 1e-6);
    EXPECT_NEAR(factors.choice.floats()[2], 1 - dropped / whole, 1e-6);
    EXPECT_EQ(factors.choice.floats()[3], 0);
    ASSERT_STATUS_OK(factors.make(kernels, {weight}, 0));
    EXPECT_NEAR(squares(factors.error(w)), droppedPlain, 1e-5 * droppedPlain + 1e-9 * wholePlain);
    EXPECT_NEAR(factors.choice.floats()[1], droppedPlain / wholePlain, 1e-6);
  }
}

TEST(CompressSvd, SameBytesForAnyThreads) {
  std::vector<float> w = RandomMatrix(2500, 70, 1), x = RandomMatrix(200, 70, 2);
  Owned weight({2500, 70}, w), statistics = StatisticsOf(x, 70);
  Kernels one(1), four(4);
  Factors a(2500, 9, 70), b(2500, 9, 70);
  ASSERT_STATUS_OK(a.make(one, {weight, statistics}, 1e-6));
  ASSERT_STATUS_OK(b.make(four, {weight, statistics}, 1e-6));
  EXPECT_EQ(a.left.bytes(), b.left.bytes());
  EXPECT_EQ(a.right.bytes(), b.right.bytes());
  EXPECT_EQ(a.choice.bytes(), b.choice.bytes());
  EXPECT_NEAR(ExplicitLoss(a.error(w), x, 70) / ExplicitLoss(asDoubles(w), x, 70), a.choice.floats()[1], 1e-5);
}

TEST(CompressSvd, FactorsHaveOneLengthWhateverTheTokens) {
  std::vector<float> w = RandomMatrix(50, 20, 3), x = RandomMatrix(60, 20, 4);
  for (float &value : x)
    value *= 1000;
  Kernels kernels;
  Factors f(50, 6, 20);
  ASSERT_STATUS_OK(f.make(kernels, {Owned({50, 20}, w), StatisticsOf(x, 20)}, 0));
  for (int64_t r = 0; r < 6; ++r) {
    double left = 0, right = 0;
    for (int64_t n = 0; n < 50; ++n)
      left += std::pow(double(f.left.floats()[n * 6 + r]), 2);
    for (int64_t k = 0; k < 20; ++k)
      right += std::pow(double(f.right.floats()[r * 20 + k]), 2);
    EXPECT_NEAR(left / right, 1, 1e-5);
  }
}

TEST(CompressSvd, SingularGramsAreDampedAndZeroOnesRefused) {
  // Three tokens, and a column that is always 0: of rank 3, a weight of which 3 directions are seen.
  std::vector<float> w = RandomMatrix(30, 12, 5), x = RandomMatrix(3, 12, 6);
  for (int64_t t = 0; t < 3; ++t)
    x[t * 12 + 4] = 0;
  Kernels kernels;
  Factors f(30, 3, 12);
  ASSERT_STATUS_OK(f.make(kernels, {Owned({30, 12}, w), StatisticsOf(x, 12)}, 0));
  EXPECT_GT(f.choice.floats()[3], 0);
  EXPECT_LT(f.choice.floats()[3], 1e-3);
  EXPECT_LT(ExplicitLoss(f.error(w), x, 12), 1e-4 * ExplicitLoss(asDoubles(w), x, 12));

  std::vector<float> zero(24, 0);
  EXPECT_TRUE(Fails(f.make(kernels, {Owned({30, 12}, w), StatisticsOf(zero, 12)}, 0), "was 0 for every calibration token"));
  // A weight of rank 1 in factors of rank 3: two of them are 0.
  for (int64_t i = 0; i < 30 * 12; ++i)
    w[i] = float(1 + i / 12) * float(i % 12 - 5);
  ASSERT_STATUS_OK(f.make(kernels, {Owned({30, 12}, w)}, 0));
  EXPECT_LT(squares(f.error(w)), 1e-9 * squares(asDoubles(w)));
  for (float value : f.left.values())
    EXPECT_TRUE(std::isfinite(value));
  ASSERT_STATUS_OK(f.make(kernels, {Owned({30, 12}, std::vector<float>(30 * 12, 0))}, 0));
  EXPECT_EQ(f.left.values(), std::vector<float>(90, 0));
}

TEST(CompressSvd, RefusesBadOperands) {
  Kernels kernels;
  std::vector<float> w = RandomMatrix(8, 6, 7);
  Owned weight({8, 6}, w);
  EXPECT_TRUE(Fails(Factors(8, 7, 6).make(kernels, {weight}, 0), "rank 7 of a weight [8, 6]; 1 to 6"));
  EXPECT_TRUE(Fails(Factors(9, 2, 6).make(kernels, {weight}, 0), "left factor"));
  EXPECT_TRUE(Fails(Factors(8, 2, 5).make(kernels, {weight}, 0), "right factor"));
  EXPECT_TRUE(Fails(Factors(8, 2, 6).make(kernels, {weight}, NAN), "damping"));
  EXPECT_TRUE(Fails(Factors(8, 2, 6).make(kernels, {weight, Owned(DType::Statistics, {5})}, 0), "statistics"));
  w[2 * 6 + 4] = INFINITY;
  EXPECT_TRUE(Fails(Factors(8, 2, 6).make(kernels, {Owned({8, 6}, w)}, 0), "row 2, column 4"));
}

} // namespace
} // namespace compressc::test
