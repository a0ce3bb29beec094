// Weight expressions that copy, convert or scale, and GGUF blocks.
#include "compress_support.h"

namespace compressc::test {
namespace {

std::vector<uint8_t> block(std::initializer_list<float> header, auto quantum, int bytes) {
  std::vector<uint8_t> result;
  for (float value : header) {
    uint16_t half = FloatToHalf(value);
    result.push_back(half & 0xff);
    result.push_back(half >> 8);
  }
  for (int j = 0; j < bytes; ++j)
    result.push_back(uint8_t(quantum(j)));
  return result;
}

Owned blocks(DType type, int64_t rows, int64_t columns,
             const std::vector<std::vector<uint8_t>> &data) {
  Owned result(type, {rows, columns});
  auto *to = result.tensor.as<uint8_t>();
  for (const auto &one : data)
    to = std::copy(one.begin(), one.end(), to);
  EXPECT_EQ(to - result.tensor.as<uint8_t>(), int64_t(result.bytes().size()));
  return result;
}

TEST(CompressWeights, DequantizesHandMadeBlocks) {
  Kernels kernels;
  Owned out(DType::F32, {2, 32});
  auto nibbles = [](int j) { return j | (15 - j) << 4; };
  ASSERT_STATUS_OK(kernels.run(
      "dequantize",
      {blocks(DType::Q4_0, 2, 32, {block({0.5f}, nibbles, 16), block({-2}, nibbles, 16)})}, {out}));
  for (int j = 0; j < 16; ++j) {
    EXPECT_EQ(out.floats()[j], 0.5f * float(j - 8));
    EXPECT_EQ(out.floats()[16 + j], 0.5f * float(7 - j));
    EXPECT_EQ(out.floats()[32 + j], -2.0f * float(j - 8));
    EXPECT_EQ(out.floats()[48 + j], -2.0f * float(7 - j));
  }
  ASSERT_STATUS_OK(kernels.run(
      "dequantize",
      {blocks(DType::Q4_1, 2, 32, {block({0.25f, -1}, nibbles, 16), block({1, 3}, nibbles, 16)})},
      {out}));
  for (int j = 0; j < 16; ++j) {
    EXPECT_EQ(out.floats()[j], 0.25f * float(j) - 1);
    EXPECT_EQ(out.floats()[16 + j], 0.25f * float(15 - j) - 1);
    EXPECT_EQ(out.floats()[32 + j], float(j) + 3);
    EXPECT_EQ(out.floats()[48 + j], float(15 - j) + 3);
  }
  auto bytes = [](int j) { return int8_t(j * 8 - 128); };
  Owned half(DType::F16, {1, 64});
  ASSERT_STATUS_OK(kernels.run(
      "dequantize",
      {blocks(DType::Q8_0, 1, 64, {block({0.125f}, bytes, 32), block({2}, bytes, 32)})}, {half}));
  for (int j = 0; j < 32; ++j) {
    EXPECT_EQ(HalfToFloat(half.tensor.as<uint16_t>()[j]), 0.125f * float(j * 8 - 128));
    EXPECT_EQ(HalfToFloat(half.tensor.as<uint16_t>()[32 + j]), 2.0f * float(j * 8 - 128));
  }
}

TEST(CompressWeights, DequantizeRefusesBadBlocks) {
  Kernels kernels;
  auto ones = [](int) { return 1; };
  Owned out(DType::F16, {1, 32});
  EXPECT_TRUE(Fails(
      kernels.run("dequantize", {blocks(DType::Q8_0, 1, 32, {block({NAN}, ones, 32)})}, {out}),
      "element 0 is NaN"));
  auto grows = [](int j) { return j; };
  EXPECT_TRUE(Fails(
      kernels.run("dequantize", {blocks(DType::Q8_0, 1, 32, {block({6e4f}, grows, 32)})}, {out}),
      "element 2 is 120000, too large"));
  EXPECT_TRUE(Fails(kernels.run("dequantize", {Owned(DType::F32, {1, 32})}, {out}),
                    "must be packed or in GGUF blocks"));
  Owned small(DType::F16, {1, 16});
  EXPECT_TRUE(Fails(kernels.run("dequantize", {Owned(DType::Q8_0, {1, 32})}, {small}), "[1, 16]"));
}

TEST(CompressWeights, ConvertRoundsAndRefuses) {
  Kernels kernels;
  std::vector<float> values = RandomMatrix(1, 150000, 2);
  values[7] = 1e-9f;
  values[8] = -65519.0f; // the last value that fp16 rounds down to its largest
  Owned in({3, 50000}, values);
  for (DType type : {DType::F32, DType::F16, DType::BF16}) {
    Owned out(type, {3, 50000}), back(DType::F32, {3, 50000});
    ASSERT_STATUS_OK(kernels.run("convert", {in}, {out}));
    ASSERT_STATUS_OK(kernels.run("convert", {out}, {back}));
    for (size_t i = 0; i < values.size(); ++i)
      ASSERT_EQ(back.floats()[i], RoundToDType(values[i], type)) << i;
  }
  Owned half(DType::F16, {3, 50000}), wide(DType::F32, {3, 50000});
  in.floats()[140000] = NAN;
  in.floats()[70001] = 65520.0f;
  in.floats()[70002] = INFINITY;
  EXPECT_TRUE(Fails(kernels.run("convert", {in}, {half}), "element 70001 is 65520, too large"));
  EXPECT_TRUE(Fails(kernels.run("convert", {in}, {wide}), "element 70002 is NaN or infinite"));
  EXPECT_TRUE(Fails(kernels.run("convert", {in}, {Owned(DType::F16, {3, 5})}), "[3, 5]"));
  EXPECT_TRUE(Fails(kernels.run("convert", {Owned(DType::I32, {3})}, {Owned(DType::F16, {3})}),
                    "it must be f32, f16 or bf16"));
}

TEST(CompressWeights, UnpermuteUndoesTheLlamaPermutation) {
  Kernels kernels;
  const int64_t heads = 3, dim = 8, columns = 5, rows = heads * dim;
  std::vector<float> original = RandomMatrix(rows, columns, 4), permuted(original.size());
  // What a converter to GGUF does: [heads, 2, dim/2, K] -> [heads, dim/2, 2, K].
  for (int64_t h = 0; h < heads; ++h)
    for (int64_t p = 0; p < 2; ++p)
      for (int64_t i = 0; i < dim / 2; ++i)
        std::copy_n(&original[(h * dim + p * dim / 2 + i) * columns], columns,
                    &permuted[(h * dim + 2 * i + p) * columns]);
  Attributes attributes;
  attributes.set("heads", heads);
  Owned in({rows, columns}, permuted), out(DType::F32, {rows, columns});
  ASSERT_STATUS_OK(kernels.run("unpermute_rows", {in}, {out}, attributes));
  EXPECT_EQ(out.values(), original);

  Owned bias(DType::F16, {4}), result(DType::F16, {4});
  for (int i = 0; i < 4; ++i)
    bias.tensor.as<uint16_t>()[i] = uint16_t(i);
  attributes.set("heads", int64_t(1));
  ASSERT_STATUS_OK(kernels.run("unpermute_rows", {bias}, {result}, attributes));
  EXPECT_EQ(std::vector<uint16_t>(result.tensor.as<uint16_t>(), result.tensor.as<uint16_t>() + 4),
            (std::vector<uint16_t>{0, 2, 1, 3}));
  EXPECT_TRUE(Fails(kernels.run("unpermute_rows", {bias}, {bias}, attributes), "must not lie"));
  for (int64_t wrong : {0, -1, 3, 4}) {
    attributes.set("heads", wrong);
    EXPECT_TRUE(Fails(kernels.run("unpermute_rows", {bias}, {result}, attributes), "heads = "));
  }
}

TEST(CompressWeights, Transposes) {
  Kernels kernels;
  for (auto [rows, columns] : {std::pair<int64_t, int64_t>{1, 1}, {3, 50}, {37, 16}, {64, 33}}) {
    std::vector<float> values = RandomMatrix(rows, columns, 5);
    Owned in({rows, columns}, values), out(DType::F32, {columns, rows});
    Owned half(DType::F16, {rows, columns}), halfOut(DType::F16, {columns, rows});
    for (int64_t i = 0; i < rows * columns; ++i)
      half.tensor.as<uint16_t>()[i] = uint16_t(i);
    ASSERT_STATUS_OK(kernels.run("transpose", {in}, {out}));
    ASSERT_STATUS_OK(kernels.run("transpose", {half}, {halfOut}));
    for (int64_t n = 0; n < columns; ++n)
      for (int64_t k = 0; k < rows; ++k) {
        EXPECT_EQ(out.floats()[n * rows + k], values[k * columns + n]);
        EXPECT_EQ(halfOut.tensor.as<uint16_t>()[n * rows + k], uint16_t(k * columns + n));
      }
  }
  Owned square(DType::F32, {4, 4}), vector(DType::F32, {4}), flat(DType::F32, {2, 8});
  EXPECT_TRUE(Fails(kernels.run("transpose", {square}, {square}), "must not lie"));
  EXPECT_TRUE(Fails(kernels.run("transpose", {vector}, {vector}), "must be a matrix"));
  EXPECT_TRUE(Fails(kernels.run("transpose", {square}, {flat}), "the output"));
}

TEST(CompressWeights, ScalesColumnsAndRows) {
  Kernels kernels;
  std::vector<float> w = RandomMatrix(4, 6, 9), columns = {1, 2, 0.5f, -1, 3, 4},
                     rows = {2, 4, 0.5f, -8};
  Owned in({4, 6}, w), out(DType::F32, {4, 6});
  ASSERT_STATUS_OK(kernels.run("scale_columns", {in, Owned({6}, columns)}, {out}));
  for (int i = 0; i < 24; ++i)
    EXPECT_EQ(out.floats()[i], w[i] * columns[i % 6]);
  Attributes attributes;
  for (int64_t inverse : {0, 1}) {
    attributes.set("inverse", inverse);
    ASSERT_STATUS_OK(kernels.run("scale_rows", {in, Owned({4}, rows)}, {out}, attributes));
    for (int i = 0; i < 24; ++i)
      EXPECT_EQ(out.floats()[i], inverse ? w[i] / rows[i / 6] : w[i] * rows[i / 6]);
    Owned bias({4}, {1, 2, 3, 4}), scaled(DType::F32, {4});
    ASSERT_STATUS_OK(kernels.run("scale_rows", {bias, Owned({4}, rows)}, {scaled}, attributes));
    for (int i = 0; i < 4; ++i)
      EXPECT_EQ(scaled.floats()[i], inverse ? float(i + 1) / rows[i] : float(i + 1) * rows[i]);
  }
  Owned half(DType::F16, {4, 6});
  ASSERT_STATUS_OK(kernels.run("convert", {in}, {half}));
  ASSERT_STATUS_OK(kernels.run("scale_columns", {half, Owned({6}, columns)}, {out}));
  for (int i = 0; i < 24; ++i)
    EXPECT_EQ(out.floats()[i], RoundToDType(w[i], DType::F16) * columns[i % 6]);

  rows[2] = 0;
  EXPECT_TRUE(
      Fails(kernels.run("scale_rows", {in, Owned({4}, rows)}, {out}, attributes), "scale 2 is 0"));
  EXPECT_TRUE(Fails(kernels.run("scale_columns", {in, Owned({4}, rows)}, {out}), "f32 [6]"));
  EXPECT_TRUE(Fails(kernels.run("scale_rows", {in, Owned({6}, columns)}, {out}), "f32 [4]"));
}

TEST(CompressWeights, MergesALowRankUpdate) {
  constexpr int64_t rows = 9, columns = 70, rank = 5;
  std::vector<float> w = RandomMatrix(rows, columns, 1), a = RandomMatrix(rank, columns, 2),
                     b = RandomMatrix(rows, rank, 3);
  const double scale = 0.375;
  Attributes attributes;
  attributes.set("scale", scale);
  Owned a32({rank, columns}, a), b32({rows, rank}, b), w32({rows, columns}, w);
  std::vector<float> first;
  for (DType type : {DType::F32, DType::F16})
    for (int threads : {1, 3}) {
      Kernels kernels(threads);
      Owned weight(type, {rows, columns}), out(DType::F32, {rows, columns}), change(DType::F32, {1});
      ASSERT_STATUS_OK(kernels.run("convert", {w32}, {weight}));
      ASSERT_STATUS_OK(kernels.run("lora_merge", {weight, a32, b32}, {out, change}, attributes));
      double before = 0, delta = 0;
      for (int64_t n = 0; n < rows; ++n)
        for (int64_t k = 0; k < columns; ++k) {
          double update = 0, size = 0, original = RoundToDType(w[n * columns + k], type);
          for (int64_t j = 0; j < rank; ++j) {
            update += scale * b[n * rank + j] * a[j * columns + k];
            size += std::fabs(scale * b[n * rank + j] * a[j * columns + k]);
          }
          before += original * original, delta += update * update;
          EXPECT_NEAR(out.floats()[n * columns + k], original + update, 1e-6 * (size + std::fabs(original)));
        }
      EXPECT_NEAR(change.floats()[0], std::sqrt(delta / before), 1e-5 * std::sqrt(delta / before));
      if (threads == 1)
        first = out.values();
      EXPECT_EQ(out.values(), first);
    }
  Kernels kernels;
  Owned out(DType::F32, {rows, columns}), change(DType::F32, {1}), zero(DType::F32, {rows, columns});
  ASSERT_STATUS_OK(kernels.run("lora_merge", {zero, a32, b32}, {out, change}, attributes));
  EXPECT_EQ(change.floats()[0], 0); // relative to nothing
  EXPECT_TRUE(Fails(kernels.run("lora_merge", {w32, b32, a32}, {out, change}, attributes), "does not have the weight's shape"));
  EXPECT_TRUE(Fails(kernels.run("lora_merge", {w32, a32, b32}, {w32, w32}, attributes), "the change"));
  EXPECT_TRUE(Fails(kernels.run("lora_merge", {w32, a32, b32}, {out, change}), "scale"));
  b32.floats()[2 * rank] = INFINITY;
  EXPECT_TRUE(Fails(kernels.run("lora_merge", {w32, a32, b32}, {out, change}, attributes), "row 2, column 0"));
}

TEST(CompressWeights, ExpandsHeads) {
  Kernels kernels;
  Owned in({4}, {1, 2, 3, 4}), out(DType::F32, {12});
  Attributes attributes;
  attributes.set("head_dim", int64_t(2));
  attributes.set("repeat", int64_t(3));
  ASSERT_STATUS_OK(kernels.run("expand_heads", {in}, {out}, attributes));
  EXPECT_EQ(out.values(), (std::vector<float>{1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4}));
  EXPECT_TRUE(Fails(kernels.run("expand_heads", {in}, {in}, attributes), "f32 [12]"));
  attributes.set("repeat", int64_t(1) << 62);
  EXPECT_TRUE(Fails(kernels.run("expand_heads", {in}, {out}, attributes), "do not fit"));
  attributes.set("repeat", int64_t(3));
  attributes.set("head_dim", int64_t(3));
  EXPECT_TRUE(Fails(kernels.run("expand_heads", {in}, {out}, attributes), "do not fit"));
}

} // namespace
TEST(CompressWeights, OffsetAddsInFp32AndRoundsOnce) {
  Kernels kernels;
  std::vector<float> w = {0.25f, -1.0f, 1e-9f, 3.0f};
  Attributes one;
  one.set("amount", 1.0);
  Owned sums(DType::F32, {4}), halves(DType::F16, {4});
  ASSERT_STATUS_OK(kernels.run("offset", {Owned({4}, w)}, {sums}, one));
  ASSERT_STATUS_OK(kernels.run("offset", {Owned({4}, w)}, {halves}, one));
  Tensor wide = sums, narrow = halves;
  for (int64_t i = 0; i < 4; ++i) {
    float expected = w[size_t(i)] + 1.0f;
    EXPECT_EQ(wide.as<float>()[i], expected);
    EXPECT_EQ(narrow.as<uint16_t>()[i], FloatToHalf(expected));
  }
  Attributes much;
  much.set("amount", 70000.0);
  EXPECT_TRUE(Fails(kernels.run("offset", {Owned({4}, w)}, {halves}, much), "too large for f16"));
  EXPECT_TRUE(Fails(kernels.run("offset", {Owned({4}, w)}, {Owned(DType::F32, {5})}, one), "[4]"));
  EXPECT_TRUE(Fails(kernels.run("offset", {Owned({4}, w)}, {sums}), "amount"));
}

} // namespace compressc::test
