// The quantiser and its bit streams, bit for bit against the definition.
#include "compress_support.h"

namespace compressc::test {
namespace {

struct Case {
  int64_t rows, columns;
  PackedFormat format;
};

std::vector<Case> cases() {
  std::vector<Case> result;
  for (int bits : {2, 3, 4, 8})
    for (bool symmetric : {false, true})
      for (DType type : {DType::F16, DType::BF16, DType::F32})
        // Neither rows nor columns fill whole words in the first two.
        for (auto [rows, columns, group] :
             {std::array<int64_t, 3>{37, 60, 20}, {5, 7, 7}, {64, 128, 64}, {33, 96, 32}})
          result.push_back({rows, columns, {bits, group, symmetric, type}});
  return result;
}

std::vector<float> weightsWithCorners(int64_t rows, int64_t columns) {
  std::vector<float> w = RandomMatrix(rows, columns, 7);
  for (int64_t k = 0; k < columns; ++k) {
    w[k] = 0;                                         // an all-zero row
    w[columns + k] = 1e-9f * float(k % 3);            // scales at the floor
    w[2 * columns + k] = 0.25f + 0.5f * float(k % 9); // one-sided, with ties
    w[3 * columns + k] = -w[2 * columns + k];
  }
  w[4 * columns] = 1e4f; // an outlier
  return w;
}

TEST(CompressQuantize, CodesScalesAndZerosFollowTheDefinition) {
  Kernels kernels;
  for (const Case &c : cases()) {
    const PackedFormat &f = c.format;
    SCOPED_TRACE(absl::StrCat(c.rows, "x", c.columns, " bits ", f.bits, " group ", f.group,
                              " symmetric ", f.symmetric, " type ", int(f.scaleType)));
    std::vector<float> w = weightsWithCorners(c.rows, c.columns);
    Owned packed(c.rows, c.columns, f);
    ASSERT_STATUS_OK(kernels.run("quantize", {Owned({c.rows, c.columns}, w)}, {packed}));
    Owned plain(DType::F32, {c.rows, c.columns});
    ASSERT_STATUS_OK(kernels.run("dequantize", {packed}, {plain}));

    const int64_t groups = c.columns / f.group;
    const int64_t words = (c.columns * f.bits + 31) / 32;
    for (int64_t n = 0; n < c.rows; ++n)
      for (int64_t g = 0; g < groups; ++g) {
        const float *values = &w[n * c.columns + g * f.group];
        auto [low, high] = SlowRange(values, f.group);
        SlowQuantizer slow(low, high, f);
        float scale = 0;
        auto *halves = static_cast<const uint16_t *>(packed.tensor.scales) + n * groups + g;
        if (f.scaleType == DType::F32)
          scale = static_cast<const float *>(packed.tensor.scales)[n * groups + g];
        else
          scale = f.scaleType == DType::F16 ? HalfToFloat(*halves) : BFloat16ToFloat(*halves);
        ASSERT_EQ(scale, slow.scale);
        if (!f.symmetric) {
          auto *zeros = static_cast<const uint32_t *>(packed.tensor.zeros) + g;
          ASSERT_EQ(SlowBits(zeros, n, f.bits, groups), int(slow.zero));
        }
        for (int64_t k = 0; k < f.group; ++k) {
          int64_t column = g * f.group + k;
          const uint32_t *row = packed.tensor.as<uint32_t>() + n * words;
          ASSERT_EQ(SlowBits(row, column, f.bits), slow.code(values[k])) << n << ", " << column;
          ASSERT_EQ(plain.floats()[n * c.columns + column], slow.value(values[k]));
        }
      }
    // Unused bits are 0, so that equal weights make equal files.
    for (int64_t n = 0; n < c.rows; ++n)
      for (int64_t bit = c.columns * f.bits; bit < words * 32; ++bit)
        ASSERT_EQ(SlowBits(packed.tensor.as<uint32_t>() + n * words, bit, 1), 0);
    for (int64_t bit = c.rows * f.bits; !f.symmetric && bit % 32 != 0; ++bit)
      for (int64_t g = 0; g < groups; ++g)
        ASSERT_EQ(SlowBits(static_cast<uint32_t *>(packed.tensor.zeros) + g, bit, 1, groups), 0);
  }
}

TEST(CompressQuantize, ReadsHalfPrecisionWeights) {
  Kernels kernels;
  std::vector<float> w = RandomMatrix(6, 64, 3);
  PackedFormat format{4, 32, false, DType::F16};
  for (DType type : {DType::F16, DType::BF16}) {
    Owned half(type, {6, 64}), rounded(DType::F32, {6, 64});
    ASSERT_STATUS_OK(kernels.run("convert", {Owned({6, 64}, w)}, {half}));
    for (size_t i = 0; i < w.size(); ++i)
      rounded.floats()[i] = RoundToDType(w[i], type);
    Owned a(6, 64, format), b(6, 64, format);
    ASSERT_STATUS_OK(kernels.run("quantize", {half}, {a}));
    ASSERT_STATUS_OK(kernels.run("quantize", {rounded}, {b}));
    EXPECT_EQ(a.bytes(), b.bytes());
  }
}

TEST(CompressQuantize, DoesNotDependOnThreads) {
  std::vector<float> w = RandomMatrix(150, 96, 5);
  PackedFormat format{3, 32, false, DType::F16};
  Owned one(150, 96, format), four(150, 96, format);
  ASSERT_STATUS_OK(Kernels(1).run("quantize", {Owned({150, 96}, w)}, {one}));
  ASSERT_STATUS_OK(Kernels(4).run("quantize", {Owned({150, 96}, w)}, {four}));
  EXPECT_EQ(one.bytes(), four.bytes());
}

TEST(CompressQuantize, RefusesWhatItCannotQuantise) {
  Kernels kernels;
  PackedFormat format{4, 32, false, DType::F16};
  Owned packed(40, 64, format);
  std::vector<float> w = RandomMatrix(40, 64, 1);
  w[35 * 64 + 3] = std::nanf("");
  w[38 * 64] = INFINITY;
  EXPECT_TRUE(Fails(kernels.run("quantize", {Owned({40, 64}, w)}, {packed}), "row 35, column 3"));
  w[35 * 64 + 3] = 0;
  EXPECT_TRUE(Fails(kernels.run("quantize", {Owned({40, 64}, w)}, {packed}), "row 38, column 0"));
  w[38 * 64] = 2e6f;
  EXPECT_TRUE(Fails(kernels.run("quantize", {Owned({40, 64}, w)}, {packed}),
                    "row 38 of the weight is too large for f16"));
  w[38 * 64] = 0;
  EXPECT_STATUS_OK(kernels.run("quantize", {Owned({40, 64}, w)}, {packed}));

  Owned good({40, 64}, w);
  Tensor bad = packed;
  bad.scales = nullptr;
  EXPECT_TRUE(Fails(kernels.run("quantize", {good}, {bad}), "no memory"));
  bad = packed;
  bad.zeros = nullptr;
  EXPECT_TRUE(Fails(kernels.run("quantize", {good}, {bad}), "no memory"));
  bad = packed;
  bad.packed.group = 48;
  EXPECT_TRUE(Fails(kernels.run("quantize", {good}, {bad}), "group = 48 does not divide"));
  bad.packed.group = 0;
  EXPECT_TRUE(Fails(kernels.run("quantize", {good}, {bad}), "group = 0"));
  bad = packed;
  bad.packed.bits = 5;
  EXPECT_TRUE(Fails(kernels.run("quantize", {good}, {bad}), "bits = 5"));
  bad = packed;
  bad.packed.scaleType = DType::I32;
  EXPECT_TRUE(Fails(kernels.run("quantize", {good}, {bad}), "scale_type = i32"));
  bad = packed;
  bad.shape = {40, 32};
  EXPECT_TRUE(Fails(kernels.run("quantize", {good}, {bad}), "it must be packed [40, 64]"));
  EXPECT_TRUE(Fails(kernels.run("quantize", {good}, {good}), "it must be packed"));
  EXPECT_TRUE(Fails(kernels.run("quantize", {packed}, {packed}), "f32, f16 or bf16"));
  EXPECT_TRUE(Fails(kernels.run("quantize", {good, good}, {packed}), "2 inputs"));
  Tensor shapeless = good;
  shapeless.shape = {40, -64};
  EXPECT_TRUE(Fails(kernels.run("quantize", {shapeless}, {packed}), "[40, -64]"));
  shapeless.shape = {int64_t(1) << 40, int64_t(1) << 40};
  EXPECT_TRUE(Fails(kernels.run("quantize", {shapeless}, {packed}), "dimensions"));
  shapeless = good;
  shapeless.data = nullptr;
  EXPECT_TRUE(Fails(kernels.run("quantize", {shapeless}, {packed}), "no data"));
}

} // namespace
} // namespace compressc::test
