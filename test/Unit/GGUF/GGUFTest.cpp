#include "GGUFFixture.h"

#include <limits>
#include <numeric>

namespace compressc {
namespace {

using B = GGUFBuilder;

GGUFBuilder sample() {
  GGUFBuilder builder;
  builder.string("general.name", "sample")
      .integer("count", 7)
      .strings("words", {"a", "", "ccc"})
      .tensor("m", {64, 2}, 3, std::string(80, 'q'))
      .tensor("v", {3}, 0, std::string(12, 'f'));
  return builder;
}

class GGUF : public GGUFFixture {};

TEST_F(GGUF, EveryValueType) {
  GGUFBuilder builder;
  builder.value("u8", B::U8, B::raw(uint8_t(200)))
      .value("i8", B::I8, B::raw(int8_t(-100)))
      .value("u16", B::U16, B::raw(uint16_t(60000)))
      .value("i16", B::I16, B::raw(int16_t(-30000)))
      .value("u32", B::U32, B::raw(uint32_t(4000000000)))
      .value("i32", B::I32, B::raw(int32_t(-2000000000)))
      .value("u64", B::U64, B::raw(uint64_t(1) << 62))
      .value("i64", B::I64, B::raw(std::numeric_limits<int64_t>::min()))
      .value("f32", B::F32, B::raw(1e-5f))
      .value("f64", B::F64, B::raw(0.1))
      .flag("yes", true)
      .flag("no", false)
      .string("text", "Ġé")
      .integers("ints", {1, -2})
      .list("bytes", B::U8, 3, "\x01\xff\x02")
      .list("flags", B::Bool, 2, std::string("\x01\x00", 2))
      .list("floats", B::F64, 1, B::raw(2.5))
      .list("none", B::String, 0, "")
      .strings("strings", {"x", "", "zzz"});
  GGUFFile file = open(builder).value();
  EXPECT_EQ(file.metadata().size(), 19u);
  EXPECT_EQ(file.getInt("u8").value(), 200);
  EXPECT_EQ(file.getInt("i8").value(), -100);
  EXPECT_EQ(file.getInt("u16").value(), 60000);
  EXPECT_EQ(file.getInt("i16").value(), -30000);
  EXPECT_EQ(file.getInt("u32").value(), 4000000000);
  EXPECT_EQ(file.getInt("i32").value(), -2000000000);
  EXPECT_EQ(file.getInt("u64").value(), int64_t(1) << 62);
  EXPECT_EQ(file.getInt("i64").value(), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(file.getFloat("f32").value(), 1e-5) << "the decimal that was meant, not the fp32 noise";
  EXPECT_EQ(file.getFloat("f64").value(), 0.1);
  EXPECT_EQ(file.getFloat("u8").value(), 200.0);
  EXPECT_TRUE(file.getBool("yes").value());
  EXPECT_FALSE(file.getBool("no").value());
  EXPECT_EQ(file.getString("text").value(), "Ġé");
  EXPECT_EQ(file.getInts("ints").value(), (std::vector<int64_t>{1, -2}));
  EXPECT_EQ(file.getInts("bytes").value(), (std::vector<int64_t>{1, 255, 2}));
  EXPECT_EQ(file.getInts("flags").value(), (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(std::get<std::vector<double>>(file.metadata().at("floats")), std::vector<double>{2.5});
  EXPECT_TRUE(file.getStrings("none").value().empty());
  EXPECT_EQ(file.getStrings("strings").value(), (std::vector<std::string>{"x", "", "zzz"}));
  EXPECT_TRUE(file.has("yes"));
  EXPECT_FALSE(file.has("maybe"));
}

TEST_F(GGUF, GettersNameFileAndKey) {
  GGUFFile file = open(sample().number("nan", NAN)).value();
  expectError(file.getInt("none").status(), "metadata 'none' is missing");
  expectError(file.getInt("words").status(), "metadata 'words' must be an integer");
  expectError(file.getString("count").status(), "metadata 'count' must be a string");
  expectError(file.getStrings("count").status(), "metadata 'count' must be a list of strings");
  expectError(file.getInts("words").status(), "metadata 'words' must be a list of integers");
  expectError(file.getBool("count").status(), "metadata 'count' must be true or false");
  expectError(file.getFloat("words").status(), "metadata 'words' must be a number");
  expectError(file.getFloat("nan").status(), "metadata 'nan' is not a finite number");
}

TEST_F(GGUF, TensorsOfEveryTypeThatIsRead) {
  struct Case {
    uint32_t number;
    DType dtype;
    int64_t bytes; // of [3, 256]
  };
  const Case cases[] = {{0, DType::F32, 3072}, {1, DType::F16, 1536}, {30, DType::BF16, 1536},
                        {8, DType::Q8_0, 816}, {2, DType::Q4_0, 432}, {3, DType::Q4_1, 480},
                        {6, DType::Q5_0, 528}, {7, DType::Q5_1, 576}, {12, DType::Q4_K, 432},
                        {13, DType::Q5_K, 528}, {14, DType::Q6_K, 630}};
  for (size_t alignment : {32, 64, 4096}) {
    GGUFBuilder builder;
    builder.alignment = alignment;
    builder.integer("general.alignment", uint32_t(alignment));
    for (const Case &c : cases)
      builder.tensor(std::string(DTypeName(c.dtype)), {256, 3}, c.number,
                     std::string(c.bytes, char('a' + c.number)));
    GGUFFile file = open(builder).value();
    ASSERT_EQ(file.tensors().size(), std::size(cases));
    for (size_t i = 0; i < std::size(cases); ++i) {
      const GGUFTensor &tensor = file.tensors()[i];
      EXPECT_EQ(tensor.name, DTypeName(cases[i].dtype)) << "the order of the file";
      EXPECT_EQ(file.find(tensor.name), &tensor);
      EXPECT_EQ(file.dtype(tensor).value(), cases[i].dtype);
      EXPECT_EQ(tensor.shape, (std::vector<int64_t>{3, 256}));
      ASSERT_EQ(tensor.bytes, cases[i].bytes);
      EXPECT_EQ(std::string(reinterpret_cast<const char *>(tensor.data), tensor.bytes),
                std::string(cases[i].bytes, char('a' + cases[i].number)));
    }
    EXPECT_EQ(file.find("none"), nullptr);
  }
}

TEST_F(GGUF, ATypeThatIsNotReadIsAnErrorOnlyWhenUsed) {
  GGUFBuilder builder = sample();
  builder.tensor("k", {256, 1}, 10, std::string(84, 'k')).tensor("new", {7}, 99, "n");
  GGUFFile file = open(builder).value();
  expectError(file.dtype(*file.find("k")).status(), "tensor 'k' is of type Q2_K");
  expectError(file.dtype(*file.find("new")).status(), "tensor 'new' is of type number 99");
  EXPECT_TRUE(file.dtype(*file.find("m")).ok());
}

TEST_F(GGUF, HostileMetadata) {
  struct Case {
    GGUFBuilder builder;
    const char *message;
  };
  uint64_t huge = uint64_t(1) << 60;
  auto with = [](uint32_t type, const std::string &bytes) {
    return sample().value("bad", type, bytes);
  };
  GGUFBuilder version1 = sample(), swapped = sample();
  version1.version = 1;
  swapped.version = 0x03000000;
  for (const Case &bad : {
           Case{version1, "GGUF version 1"},
           Case{swapped, "GGUF version 50331648"},
           Case{with(13, ""), "metadata 'bad': unknown value type 13"},
           Case{with(0xffffffff, ""), "metadata 'bad': unknown value type 4294967295"},
           Case{with(B::Bool, "\x02"), "metadata 'bad': a truth value of 2"},
           Case{with(B::U64, B::raw(~uint64_t(0))), "metadata 'bad': the integer"},
           Case{with(B::String, B::raw(huge)), "metadata 'bad': truncated"},
           Case{with(B::String, B::raw(~uint64_t(0))), "metadata 'bad': truncated"},
           Case{with(B::Array, B::raw(uint32_t(B::U8)) + B::raw(huge)),
                "metadata 'bad': truncated"},
           Case{with(B::Array, B::raw(uint32_t(B::U64)) + B::raw(~uint64_t(0) / 8 + 2)),
                "metadata 'bad': truncated"},
           Case{with(B::Array, B::raw(uint32_t(B::String)) + B::raw(huge)), "truncated"},
           Case{with(B::Array, B::raw(uint32_t(B::Array)) + B::raw(uint64_t(1))), "list of lists"},
           Case{with(B::Array, B::raw(uint32_t(77)) + B::raw(uint64_t(0))),
                "unknown value type 77"},
           Case{sample().integer("count", 8), "metadata 'count' stands twice"},
           Case{sample().integer(std::string(65536, 'k'), 1), "a name of 65536 bytes"},
           Case{sample().integer("general.alignment", 0), "power of two"},
           Case{sample().integer("general.alignment", 48), "power of two"},
           Case{sample().value("general.alignment", B::I64, B::raw(int64_t(-32))), "power of two"},
           Case{sample().value("general.alignment", B::U64, B::raw(uint64_t(1) << 62)),
                "power of two"},
           Case{sample().string("general.alignment", "32"), "power of two"},
       })
    expectError(open(bad.builder).status(), bad.message);
}

TEST_F(GGUF, HostileTensors) {
  struct Case {
    GGUFBuilder builder;
    const char *message;
  };
  uint64_t large = uint64_t(1) << 32, half = uint64_t(1) << 63;
  for (const Case &bad : {
           Case{sample().tensor("t", {}, 0, ""), "tensor 't': 0 dimensions"},
           Case{sample().tensor("t", {1, 1, 1, 1, 1}, 0, "1234"), "tensor 't': 5 dimensions"},
           Case{sample().tensor("t", {4, 0}, 0, ""), "tensor 't': a dimension is 0"},
           Case{sample().tensor("t", {half}, 0, ""), "tensor 't': the shape is too large"},
           Case{sample().tensor("t", {large, large}, 0, ""), "tensor 't': the shape is too large"},
           Case{sample().tensor("t", {large, large}, 99, ""), "tensor 't': the shape is too large"},
           Case{sample().tensor("t", {large, large / 2 - 1}, 0, ""), "the shape is too large"},
           Case{sample().tensor("t", {33}, 8, std::string(68, 'x')), "not whole blocks of 32"},
           Case{sample().tensor("t", {16, 2}, 2, std::string(18, 'x')), "not whole blocks of 32"},
           Case{sample().tensor("t", {128, 2}, 12, std::string(144, 'x')), "rows of 128 elements are not whole blocks of 256"},
           Case{sample().tensor("t", {5}, 0, std::string(19, 'x')), "beyond"},
           Case{sample().tensorAt("t", {1}, 0, 4, "1234"), "not a multiple of 32"},
           Case{sample().tensorAt("t", {1}, 0, 1 << 20, ""), "beyond"},
           Case{sample().tensorAt("t", {1}, 0, ~uint64_t(31), ""), "beyond"},
           Case{sample().tensorAt("t", {1}, 99, ~uint64_t(31), ""), "beyond"},
           Case{sample().tensorAt("t", {1}, 0, 32, ""), "tensors 'm' and 't' overlap"},
           Case{sample().tensor("m", {1}, 0, "1234"), "two tensors are named 'm'"},
           Case{sample().tensor(std::string(65, 'n'), {1}, 0, "1234"), "a name of 65 bytes"},
       })
    expectError(open(bad.builder).status(), bad.message);
}

TEST_F(GGUF, HostileCounts) {
  std::string good = sample().build();
  ASSERT_TRUE(open(good).ok());
  for (size_t position : {8, 16})
    for (uint64_t count : {uint64_t(1000), uint64_t(1) << 40, ~uint64_t(0)}) {
      std::string bad = good;
      std::memcpy(bad.data() + position, &count, 8);
      EXPECT_FALSE(open(bad).ok()) << position << " " << count;
    }
  expectError(open("GGUX" + good.substr(4)).status(), "not a GGUF file");
}

TEST_F(GGUF, EveryTruncationIsRefused) {
  std::string good = sample().build();
  for (size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(open(good.substr(0, size)).ok()) << size;
}

TEST_F(GGUF, NoSingleByteChangeBreaksTheReader) {
  std::string good = sample().build();
  for (size_t i = 0; i < good.size(); ++i)
    for (int value : {0, 1, 9, 0x7f, 0x80, 0xff}) {
      std::string bytes = good;
      bytes[i] = char(value);
      auto file = open(bytes);
      if (!file.ok())
        continue;
      // What is accepted lies inside the file: touch all of it.
      int64_t sum = 0;
      for (const GGUFTensor &tensor : file->tensors())
        sum += std::accumulate(tensor.data, tensor.data + tensor.bytes, int64_t(0));
      EXPECT_GE(sum, 0);
    }
}

} // namespace
} // namespace compressc
