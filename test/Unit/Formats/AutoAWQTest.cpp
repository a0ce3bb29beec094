#include "PackedWeight.h"
#include <gtest/gtest.h>

namespace compressc {
namespace {

const CheckpointFormat &awq() { return **FindCheckpointFormat("autoawq"); }

/// Output j of a word's eight is in this nibble, as a reader has it.
constexpr int nibbleOf[8] = {0, 4, 1, 5, 2, 6, 3, 7};

uint32_t fieldOf(const std::vector<uint32_t> &words, int64_t row, int64_t output, int64_t outputs) {
  return words[size_t(row * (outputs / 8) + output / 8)] >> (4 * nibbleOf[output % 8]) & 15;
}

class AutoAWQShapes : public ::testing::TestWithParam<std::tuple<int64_t, int64_t, int64_t, bool>> {
};

TEST_P(AutoAWQShapes, HoldsEveryCodeZeroAndScale) {
  auto [rows, columns, group, symmetric] = GetParam();
  PackedWeight weight(rows, columns, {4, group, symmetric, DType::F16});
  std::vector<FormatEntry> entries = awq().entries("a.b.weight", weight.tensor);
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[0].name, "a.b.qweight");
  EXPECT_EQ(entries[0].dtype, "I32");
  EXPECT_EQ(entries[0].shape, (std::vector<int64_t>{columns, rows / 8}));
  EXPECT_EQ(entries[1].name, "a.b.qzeros");
  EXPECT_EQ(entries[1].dtype, "I32");
  EXPECT_EQ(entries[1].shape, (std::vector<int64_t>{columns / group, rows / 8}));
  EXPECT_EQ(entries[2].name, "a.b.scales");
  EXPECT_EQ(entries[2].dtype, "F16");
  EXPECT_EQ(entries[2].shape, (std::vector<int64_t>{columns / group, rows}));
  for (const FormatEntry &entry : entries)
    EXPECT_EQ(entry.bytes, entry.shape[0] * entry.shape[1] * (entry.dtype == "F16" ? 2 : 4));

  auto codes = Contents<uint32_t>(entries[0]), zeros = Contents<uint32_t>(entries[1]);
  auto scales = Contents<uint16_t>(entries[2]);
  for (int64_t n = 0; n < rows; ++n) {
    for (int64_t k = 0; k < columns; ++k)
      ASSERT_EQ(fieldOf(codes, k, n, rows), weight.code(n, k)) << n << ", " << k;
    for (int64_t g = 0; g < columns / group; ++g) {
      ASSERT_EQ(fieldOf(zeros, g, n, rows), weight.zero(n, g)) << n << ", " << g;
      ASSERT_EQ(scales[size_t(g * rows + n)], weight.scale(n, g)) << n << ", " << g;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, AutoAWQShapes,
    ::testing::Values(std::tuple(8, 16, 16, false), std::tuple(24, 48, 16, false),
                      std::tuple(40, 160, 32, false), std::tuple(16, 20, 4, false),
                      std::tuple(264, 384, 128, false), std::tuple(16, 64, 64, true)));

TEST(AutoAWQ, KeepsTheOrderOfNibbles) {
  // One input, outputs 0 to 7 with the codes 0 to 7.
  uint32_t codes[8] = {0, 1, 2, 3, 4, 5, 6, 7};
  Tensor tensor;
  tensor.dtype = DType::Packed;
  tensor.shape = {8, 1};
  tensor.packed = {4, 1, true, DType::F16};
  tensor.data = codes;
  std::vector<FormatEntry> entries = awq().entries("w.weight", tensor);
  EXPECT_EQ(Contents<uint32_t>(entries[0]), std::vector<uint32_t>{0x75316420});
  EXPECT_EQ(Contents<uint32_t>(entries[1]), std::vector<uint32_t>{0x88888888});
}

TEST(AutoAWQ, PlansWithoutData) {
  Tensor type;
  type.dtype = DType::Packed;
  type.shape = {16, 32};
  type.packed = {4, 16, false, DType::F16};
  EXPECT_EQ(awq().entries("w.weight", type).size(), 3u);
}

TEST(AutoAWQ, SaysInTheConfigurationWhatIsPlain) {
  nlohmann::json config = {{"hidden_size", 64}};
  awq().configure(config, SmallModel());
  EXPECT_EQ(config, nlohmann::json::parse(R"({"hidden_size": 64, "quantization_config": {
      "quant_method": "awq", "bits": 4, "group_size": 64, "zero_point": true, "version": "gemm",
      "modules_to_not_convert": ["lm_head"]}})"));
}

TEST(AutoAWQ, RefusesWhatItCannotHold) {
  EXPECT_TRUE(awq().check(SmallModel()).ok());
  using Linears = std::vector<ModelLayout::Linear>;
  auto refused = [](auto change, std::string_view reason) {
    ModelLayout model = SmallModel();
    change(model.linears, model);
    Status status = awq().check(model);
    ASSERT_FALSE(status.ok()) << reason;
    EXPECT_NE(std::string(status.message()).find(reason), std::string::npos) << status.message();
  };
  refused([](Linears &l, auto &) { l[1].packed->bits = 3; }, "down_proj: 3 bits; the format has 4");
  refused([](Linears &l, auto &) { l[1].packed->scaleType = DType::BF16; },
          "down_proj: scales are bf16; the format has f16: give --dtype=f16");
  refused([](Linears &l, auto &) { l[0].rows = 124; },
          "up_proj: 124 outputs; the format packs eight");
  refused([](Linears &l, auto &) { l[1].packed->group = 32; },
          "down_proj: groups of 32, but of 64 in model.layers.0.mlp.up_proj");
  refused([](Linears &l, auto &) { l[0].packed->group = 8; },
          "up_proj: groups of 8; readers have kernels");
  refused([](Linears &l, auto &) { l[2].packed = l[0].packed; },
          "lm_head: readers want a head that is not");
  refused([](Linears &l, auto &) { l.erase(l.begin(), l.begin() + 2); }, "no linear is quantised");
  refused([](Linears &, ModelLayout &m) { m.headRank = 16; }, "the head is factorised");
  ModelLayout symmetric = SmallModel();
  symmetric.linears[0].packed->symmetric = true;
  EXPECT_TRUE(awq().check(symmetric).ok());
}

} // namespace
} // namespace compressc
