// GGUF blocks against gguf's own Python package: test/Inputs/make_block_goldens.py.
#include "ModelSupport.h"

#include "nlohmann/json.hpp"
#include <fstream>

namespace compressc::test {
namespace {

std::string fromHex(const std::string &hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(char(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

TEST(GGUFBlocks, HaveTheBitsOfTheReference) {
  std::ifstream file(COMPRESSC_TEST_DIR "/Inputs/gguf_blocks.golden.json");
  nlohmann::json golden = nlohmann::json::parse(file, nullptr, false);
  ASSERT_TRUE(golden.is_object());
  EXPECT_EQ(golden.size(), 8u);
  for (auto &[name, value] : golden.items()) {
    SCOPED_TRACE(name);
    std::string blocks = fromHex(value["blocks"].get<std::string>());
    std::string bytes = fromHex(value["values"].get<std::string>());
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    Tensor tensor;
    tensor.dtype = DTypeFromName(name).value();
    tensor.shape = {1, int64_t(values.size())};
    tensor.data = blocks.data();
    ASSERT_EQ(tensor.bytes(), int64_t(blocks.size()));
    forEachInstructionSet([&](std::string_view) {
      std::vector<float> out(values.size());
      DequantizeRow(ReadWeight(tensor, "w").value(), 0, out.data());
      EXPECT_TRUE(sameBits(out, values));
    });
  }
}

} // namespace
} // namespace compressc::test
