#include "PackedWeight.h"
#include "test/TemporaryDirectory.h"
#include <gtest/gtest.h>

namespace compressc {
namespace {

TEST(Formats, AreFoundByName) {
  for (const CheckpointFormat *format : CheckpointFormats())
    EXPECT_EQ(*FindCheckpointFormat(format->name()), format);
  std::string message(FindCheckpointFormat("gptq").status().message());
  EXPECT_EQ(message.find("--export=gptq: there is no such format; choose from safetensors, compr"), 0u)
      << message;
}

TEST(Formats, KeepPlainTensorsAsTheyAre) {
  uint16_t values[6] = {1, 2, 3, 4, 5, 6};
  Tensor tensor;
  tensor.dtype = DType::BF16;
  tensor.shape = {2, 3};
  tensor.data = values;
  for (const CheckpointFormat *format : CheckpointFormats()) {
    std::vector<FormatEntry> entries = format->entries("model.norm.weight", tensor);
    ASSERT_EQ(entries.size(), 1u) << format->name();
    EXPECT_EQ(entries[0].name, "model.norm.weight");
    EXPECT_EQ(entries[0].dtype, "BF16");
    EXPECT_EQ(entries[0].shape, tensor.shape);
    EXPECT_EQ(entries[0].bytes, 12);
    EXPECT_EQ(entries[0].data, values);
  }
}

TEST(Formats, RefuseAFactorisedHead) {
  ModelLayout model = SmallModel();
  model.headRank = 16;
  for (const CheckpointFormat *format : CheckpointFormats())
    EXPECT_NE(std::string(format->check(model).message()).find("the head is factorised"),
              std::string::npos);
}

TEST(Safetensors, HoldsTheValuesOfPackedWeights) {
  for (int bits : {2, 3, 4, 8})
    for (bool symmetric : {false, true}) {
      PackedWeight weight(12, 40, {bits, 8, symmetric, DType::F16});
      const CheckpointFormat &format = **FindCheckpointFormat("safetensors");
      std::vector<FormatEntry> entries = format.entries("w.weight", weight.tensor);
      ASSERT_EQ(entries.size(), 1u);
      EXPECT_EQ(entries[0].name, "w.weight");
      EXPECT_EQ(entries[0].dtype, "F16");
      EXPECT_EQ(entries[0].shape, weight.tensor.shape);
      auto values = Contents<uint16_t>(entries[0]);
      for (int64_t n = 0; n < 12; ++n)
        for (int64_t k = 0; k < 40; ++k) {
          int step = int(weight.code(n, k)) - int(weight.zero(n, k / 8));
          float value = float(step) * HalfToFloat(weight.scale(n, k / 8));
          ASSERT_EQ(values[size_t(n * 40 + k)], FloatToHalf(value))
              << bits << ": " << n << ", " << k;
        }
    }
}

TEST(CompressedTensors, HoldsTheWeightAsItLies) {
  PackedWeight weight(12, 64, {3, 16, false, DType::F16});
  std::vector<FormatEntry> entries = StoreFormat().entries("w.weight", weight.tensor);
  ASSERT_EQ(entries.size(), 4u);
  EXPECT_EQ(entries[0].name, "w.weight_packed");
  EXPECT_EQ(entries[0].shape, (std::vector<int64_t>{12, 6}));
  EXPECT_EQ(entries[0].data, weight.tensor.data);
  EXPECT_EQ(entries[1].name, "w.weight_scale");
  EXPECT_EQ(entries[1].shape, (std::vector<int64_t>{12, 4}));
  EXPECT_EQ(entries[2].name, "w.weight_zero_point");
  EXPECT_EQ(entries[2].shape, (std::vector<int64_t>{2, 4}));
  EXPECT_EQ(entries[3].name, "w.weight_shape");
  EXPECT_EQ(Contents<int64_t>(entries[3]), (std::vector<int64_t>{12, 64}));
  PackedWeight symmetric(12, 64, {3, 16, true, DType::F16});
  EXPECT_EQ(StoreFormat().entries("w.weight", symmetric.tensor).size(), 3u);
}

TEST(CompressedTensors, NamesTheModulesOfEachKind) {
  ModelLayout model = SmallModel();
  nlohmann::json one, two, none;
  StoreFormat().configure(one, model);
  EXPECT_EQ(one["quantization_config"]["ignore"], nlohmann::json({"lm_head"}));
  EXPECT_EQ(one["quantization_config"]["config_groups"]["group_0"]["targets"],
            nlohmann::json({"Linear"}));
  EXPECT_FALSE(one["quantization_config"]["config_groups"].contains("group_1"));
  model.linears[1].packed->bits = 8;
  StoreFormat().configure(two, model);
  const nlohmann::json &groups = two["quantization_config"]["config_groups"];
  EXPECT_EQ(groups["group_1"]["targets"], nlohmann::json({"model.layers.0.mlp.down_proj"}));
  EXPECT_EQ(groups["group_1"]["weights"]["num_bits"], 8);
  model.linears.erase(model.linears.begin(), model.linears.begin() + 2);
  StoreFormat().configure(none, model);
  EXPECT_TRUE(none.is_null());
}

TEST(Formats, AreWrittenAsTheyWerePlanned) {
  TemporaryDirectory directory;
  PackedWeight weight(16, 64, {4, 16, false, DType::F16});
  for (const CheckpointFormat *format : CheckpointFormats()) {
    std::string path = directory.path + "/" + std::string(format->name()) + ".safetensors";
    std::vector<SafetensorsWriter::Entry> plan;
    for (FormatEntry &entry : format->entries("w.weight", weight.tensor))
      plan.push_back(std::move(entry));
    auto writer = SafetensorsWriter::Create(path, plan);
    ASSERT_TRUE(writer.ok()) << writer.status();
    ASSERT_TRUE(WriteWeight(*format, **writer, "w.weight", weight.tensor).ok());
    ASSERT_TRUE((*writer)->finish().ok());
    auto reader = SafetensorsReader::OpenFile(path);
    ASSERT_TRUE(reader.ok()) << reader.status();
    for (const FormatEntry &entry : format->entries("w.weight", weight.tensor)) {
      const StoredTensor *stored = reader->find(entry.name);
      ASSERT_TRUE(stored) << entry.name;
      auto bytes = Contents<uint8_t>(entry);
      EXPECT_EQ(std::vector<uint8_t>(stored->data, stored->data + stored->bytes), bytes);
    }
  }
}

TEST(Formats, ReadPlainTensorsBack) {
  StoredTensor stored{"F16", {2, 2}, nullptr, 8, nullptr};
  auto tensor = ReadPlainTensor("w", stored);
  ASSERT_TRUE(tensor.ok());
  EXPECT_EQ(tensor->dtype, DType::F16);
  EXPECT_EQ(tensor->shape, stored.shape);
}

} // namespace
} // namespace compressc
