#include "lib/Import/Models/Decoder.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace compressc {
namespace {

using nlohmann::json;

/// What a configuration must say, and nothing else.
json small(const std::string &type) {
  std::string name = type == "llama"   ? "LlamaForCausalLM"
                     : type == "qwen2" ? "Qwen2ForCausalLM"
                                       : "Qwen3ForCausalLM";
  return {{"architectures", {name}},  {"model_type", type},      {"hidden_size", 64},
          {"intermediate_size", 128}, {"num_hidden_layers", 3},  {"num_attention_heads", 4},
          {"vocab_size", 320},        {"num_key_value_heads", 2}};
}

Decoder parse(const json &object) {
  StatusOr<std::unique_ptr<Model>> model = ParseModel(object.dump());
  EXPECT_TRUE(model.ok()) << model.status();
  return model.ok() ? *(*model)->decoder() : Decoder();
}

TEST(ModelConfig, DefaultsOfEachArchitecture) {
  Decoder llama = parse(small("llama"));
  EXPECT_EQ(llama.architecture, "LlamaForCausalLM");
  EXPECT_EQ(llama.vocabularySize, 320);
  EXPECT_EQ(llama.hiddenSize, 64);
  EXPECT_EQ(llama.intermediateSize, 128);
  EXPECT_EQ(llama.layers, 3);
  EXPECT_EQ(llama.heads, 4);
  EXPECT_EQ(llama.kvHeads, 2);
  EXPECT_EQ(llama.headDim, 16);
  EXPECT_EQ(llama.contextLength, 2048);
  EXPECT_EQ(llama.activation, "silu");
  EXPECT_EQ(llama.normEpsilon, 1e-6);
  EXPECT_FALSE(llama.inputBias || llama.outputBias || llama.mlpBias || llama.headNorms);
  EXPECT_FALSE(llama.tiedHead);
  EXPECT_EQ(llama.rope.theta, 10000);
  EXPECT_EQ(llama.rope.scaling, "default");
  EXPECT_EQ(llama.windows, std::vector<int64_t>(3, 0));
  EXPECT_EQ(llama.endTokens, std::vector<int32_t>{2});
  EXPECT_EQ(llama.dtype, "");

  Decoder qwen2 = parse(small("qwen2"));
  EXPECT_TRUE(qwen2.inputBias);
  EXPECT_FALSE(qwen2.outputBias || qwen2.headNorms);
  EXPECT_EQ(qwen2.headDim, 16);
  EXPECT_EQ(qwen2.contextLength, 32768);
  EXPECT_TRUE(qwen2.endTokens.empty());

  Decoder qwen3 = parse(small("qwen3"));
  EXPECT_TRUE(qwen3.headNorms);
  EXPECT_FALSE(qwen3.inputBias || qwen3.outputBias);
  EXPECT_EQ(qwen3.headDim, 128) << "its own default, not hidden_size / heads";
}

TEST(ModelConfig, ModelTypeAloneNamesTheArchitecture) {
  json object = small("qwen3");
  object.erase("architectures");
  EXPECT_EQ(parse(object).architecture, "Qwen3ForCausalLM");
  object = small("qwen2");
  object.erase("model_type");
  EXPECT_EQ(parse(object).architecture, "Qwen2ForCausalLM");
}

TEST(ModelConfig, KeyValueHeads) {
  json llama = small("llama"), qwen = small("qwen2");
  llama.erase("num_key_value_heads");
  EXPECT_EQ(parse(llama).kvHeads, 4);
  qwen["num_key_value_heads"] = nullptr;
  EXPECT_EQ(parse(qwen).kvHeads, 4);
  qwen.erase("num_key_value_heads");
  qwen["num_attention_heads"] = 64;
  qwen["hidden_size"] = 128;
  EXPECT_EQ(parse(qwen).kvHeads, 32) << "Qwen's default when the field is absent";
}

TEST(ModelConfig, BiasesFollowTheArchitecture) {
  json llama = small("llama"), qwen2 = small("qwen2"), qwen3 = small("qwen3");
  for (json *object : {&llama, &qwen2, &qwen3}) {
    (*object)["attention_bias"] = true;
    (*object)["mlp_bias"] = true;
  }
  EXPECT_TRUE(parse(llama).inputBias && parse(llama).outputBias && parse(llama).mlpBias);
  EXPECT_TRUE(parse(qwen2).inputBias);
  EXPECT_FALSE(parse(qwen2).outputBias || parse(qwen2).mlpBias);
  EXPECT_TRUE(parse(qwen3).inputBias && parse(qwen3).outputBias);
  EXPECT_FALSE(parse(qwen3).mlpBias);
}

TEST(ModelConfig, HeadOfTwoLinears) {
  json object = small("llama");
  EXPECT_EQ(parse(object).headRank, 0);
  object["lm_head_rank"] = 24;
  EXPECT_EQ(parse(object).headRank, 24);
  object["tie_word_embeddings"] = true;
  StatusOr<std::unique_ptr<Model>> tied = ParseModel(object.dump());
  ASSERT_FALSE(tied.ok());
  EXPECT_NE(std::string(tied.status().message()).find("a head of two linears is not tied to the embedding"),
            std::string::npos);
}

TEST(ModelConfig, OtherFields) {
  json object = small("llama");
  object.update({{"hidden_act", "gelu_pytorch_tanh"},
                 {"rms_norm_eps", 1e-5},
                 {"tie_word_embeddings", true},
                 {"head_dim", 24},
                 {"max_position_embeddings", 131072},
                 {"torch_dtype", "bfloat16"},
                 {"eos_token_id", {7, 9, 7}},
                 {"sliding_window", 4096},
                 {"a field of the future", {{"x", 1}}}});
  Decoder config = parse(object);
  EXPECT_EQ(config.activation, "gelu_tanh");
  EXPECT_EQ(config.normEpsilon, 1e-5);
  EXPECT_TRUE(config.tiedHead);
  EXPECT_EQ(config.headDim, 24);
  EXPECT_EQ(config.contextLength, 131072);
  EXPECT_EQ(config.dtype, "bfloat16");
  EXPECT_EQ(config.endTokens, (std::vector<int32_t>{7, 9}));
  EXPECT_EQ(config.windows, std::vector<int64_t>(3, 0)) << "Llama has no windows";
  object["tie_word_embeddings"] = nullptr;
  EXPECT_FALSE(parse(object).tiedHead);
  object["eos_token_id"] = nullptr;
  EXPECT_TRUE(parse(object).endTokens.empty());
  object["dtype"] = "float16";
  EXPECT_EQ(parse(object).dtype, "float16") << "the newer key wins";
}

TEST(ModelConfig, GenerationConfigAddsEndTokens) {
  Decoder config = parse(small("llama"));
  EXPECT_TRUE(AddEndTokens(config, R"({"eos_token_id": [2, 11, 5]})", "g").ok());
  EXPECT_EQ(config.endTokens, (std::vector<int32_t>{2, 11, 5}));
  EXPECT_TRUE(AddEndTokens(config, "{}", "g").ok());
  EXPECT_EQ(AddEndTokens(config, R"({"eos_token_id": "x"})", "g.json").message(),
            "g.json: eos_token_id: must be an integer in 0..2147483647 or a list of them, not 'x'");
}

TEST(ModelConfig, Rope) {
  json object = small("llama");
  object["rope_theta"] = 500000;
  EXPECT_EQ(parse(object).rope.theta, 500000);
  object["rope_scaling"] = {{"type", "linear"}, {"factor", 4.0}};
  RopeConfig rope = parse(object).rope;
  EXPECT_EQ(rope.scaling, "linear");
  EXPECT_EQ(rope.factor, 4);
  EXPECT_EQ(rope.theta, 500000);

  json llama3 = {{"rope_type", "llama3"},
                 {"factor", 8},
                 {"low_freq_factor", 1.0},
                 {"high_freq_factor", 4.0},
                 {"original_max_position_embeddings", 8192}};
  object["rope_scaling"] = llama3;
  for (int newer = 0; newer < 2; ++newer) {
    rope = parse(object).rope;
    EXPECT_EQ(rope.scaling, "llama3");
    EXPECT_EQ(rope.factor, 8);
    EXPECT_EQ(rope.lowFrequency, 1);
    EXPECT_EQ(rope.highFrequency, 4);
    EXPECT_EQ(rope.originalContext, 8192);
    EXPECT_EQ(rope.theta, newer ? 1e6 : 5e5);
    llama3["rope_theta"] = 1e6;
    object.erase("rope_scaling");
    object["rope_parameters"] = llama3;
  }
  object["rope_parameters"].erase("original_max_position_embeddings");
  EXPECT_EQ(parse(object).rope.originalContext, 2048) << "max_position_embeddings";
  object.erase("rope_theta");
  object["rope_parameters"] = {{"rope_type", "default"}};
  EXPECT_EQ(parse(object).rope.theta, 10000);
}

TEST(ModelConfig, Windows) {
  json object = small("qwen2");
  object["max_window_layers"] = 1;
  EXPECT_EQ(parse(object).windows, (std::vector<int64_t>{0, 0, 0})) << "off by default";
  object["use_sliding_window"] = true;
  EXPECT_EQ(parse(object).windows, (std::vector<int64_t>{0, 4096, 4096}));
  object["sliding_window"] = 32;
  EXPECT_EQ(parse(object).windows, (std::vector<int64_t>{0, 32, 32}));
  object["layer_types"] = {"sliding_attention", "full_attention", "sliding_attention"};
  EXPECT_EQ(parse(object).windows, (std::vector<int64_t>{32, 0, 32})) << "layer_types wins";
  object.erase("layer_types");
  object["sliding_window"] = nullptr;
  EXPECT_EQ(parse(object).windows, (std::vector<int64_t>{0, 0, 0}));
}

struct Hostile {
  const char *type, *key, *value; // value: JSON; null: the field is taken out
  const char *message;
};

void PrintTo(const Hostile &hostile, std::ostream *out) {
  *out << hostile.type << " " << hostile.key << " " << (hostile.value ? hostile.value : "absent");
}

class HostileConfig : public testing::TestWithParam<Hostile> {};

TEST_P(HostileConfig, IsRefused) {
  const Hostile &hostile = GetParam();
  json object = small(hostile.type);
  object.erase(hostile.key);
  if (hostile.value)
    object[hostile.key] = json::parse(hostile.value);
  Status status = ParseModel(object.dump(), "dir/config.json").status();
  EXPECT_EQ(status.message(), std::string("dir/config.json: ") + hostile.message);
}

const Hostile hostiles[] = {
    {"llama", "hidden_size", nullptr, "hidden_size: missing"},
    {"llama", "hidden_size", "0", "hidden_size: must be an integer in 1..16777216, not 0"},
    {"llama", "hidden_size", "-64", "hidden_size: must be an integer in 1..16777216, not -64"},
    {"llama", "hidden_size", "64.0", "hidden_size: must be an integer in 1..16777216, not 64.0"},
    {"llama", "hidden_size", "\"64\"", "hidden_size: must be an integer in 1..16777216, not '64'"},
    {"llama", "hidden_size", "[64]", "hidden_size: must be an integer in 1..16777216, not a list"},
    {"llama", "vocab_size", "16777217",
     "vocab_size: must be an integer in 1..16777216, not 16777217"},
    {"llama", "vocab_size", "18446744073709551615",
     "vocab_size: must be an integer in 1..16777216, not 18446744073709551615"},
    {"llama", "intermediate_size", "null", "intermediate_size: missing"},
    {"llama", "num_hidden_layers", "4097",
     "num_hidden_layers: must be an integer in 1..4096, not 4097"},
    {"llama", "num_hidden_layers", "1e3",
     "num_hidden_layers: must be an integer in 1..4096, not 1000.0"},
    {"llama", "num_attention_heads", "6",
     "num_attention_heads: 6 does not divide hidden_size 64, and there is no head_dim"},
    {"llama", "num_key_value_heads", "3",
     "num_key_value_heads: 3 does not divide num_attention_heads 4"},
    {"qwen2", "num_key_value_heads", nullptr,
     "num_key_value_heads: 32 does not divide num_attention_heads 4"},
    {"qwen3", "head_dim", "15", "head_dim: 15 is odd: rotary embedding needs an even size"},
    {"qwen3", "head_dim", "8388608", "head_dim: 4 heads of 8388608 are more than 16777216 columns"},
    {"llama", "max_position_embeddings", "true",
     "max_position_embeddings: must be an integer in 1..16777216, not true"},
    {"llama", "rms_norm_eps", "-1e-6", "rms_norm_eps: must be a number in 0..1, not -1e-06"},
    {"llama", "rms_norm_eps", "\"1e-6\"", "rms_norm_eps: must be a number in 0..1, not '1e-6'"},
    {"llama", "hidden_act", "\"mish\"",
     "hidden_act: 'mish' is not supported; supported: silu, gelu, gelu_pytorch_tanh, relu"},
    {"llama", "hidden_act", "3", "hidden_act: must be a string, not 3"},
    {"llama", "tie_word_embeddings", "1", "tie_word_embeddings: must be true or false, not 1"},
    {"llama", "lm_head_rank", "65", "lm_head_rank: must be an integer in 1..64, not 65"},
    {"llama", "lm_head_rank", "0", "lm_head_rank: must be an integer in 1..64, not 0"},
    {"llama", "architectures", "[\"MistralForCausalLM\"]",
     "architectures: 'MistralForCausalLM' is not supported; supported: LlamaForCausalLM, "
     "Qwen2ForCausalLM, Qwen3ForCausalLM, Gemma3ForCausalLM"},
    {"llama", "architectures", "[]", "architectures: must be a list of names"},
    {"llama", "architectures", "[\"bad\\nname\"]",
     "architectures: 'bad\\nname' is not supported; supported: LlamaForCausalLM, "
     "Qwen2ForCausalLM, Qwen3ForCausalLM, Gemma3ForCausalLM"},
    {"llama", "model_type", "\"qwen3\"",
     "model_type: 'qwen3' does not go with the architecture LlamaForCausalLM"},
    {"llama", "quantization_config", "{\"quant_method\": \"awq\"}",
     "quantization_config: this checkpoint is compressed already, and packed checkpoints cannot be "
     "imported yet: give the original"},
    {"llama", "eos_token_id", "-1",
     "eos_token_id: must be an integer in 0..2147483647 or a list of them, not -1"},
    {"llama", "eos_token_id", "[2, \"x\"]",
     "eos_token_id: must be an integer in 0..2147483647 or a list of them, not 'x'"},
    {"llama", "rope_theta", "0", "rope_theta: must be a number in 1e-09..1e+15, not 0"},
    {"llama", "partial_rotary_factor", "0.5",
     "partial_rotary_factor: 0.5 is not supported yet: heads must rotate whole"},
    {"llama", "rope_scaling", "{\"type\": \"dynamic\", \"factor\": 2}",
     "rope_scaling.type: rope scaling 'dynamic' is not supported yet; supported: default, linear, "
     "llama3, yarn"},
    {"llama", "rope_parameters", "{\"rope_type\": \"yarn\"}", "rope_parameters.factor: missing"},
    {"llama", "rope_parameters", "{\"rope_type\": \"yarn\", \"factor\": 4, \"beta_slow\": 33}",
     "rope_parameters.beta_fast: 32 must not be less than beta_slow 33"},
    {"llama", "rope_parameters", "{\"rope_type\": \"yarn\", \"factor\": 4, \"rope_theta\": 1}",
     "rope_parameters.rope_theta: yarn needs another theta than 1"},
    {"llama", "rope_parameters", "{\"rope_type\": \"yarn\", \"factor\": 4, \"attention_factor\": 0}",
     "rope_parameters.attention_factor: must be a number in 1e-06..1e+06, not 0"},
    {"llama", "rope_parameters", "{\"rope_type\": \"longrope\"}",
     "rope_parameters.rope_type: rope scaling 'longrope' is not supported yet; supported: default, "
     "linear, llama3, yarn"},
    {"qwen3", "rope_parameters", "{\"full_attention\": {\"rope_type\": \"default\"}}",
     "rope_parameters: one for each layer type ('full_attention') is not supported yet"},
    {"llama", "rope_scaling", "\"linear\"", "rope_scaling: must be an object, not 'linear'"},
    {"llama", "rope_scaling", "{\"type\": \"linear\"}", "rope_scaling.factor: missing"},
    {"llama", "rope_scaling", "{\"type\": \"linear\", \"factor\": 0}",
     "rope_scaling.factor: must be a number in 1e-09..1e+15, not 0"},
    {"llama", "rope_scaling",
     "{\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 4, \"high_freq_factor\": 4}",
     "rope_scaling.high_freq_factor: 4 must be greater than low_freq_factor 4"},
    {"qwen2", "layer_types", "[\"full_attention\"]",
     "layer_types: must be a list of 3 types, one for each of num_hidden_layers"},
    {"qwen2", "layer_types", "[\"full_attention\", \"linear_attention\", \"full_attention\"]",
     "layer_types: 'linear_attention' of layer 1 is not supported; supported: full_attention, "
     "sliding_attention"},
    {"qwen2", "layer_types", "[\"full_attention\", \"full_attention\", \"sliding_attention\"]",
     "layer_types: layer 2 is sliding_attention, but use_sliding_window is false"},
};
INSTANTIATE_TEST_SUITE_P(ModelConfig, HostileConfig, testing::ValuesIn(hostiles));

TEST(ModelConfig, TextThatIsNoConfiguration) {
  auto message = [](const std::string &text) {
    return std::string(ParseModel(text, "c").status().message());
  };
  EXPECT_EQ(message(""), "c: not valid JSON");
  EXPECT_EQ(message("{"), "c: not valid JSON");
  EXPECT_EQ(message("{\"a\": \"\xff\"}"), "c: not valid JSON");
  EXPECT_EQ(message(small("llama").dump() + std::string("\0{", 2)), "c: not valid JSON");
  EXPECT_EQ(message("[]"), "c: expected an object at the top");
  EXPECT_EQ(message("{\"a\":" + std::string(1'000'000, '[')), "c: nested more than 32 deep");
  EXPECT_EQ(message("{}"), "c: architectures: missing; supported: LlamaForCausalLM, "
                           "Qwen2ForCausalLM, Qwen3ForCausalLM, Gemma3ForCausalLM");
}

TEST(ModelConfig, WithDTypeKeepsEverythingElse) {
  ConfigJson both = ConfigJson::parse( R"({"b": 1e-05, "torch_dtype": "float32", "a": [1], "dtype": "float32"})");
  EXPECT_EQ(json::parse(WithDType(both, "float16")),
            json::parse(R"({"b": 1e-05, "torch_dtype": "float16", "a": [1], "dtype": "float16"})"));
  EXPECT_LT(WithDType(both, "float16").find("\"b\""), WithDType(both, "float16").find("\"a\""))
      << "keys stay in order";
  EXPECT_EQ(json::parse(WithDType(ConfigJson::parse(R"({"dtype": "float32"})"), "bfloat16")),
            json::parse(R"({"dtype": "bfloat16"})"));
  EXPECT_EQ(json::parse(WithDType(ConfigJson::object(), "float16")), json::parse(R"({"torch_dtype": "float16"})"));
}

} // namespace
} // namespace compressc
