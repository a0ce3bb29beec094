#include "compressc/runtime/tensor.h"

#include <gtest/gtest.h>
#include <numeric>

namespace compressc {
namespace {

TEST(Tensor, NamesGoBothWays) {
  int known = 0;
  for (std::string_view name :
       {"f32", "f16", "bf16", "i32", "i64", "u8", "packed", "statistics", "q4_0", "q4_1", "q8_0",
        "q5_0", "q5_1", "q4_k", "q5_k", "q6_k"}) {
    std::optional<DType> dtype = DTypeFromName(name);
    ASSERT_TRUE(dtype.has_value()) << name;
    EXPECT_EQ(DTypeName(*dtype), name);
    EXPECT_EQ(int(*dtype), known++);
  }
  EXPECT_FALSE(DTypeFromName("f64").has_value());
  EXPECT_FALSE(DTypeFromName("").has_value());
}

TEST(Tensor, SizesOfPlainTypesAndBlocks) {
  EXPECT_EQ(DTypeSize(DType::F32), 4u);
  EXPECT_EQ(DTypeSize(DType::BF16), 2u);
  EXPECT_EQ(DTypeSize(DType::I64), 8u);
  EXPECT_EQ(DTypeSize(DType::Packed), 0u);
  EXPECT_EQ(DTypeSize(DType::Q4_1), 0u);
  EXPECT_EQ(DTypeBlock(DType::Q4_0).bytes, 18);
  EXPECT_EQ(DTypeBlock(DType::Q4_1).bytes, 20);
  EXPECT_EQ(DTypeBlock(DType::Q8_0).bytes, 34);
  EXPECT_EQ(DTypeBlock(DType::Q4_K).elements, 256);
  EXPECT_EQ(DTypeBlock(DType::U8).elements, 1);

  Tensor tensor;
  tensor.shape = {3, 64};
  tensor.dtype = DType::F16;
  EXPECT_EQ(tensor.bytes(), 3 * 64 * 2);
  tensor.dtype = DType::Q4_1;
  EXPECT_EQ(tensor.bytes(), 3 * 2 * 20);
  tensor.dtype = DType::Q8_0;
  EXPECT_EQ(tensor.bytes(), 3 * 2 * 34);
  tensor.shape = {3, 512};
  tensor.dtype = DType::Q6_K;
  EXPECT_EQ(tensor.bytes(), 3 * 2 * 210);
  tensor.shape = {};
  tensor.dtype = DType::F32;
  EXPECT_EQ(tensor.bytes(), 4);
}

/// Counts words by laying bits out one after the other.
int64_t wordsFor(int64_t count, int bits) {
  int64_t words = 0, room = 0;
  for (int64_t i = 0; i < count * bits; ++i) {
    if (room == 0) {
      ++words;
      room = 32;
    }
    --room;
  }
  return words;
}

TEST(Tensor, PackedSizesAreThoseOfBitStreams) {
  for (int bits : {2, 3, 4, 5, 8})
    for (int64_t rows : {1, 5, 32, 66})
      for (int64_t columns : {128, 384})
        for (int64_t group : {32, 128})
          for (bool symmetric : {false, true}) {
            PackedFormat format{bits, group, symmetric, DType::BF16};
            PackedSizes sizes = GetPackedSizes(rows, columns, format);
            int64_t groups = columns / group;
            EXPECT_EQ(sizes.codes, rows * wordsFor(columns, bits) * 4);
            EXPECT_EQ(sizes.scales, rows * groups * 2);
            EXPECT_EQ(sizes.zeros, symmetric ? 0 : wordsFor(rows, bits) * groups * 4);
            EXPECT_EQ(sizes.scalesOffset % 64, 0);
            EXPECT_EQ(sizes.zerosOffset % 64, 0);
            EXPECT_GE(sizes.scalesOffset, sizes.codes);
            EXPECT_GE(sizes.zerosOffset, sizes.scalesOffset + sizes.scales);
            EXPECT_GE(sizes.total, sizes.zerosOffset + sizes.zeros);
            EXPECT_LT(sizes.total, sizes.codes + sizes.scales + sizes.zeros + 3 * 64);

            Tensor tensor;
            tensor.dtype = DType::Packed;
            tensor.shape = {rows, columns};
            tensor.packed = format;
            EXPECT_EQ(tensor.bytes(), sizes.total);
          }
}

TEST(Tensor, StatisticsPartsFollowEachOther) {
  Tensor tensor;
  tensor.dtype = DType::Statistics;
  tensor.shape = {5};
  ASSERT_EQ(tensor.bytes(), (25 + 5 + 1) * 4);
  std::vector<float> memory(31);
  std::iota(memory.begin(), memory.end(), 0.0f);
  tensor.data = memory.data();
  StatisticsView view = AsStatistics(tensor);
  EXPECT_EQ(view.width, 5);
  EXPECT_EQ(view.gram[24], 24);
  EXPECT_EQ(view.absSum[0], 25);
  EXPECT_EQ(view.count[0], 30);
}

} // namespace
} // namespace compressc
