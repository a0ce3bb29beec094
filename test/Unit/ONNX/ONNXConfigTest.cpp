#include "lib/Import/ONNX/ONNXConfig.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace compressc {
namespace {

using nlohmann::json;

/// What a graph said, and a config.json that says the same.
Decoder graph() {
  Decoder config;
  config.vocabularySize = 320;
  config.hiddenSize = 64;
  config.intermediateSize = 128;
  config.layers = 2;
  config.heads = 4;
  config.kvHeads = 2;
  config.headDim = 16;
  config.activation = "silu";
  config.normEpsilon = 1e-6;
  config.rope.theta = 10000;
  config.windows = {0, 0};
  return config;
}

json agreeing() {
  return {{"model_type", "llama"},
          {"hidden_size", 64},
          {"intermediate_size", 128},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 2},
          {"vocab_size", 320},
          {"rms_norm_eps", 1e-6},
          {"rope_theta", 10000.0},
          {"tie_word_embeddings", false},
          {"max_position_embeddings", 2048}};
}

struct Result {
  std::string text, warning;
};

Result merge(const json &config) {
  Result result;
  StatusOr<std::string> text = ONNXConfig(graph(), config.dump(), "config.json", result.warning);
  EXPECT_TRUE(text.ok()) << text.status();
  result.text = text.value_or("");
  return result;
}

TEST(ONNXConfig, WhatAgreesStaysAsItIs) {
  Result result = merge(agreeing());
  EXPECT_EQ(result.text, agreeing().dump());
  EXPECT_EQ(result.warning, "");
}

TEST(ONNXConfig, TheGraphCounts) {
  json config = agreeing();
  config["num_key_value_heads"] = 4;
  config["rope_theta"] = 500000.0;
  config["eos_token_id"] = 7;
  Result result = merge(config);
  EXPECT_EQ(result.warning, "config.json says otherwise than the graph, which counts: "
                            "num_key_value_heads, rope_parameters");
  json made = json::parse(result.text, nullptr, false);
  EXPECT_EQ(made["num_key_value_heads"], 2);
  EXPECT_EQ(made["rope_parameters"]["rope_theta"], 10000.0);
  EXPECT_FALSE(made.contains("rope_theta"));
  EXPECT_EQ(made["eos_token_id"], 7) << "the graph does not say it";
}

TEST(ONNXConfig, NoGraphSaysYarn) {
  json config = agreeing();
  config["rope_scaling"] = {
      {"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 512}};
  Result result = merge(config);
  EXPECT_NE(result.warning.find("rope_parameters"), std::string::npos) << result.warning;
  json made = json::parse(result.text, nullptr, false);
  EXPECT_EQ(made["rope_parameters"]["rope_type"], "default");
  EXPECT_FALSE(made.contains("rope_scaling"));
}

TEST(ONNXConfig, TheContextLengthMustBeThere) {
  json config = agreeing();
  config.erase("max_position_embeddings");
  std::string warning;
  StatusOr<std::string> text = ONNXConfig(graph(), config.dump(), "config.json", warning);
  ASSERT_FALSE(text.ok());
  EXPECT_NE(std::string(text.status().message()).find("max_position_embeddings"),
            std::string::npos);
}

TEST(ONNXConfig, AGraphOfNoFamilyIsRefused) {
  Decoder config = graph();
  config.outputBias = true;
  std::string warning;
  StatusOr<std::string> text =
      ONNXConfig(config, R"({"max_position_embeddings": 8})", "config.json", warning);
  ASSERT_FALSE(text.ok());
  EXPECT_NE(std::string(text.status().message()).find("no family of models"), std::string::npos);
}

TEST(ONNXConfig, TheContextLengthAloneIsEnough) {
  Result result = merge({{"max_position_embeddings", 2048}});
  EXPECT_EQ(result.warning, "");
  json made = json::parse(result.text, nullptr, false);
  EXPECT_EQ(made["architectures"], json::array({"LlamaForCausalLM"}));
  EXPECT_EQ(made["max_position_embeddings"], 2048);
}

} // namespace
} // namespace compressc
