#include "ModelSupport.h"

using namespace compressc;
using namespace compressc::test;

namespace {

constexpr float untouched = 12345.0f;

struct Product {
  std::vector<float> x, bias, residual;
  Weight weight;
  int64_t M, N, K;
};

Product makeProduct(int64_t M, int64_t N, int64_t K, const WeightKind &kind) {
  return {randomFloats(M * K, 1),
          randomFloats(N, 2),
          randomFloats(M * N, 3),
          kind.make(N, K, 4),
          M,
          N,
          K};
}

std::vector<float> multiply(Machine &machine, const Product &p, bool epilogue, int64_t firstRow = 0,
                            int64_t rows = -1) {
  rows = rows < 0 ? p.M : rows;
  int64_t ldo = p.N + 3; // what lies between the rows must stay as it is
  std::vector<float> out(size_t(rows * ldo), untouched);
  auto w = ReadWeight(p.weight.tensor, "w");
  EXPECT_TRUE(w.ok()) << w.status();
  GemmEpilogue add;
  if (epilogue)
    add = {p.bias.data(), p.residual.data() + firstRow * p.N, p.N};
  Gemm(machine.context, rows, p.N, p.K, p.x.data() + firstRow * p.K, p.K, *w, out.data(), ldo, add);
  std::vector<float> dense;
  for (int64_t m = 0; m < rows; ++m) {
    dense.insert(dense.end(), out.begin() + m * ldo, out.begin() + m * ldo + p.N);
    for (int64_t n = p.N; n < ldo; ++n)
      EXPECT_EQ(out[size_t(m * ldo + n)], untouched);
  }
  return dense;
}

void expectProduct(const Product &p, const std::vector<float> &out, bool epilogue) {
  double worst = 0;
  for (int64_t m = 0; m < p.M; ++m)
    for (int64_t n = 0; n < p.N; ++n) {
      double sum = 0, size = 0;
      for (int64_t k = 0; k < p.K; ++k) {
        double term = double(p.x[size_t(m * p.K + k)]) * p.weight.values[size_t(n * p.K + k)];
        sum += term;
        size += std::abs(term);
      }
      if (epilogue)
        sum += double(p.bias[size_t(n)]) + double(p.residual[size_t(m * p.N + n)]);
      worst = std::max(worst, std::abs(out[size_t(m * p.N + n)] - sum) / (size + 1));
    }
  EXPECT_LT(worst, 2e-6) << p.M << "x" << p.N << "x" << p.K;
}

TEST(Gemm, EveryTypeOfWeight) {
  Machine machine;
  forEachInstructionSet([&](std::string_view) {
    for (int64_t K : {1, 5, 32, 35, 128, 256, 320, 640})
      for (const WeightKind &kind : weightKinds(K)) {
        SCOPED_TRACE(kind.name);
        Product p = makeProduct(5, 37, K, kind);
        expectProduct(p, multiply(machine, p, K % 2), K % 2);
      }
  });
}

TEST(Gemm, EveryShape) {
  Machine machine;
  WeightKind half{"f16", DType::F16, {}};
  forEachInstructionSet([&](std::string_view) {
    for (int64_t M = 1; M <= 33; ++M)
      for (int64_t N : {1, 3, 16, 31, 32, 65}) {
        Product p = makeProduct(M, N, 1 + (M * 53 + N * 7) % 300, half);
        expectProduct(p, multiply(machine, p, true), true);
      }
    for (auto [M, N, K] :
         {std::array<int64_t, 3>{700, 200, 257}, {64, 576, 1536}, {1100, 33, 64}}) {
      Product p = makeProduct(M, N, K, half);
      expectProduct(p, multiply(machine, p, true), true);
    }
  });
}

TEST(Gemm, RowsHaveTheSameBitsInEveryBatchAndOnEveryNumberOfThreads) {
  Machine one(1), two(2), three(3);
  for (int64_t K : {int64_t(64), int64_t(640)})
    for (const WeightKind &kind : weightKinds(K))
      forEachInstructionSet([&](std::string_view) {
        SCOPED_TRACE(kind.name);
        Product p = makeProduct(45, 70, K, kind);
        std::vector<float> whole = multiply(one, p, true);
        EXPECT_TRUE(sameBits(whole, multiply(two, p, true)));
        EXPECT_TRUE(sameBits(whole, multiply(three, p, true)));
        for (auto [first, rows] :
             {std::pair<int64_t, int64_t>{0, 1}, {7, 2}, {10, 15}, {44, 1}, {3, 31}}) {
          std::vector<float> expected(whole.begin() + first * p.N,
                                      whole.begin() + (first + rows) * p.N);
          EXPECT_TRUE(sameBits(expected, multiply(two, p, true, first, rows)));
        }
      });
}

TEST(Gemm, Avx2AndAvx512Agree) {
  Machine machine;
  Product p = makeProduct(33, 70, 640, {"w4", DType::Packed, {4, 64, false, DType::F16}});
  std::string before(InstructionSet());
  if (SetInstructionSetForTesting("avx512")) {
    std::vector<float> wide = multiply(machine, p, true);
    ASSERT_TRUE(SetInstructionSetForTesting("avx2"));
    EXPECT_TRUE(sameBits(wide, multiply(machine, p, true)));
  }
  ASSERT_TRUE(SetInstructionSetForTesting(before));
}

TEST(Gemm, ResidualMayBeTheOutput) {
  Machine machine;
  Product p = makeProduct(20, 40, 600, {"f32", DType::F32, {}});
  p.bias.assign(p.bias.size(), 0.0f);
  std::vector<float> apart = multiply(machine, p, true), inPlace = p.residual;
  auto w = ReadWeight(p.weight.tensor, "w");
  ASSERT_TRUE(w.ok());
  Gemm(machine.context, p.M, p.N, p.K, p.x.data(), p.K, *w, inPlace.data(), p.N,
       {p.bias.data(), inPlace.data(), p.N});
  EXPECT_TRUE(sameBits(apart, inPlace));
}

TEST(Gemm, DequantizedRowsAreExact) {
  forEachInstructionSet([&](std::string_view) {
    for (int64_t K : {1, 5, 37, 64, 256, 320, 640, 768})
      for (const WeightKind &kind : weightKinds(K)) {
        SCOPED_TRACE(kind.name);
        Weight weight = kind.make(6, K, 9);
        for (int64_t row = 0; row < 6; ++row) {
          std::vector<float> out(size_t(K) + 1, untouched);
          DequantizeRow(ReadWeight(weight.tensor, "w").value(), row, out.data());
          for (int64_t k = 0; k < K; ++k) {
            double value = weight.values[size_t(row * K + k)];
            // Every product of a code fits fp32: sums and differences are all that rounds.
            ASSERT_EQ(out[size_t(k)], float(value)) << row << ", " << k;
          }
          ASSERT_EQ(out[size_t(K)], untouched);
        }
      }
  });
}

TEST(Syrk, MatchesTheReference) {
  Machine one(1), two(2);
  forEachInstructionSet([&](std::string_view) {
    for (auto [T, K] :
         {std::pair<int64_t, int64_t>{1, 1}, {3, 7}, {40, 33}, {257, 225}, {600, 250}, {5, 451}}) {
      SCOPED_TRACE(std::to_string(T) + "x" + std::to_string(K));
      int64_t ldx = K + 5;
      std::vector<float> x = randomFloats((T - 1) * ldx + K, 5), start(size_t(K * K));
      for (int64_t i = 0; i < K; ++i)
        for (int64_t j = 0; j <= i; ++j)
          start[size_t(i * K + j)] = start[size_t(j * K + i)] = float(i + 2 * j) * 0.01f;
      std::vector<float> gram = start, again = start;
      SyrkAccumulate(one.context, T, K, x.data(), ldx, gram.data());
      SyrkAccumulate(two.context, T, K, x.data(), ldx, again.data());
      EXPECT_TRUE(sameBits(gram, again));
      double worst = 0;
      for (int64_t i = 0; i < K; ++i)
        for (int64_t j = 0; j < K; ++j) {
          double sum = start[size_t(i * K + j)], size = std::abs(sum);
          for (int64_t t = 0; t < T; ++t) {
            double term = double(x[size_t(t * ldx + i)]) * x[size_t(t * ldx + j)];
            sum += term;
            size += std::abs(term);
          }
          worst = std::max(worst, std::abs(gram[size_t(i * K + j)] - sum) / size);
          ASSERT_EQ(gram[size_t(i * K + j)], gram[size_t(j * K + i)]);
        }
      EXPECT_LT(worst, 1e-6);
    }
  });
}

TEST(WeightMatrix, RefusesWhatItCannotRead) {
  auto refused = [](const Tensor &tensor, std::string_view part) {
    expectRefused(ReadWeight(tensor, "the weight").status(), part);
  };
  Weight plain = plainWeight(DType::F16, 4, 64, 1);
  Tensor t = plain.tensor;
  t.shape = {64};
  refused(t, "f16 [64]");
  t.shape = {4, 0};
  refused(t, "[4, 0]");
  t.shape = {-4, 64};
  refused(t, "[-4, 64]");
  t.shape = {int64_t(1) << 40, int64_t(1) << 40};
  refused(t, "matrix");
  t = plain.tensor;
  t.data = nullptr;
  refused(t, "no data");
  t = plain.tensor;
  t.dtype = DType::I32;
  refused(t, "i32");
  t.dtype = DType::Statistics;
  refused(t, "statistics");
  t.dtype = DType::Q8_0;
  t.shape = {4, 33};
  refused(t, "blocks of 32");
  t.dtype = DType::Q4_K;
  t.shape = {4, 64};
  refused(t, "blocks of 256");

  Weight packed = packedWeight({4, 32, false, DType::F16}, 4, 64, 1);
  t = packed.tensor;
  t.packed.bits = 5;
  refused(t, "5 bits");
  t = packed.tensor;
  t.packed.group = 48;
  refused(t, "groups of 48");
  t.packed.group = 0;
  refused(t, "groups of 0");
  t = packed.tensor;
  t.packed.scaleType = DType::I32;
  refused(t, "i32 scales");
  t = packed.tensor;
  t.scales = nullptr;
  refused(t, "scales");
  t = packed.tensor;
  t.zeros = nullptr;
  refused(t, "zero points");
}

} // namespace
