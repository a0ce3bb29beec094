// The clip search against one that quantises each candidate range and runs every token.
#include "../../../runtime/cpu/instruction_set.h"
#include "compress_support.h"

namespace compressc::test {
namespace {

/// Σ over tokens of (Q(values) − values)·x over one group's columns.
double rangeLoss(const float *values, float low, float high, const PackedFormat &format,
                 const std::vector<float> &x, int64_t width, int64_t begin) {
  SlowQuantizer quantizer(low, high, format);
  double total = 0;
  for (size_t t = 0; t < x.size(); t += width) {
    double sum = 0;
    for (int64_t k = 0; k < format.group; ++k)
      sum += (double(quantizer.value(values[k])) - values[k]) * x[t + begin + k];
    total += sum * sum;
  }
  return total;
}

struct Range {
  float low, high;
  double loss;
};

Range slowClip(const float *values, const PackedFormat &format, const std::vector<float> &x,
               int64_t width, int64_t begin) {
  auto [low0, high0] = SlowRange(values, format.group);
  Range best{low0, high0, rangeLoss(values, low0, high0, format, x, width, begin)};
  auto consider = [&](float low, float high) {
    double loss = rangeLoss(values, low, high, format, x, width, begin);
    if (loss < best.loss)
      best = {low, high, loss};
  };
  auto ratio = [](int i) { return float(1 - i / 20.0); };
  float largest = std::fmax(-low0, high0);
  for (int i = 1; i < 10; ++i) {
    if (format.symmetric)
      consider(std::fmax(low0, -largest * ratio(i)), std::fmin(high0, largest * ratio(i)));
    else
      consider(low0 * ratio(i), high0 * ratio(i));
  }
  if (format.symmetric)
    return best;
  float high = best.high;
  for (int i = 0; i < 10; ++i)
    consider(low0 * ratio(i), high);
  float low = best.low;
  for (int i = 0; i < 10; ++i)
    consider(low, high0 * ratio(i));
  return best;
}

struct Clipped {
  std::vector<float> weight, choice;
};

StatusOr<Clipped> clip(Kernels &kernels, const std::vector<float> &w, const Tensor &statistics,
                       const PackedFormat &format) {
  int64_t width = statistics.dim(0), rows = w.size() / width;
  Owned out(DType::F32, {rows, width}), choice(DType::F32, {2});
  COMPRESSC_RETURN_IF_ERROR(kernels.run("clip", {Owned({rows, width}, w), statistics},
                                        {out, choice}, FormatAttributes(format)));
  return Clipped{out.values(), choice.values()};
}

TEST(CompressClip, FindsTheBestRanges) {
  Kernels kernels;
  struct Case {
    int64_t rows, width, group;
  };
  for (Case c : {Case{37, 96, 32}, {5, 30, 15}, {3, 7, 7}, {16, 128, 128}})
    for (int bits : {3, 4})
      for (bool symmetric : {false, true}) {
        SCOPED_TRACE(absl::StrCat(c.rows, "x", c.width, ", ", bits, " bits, ", symmetric));
        PackedFormat format{bits, c.group, symmetric, bits == 3 ? DType::F16 : DType::F32};
        std::vector<float> w = RandomMatrix(c.rows, c.width, 1), x = RandomMatrix(40, c.width, 2);
        for (int64_t k = 0; k < c.width; ++k)
          w[c.width + k] = std::fabs(w[c.width + k]); // a range with an end at 0
        StatusOr<Clipped> got = clip(kernels, w, StatisticsOf(x, c.width), format);
        ASSERT_STATUS_OK(got.status());

        double before = 0, after = 0, ratios = 0;
        int same = 0, groups = 0;
        for (int64_t n = 0; n < c.rows; ++n)
          for (int64_t begin = 0; begin < c.width; begin += c.group, ++groups) {
            const float *values = &w[n * c.width + begin];
            const float *clipped = &got->weight[n * c.width + begin];
            Range want = slowClip(values, format, x, c.width, begin);
            auto [low0, high0] = SlowRange(values, c.group);
            auto [low, high] = SlowRange(clipped, c.group);
            double first = rangeLoss(values, low0, high0, format, x, c.width, begin);
            double loss = rangeLoss(values, low, high, format, x, c.width, begin);
            // In fp32 the search may take the other of two ranges that are equally good; the greedy
            // order may then part, so such a group must still not lose more.
            ASSERT_LE(loss, first * (1 + 1e-4));
            same += low == want.low && high == want.high;
            before += first;
            after += loss;
            ratios += symmetric ? std::fmax(-low, high) / std::fmax(-low0, high0)
                                : (high - low) / (high0 - low0);
            for (int64_t k = 0; k < c.group; ++k)
              ASSERT_EQ(clipped[k], std::fmin(std::fmax(values[k], low), high));
          }
        EXPECT_GE(same, groups * 0.98);
        EXPECT_NEAR(got->choice[0], after / before, 1e-4);
        EXPECT_NEAR(got->choice[1], ratios / groups, 1e-5);
        EXPECT_LT(after, before);
      }
}

TEST(CompressClip, ClippedWeightsQuantiseInTheChosenRange) {
  Kernels kernels;
  PackedFormat format{3, 32, false, DType::F16};
  std::vector<float> w = RandomMatrix(20, 64, 1), x = RandomMatrix(40, 64, 2);
  Owned statistics = StatisticsOf(x, 64);
  StatusOr<Clipped> got = clip(kernels, w, statistics, format);
  ASSERT_STATUS_OK(got.status());
  Owned original({20, 64}, w), packed(20, 64, format), plain(20, 64, format);
  Owned better(DType::F32, {1}), worse(DType::F32, {1});
  ASSERT_STATUS_OK(kernels.run("quantize", {Owned({20, 64}, got->weight)}, {packed}));
  ASSERT_STATUS_OK(kernels.run("quantize", {original}, {plain}));
  ASSERT_STATUS_OK(kernels.run("output_error", {original, packed, statistics}, {better}));
  ASSERT_STATUS_OK(kernels.run("output_error", {original, plain, statistics}, {worse}));
  EXPECT_LT(*better.floats(), *worse.floats());
}

TEST(CompressClip, DoesNotDependOnThreadsOrInstructionSet) {
  PackedFormat format{3, 64, false, DType::F16};
  std::vector<float> w = RandomMatrix(333, 128, 1), x = RandomMatrix(200, 128, 2);
  Owned statistics = StatisticsOf(x, 128);
  Kernels one(1);
  StatusOr<Clipped> want = clip(one, w, statistics, format);
  ASSERT_STATUS_OK(want.status());
  std::string initial(InstructionSet());
  for (const char *isa : {"portable", "avx2", "avx512"}) {
    if (!SetInstructionSetForTesting(isa))
      continue;
    Kernels four(4);
    StatusOr<Clipped> got = clip(four, w, statistics, format);
    EXPECT_STATUS_OK(got.status());
    if (got.ok()) {
      EXPECT_EQ(got->weight, want->weight) << isa;
      EXPECT_EQ(got->choice, want->choice) << isa;
    }
  }
  SetInstructionSetForTesting(initial);
}

TEST(CompressClip, ZeroAndDeadGroups) {
  Kernels kernels;
  PackedFormat format{4, 32, false, DType::F16};
  std::vector<float> w = RandomMatrix(4, 64, 1), x = RandomMatrix(20, 64, 2);
  for (int64_t t = 0; t < 20; ++t)
    std::fill_n(&x[t * 64], 32, 0.0f); // the first group's inputs are dead
  std::fill_n(w.begin(), 64, 0.0f);
  StatusOr<Clipped> got = clip(kernels, w, StatisticsOf(x, 64), format);
  ASSERT_STATUS_OK(got.status());
  for (int64_t n = 0; n < 4; ++n)
    for (int64_t k = 0; k < 32; ++k)
      EXPECT_EQ(got->weight[n * 64 + k], w[n * 64 + k]);
  got = clip(kernels, std::vector<float>(4 * 64), StatisticsOf(x, 64), format);
  ASSERT_STATUS_OK(got.status());
  EXPECT_EQ(got->choice, (std::vector<float>{1, 1}));
  EXPECT_EQ(got->weight, std::vector<float>(4 * 64));
}

TEST(CompressClip, RefusesBadOperands) {
  Kernels kernels;
  PackedFormat format{4, 32, false, DType::F16};
  std::vector<float> w = RandomMatrix(40, 64, 1), x = RandomMatrix(20, 64, 2);
  Owned statistics = StatisticsOf(x, 64);
  w[17 * 64 + 63] = -INFINITY;
  w[33 * 64 + 1] = NAN;
  EXPECT_TRUE(Fails(clip(kernels, w, statistics, format).status(), "row 17, column 63"));
  w[17 * 64 + 63] = w[33 * 64 + 1] = 1e20f;
  EXPECT_TRUE(Fails(clip(kernels, w, statistics, format).status(), "too large for f16"));
  w[17 * 64 + 63] = w[33 * 64 + 1] = 1;
  PackedFormat bad = format;
  bad.group = 24;
  EXPECT_TRUE(Fails(clip(kernels, w, statistics, bad).status(), "group = 24"));
  Owned unseen(DType::Statistics, {64});
  EXPECT_TRUE(Fails(clip(kernels, w, unseen, format).status(), "no observed tokens"));
  Owned weight({40, 64}, w), small(DType::F32, {40, 32}), choice(DType::F32, {2});
  EXPECT_TRUE(
      Fails(kernels.run("clip", {weight, statistics}, {small, choice}, FormatAttributes(format)),
            "must be f32 [40, 64]"));
  EXPECT_TRUE(Fails(kernels.run("clip", {weight, statistics}, {weight, choice}), "bits"));
  EXPECT_TRUE(Fails(kernels.run("clip", {weight, Owned(DType::Statistics, {32})}, {weight, choice},
                                FormatAttributes(format)),
                    "statistics [64]"));
}

} // namespace
} // namespace compressc::test
