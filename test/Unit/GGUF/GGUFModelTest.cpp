#include "GGUFFixture.h"
#include "lib/Import/Models/Family.h"

#include "nlohmann/json.hpp"
#include <cmath>

namespace compressc {
namespace {

using B = GGUFBuilder;
using nlohmann::json;

json parse(const std::string &text) { return json::parse(text, nullptr, false); }

/// A tiny model without tensors: heads of 16 dimensions.
GGUFBuilder sample(const std::string &name) {
  GGUFBuilder builder;
  builder.string("general.architecture", name)
      .integer(name + ".block_count", 2)
      .integer(name + ".context_length", 2048)
      .integer(name + ".embedding_length", 64)
      .integer(name + ".feed_forward_length", 128)
      .integer(name + ".attention.head_count", 4)
      .integer(name + ".attention.head_count_kv", 2)
      .number(name + ".attention.layer_norm_rms_epsilon", 1e-6f)
      .number(name + ".rope.freq_base", 500000.0f)
      .strings("tokenizer.ggml.tokens", {"a", "b", "ab", "<s>"})
      .integer("tokenizer.ggml.bos_token_id", 3)
      .integer("tokenizer.ggml.eos_token_id", 2);
  return builder;
}

class GGUFModel : public GGUFFixture {
protected:
  json config(const GGUFBuilder &builder) const {
    StatusOr<GGUFFile> file = open(builder);
    EXPECT_TRUE(file.ok()) << file.status();
    StatusOr<std::string> text = GGUFConfig(*file);
    EXPECT_TRUE(text.ok()) << text.status();
    return text.ok() ? parse(*text) : json();
  }
  Status configError(const GGUFBuilder &builder) const {
    StatusOr<GGUFFile> file = open(builder);
    EXPECT_TRUE(file.ok()) << file.status();
    return GGUFConfig(*file).status();
  }
};

TEST_F(GGUFModel, LlamaConfig) {
  EXPECT_EQ(config(sample("llama")), parse(R"({
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 4,
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "hidden_act": "silu",
    "max_position_embeddings": 2048, "rms_norm_eps": 1e-6, "rope_theta": 500000.0,
    "rope_scaling": null, "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0},
    "attention_bias": false, "mlp_bias": false, "tie_word_embeddings": true,
    "bos_token_id": 3, "eos_token_id": 2, "dtype": "float16"})"));
}

TEST_F(GGUFModel, Qwen2ConfigHasNoHeadDim) {
  json qwen = config(sample("qwen2"));
  EXPECT_EQ(qwen["architectures"], json::array({"Qwen2ForCausalLM"}));
  EXPECT_FALSE(qwen.contains("head_dim"));
  EXPECT_FALSE(qwen.contains("attention_bias"));
  EXPECT_EQ(qwen["use_sliding_window"], false);
  expectError(configError(sample("qwen2").integer("qwen2.attention.key_length", 32)),
              "qwen2 needs heads of 16 dimensions, not 32");
}

TEST_F(GGUFModel, Qwen3ConfigHasItsOwnHeadDim) {
  json qwen = config(sample("qwen3")
                         .integer("qwen3.attention.key_length", 128)
                         .integer("qwen3.attention.value_length", 128));
  EXPECT_EQ(qwen["architectures"], json::array({"Qwen3ForCausalLM"}));
  EXPECT_EQ(qwen["head_dim"], 128);
  EXPECT_EQ(qwen["attention_bias"], false);
}

TEST_F(GGUFModel, TensorsDecideTyingVocabularyAndBiases) {
  std::string embedding(64 * 4 * 6, 'e');
  GGUFBuilder tied = sample("llama").tensor("token_embd.weight", {64, 6}, 0, embedding);
  EXPECT_EQ(config(tied)["tie_word_embeddings"], true);
  EXPECT_EQ(config(tied)["vocab_size"], 6) << "the rows of the embedding, not the tokens";
  EXPECT_EQ(config(tied.tensor("output.weight", {64, 6}, 0, embedding))["tie_word_embeddings"],
            false);

  auto biased = [&](const std::string &name, std::initializer_list<const char *> modules,
                    int layers) {
    GGUFBuilder builder = sample(name).tensor("token_embd.weight", {64, 6}, 0, embedding);
    for (int layer = 0; layer < layers; ++layer)
      for (const char *module : modules)
        builder.tensor("blk." + std::to_string(layer) + "." + module + ".bias", {1}, 0, "bias");
    return builder;
  };
  auto all = {"attn_q", "attn_k", "attn_v", "attn_output"};
  auto qkv = {"attn_q", "attn_k", "attn_v"};
  EXPECT_EQ(config(biased("llama", all, 2))["attention_bias"], true);
  EXPECT_EQ(config(biased("llama", {"ffn_gate", "ffn_up", "ffn_down"}, 2))["mlp_bias"], true);
  EXPECT_EQ(config(biased("qwen3", all, 2))["attention_bias"], true);
  EXPECT_EQ(config(biased("qwen2", qkv, 2))["model_type"], "qwen2");
  expectError(configError(biased("llama", qkv, 2)), "q, k, v and output");
  expectError(configError(biased("llama", all, 1)), "'blk.1.attn_v.bias' is missing");
  expectError(configError(biased("qwen2", {}, 2)), "qwen2 has biases on q, k and v");
  expectError(configError(biased("qwen2", all, 2)), "qwen2 has biases on q, k and v");
  expectError(configError(biased("qwen3", {"ffn_gate", "ffn_up", "ffn_down"}, 2)),
              "not supported for qwen3");
}

TEST_F(GGUFModel, LinearAndYarnRope) {
  json linear = config(sample("llama")
                           .string("llama.rope.scaling.type", "linear")
                           .number("llama.rope.scaling.factor", 4));
  EXPECT_EQ(linear["rope_parameters"],
            parse(R"({"rope_type":"linear","rope_theta":500000.0,"factor":4.0})"));
  EXPECT_EQ(linear["rope_scaling"], linear["rope_parameters"]) << "for transformers 4";

  json yarn = config(sample("qwen3")
                         .string("qwen3.rope.scaling.type", "yarn")
                         .number("qwen3.rope.scaling.factor", 4)
                         .integer("qwen3.rope.scaling.original_context_length", 32768)
                         .number("qwen3.rope.scaling.attn_factor", 1));
  EXPECT_EQ(yarn["rope_parameters"]["rope_type"], "yarn");
  EXPECT_EQ(yarn["rope_parameters"]["original_max_position_embeddings"], 32768);
  EXPECT_DOUBLE_EQ(yarn["rope_parameters"]["attention_factor"].get<double>(),
                   0.1 * std::log(4.0) + 1);
  json derived = config(sample("qwen3")
                            .string("qwen3.rope.scaling.type", "yarn")
                            .number("qwen3.rope.scaling.factor", 4)
                            .number("qwen3.rope.scaling.yarn_beta_fast", 16));
  EXPECT_EQ(derived["rope_parameters"]["beta_fast"], 16.0);
  for (const char *key : {"attention_factor", "original_max_position_embeddings"})
    EXPECT_FALSE(derived["rope_parameters"].contains(key)) << "they follow from the rest: " << key;
  json scaled = config(sample("qwen3")
                           .string("qwen3.rope.scaling.type", "yarn")
                           .number("qwen3.rope.scaling.factor", 4)
                           .number("qwen3.rope.scaling.yarn_attn_factor", 0.5));
  EXPECT_DOUBLE_EQ(scaled["rope_parameters"]["attention_factor"].get<double>(),
                   0.5 * (0.1 * std::log(4.0) + 1));
  expectError(configError(sample("qwen3").string("qwen3.rope.scaling.type", "longrope")),
              "rope scaling 'longrope'");
}

/// rope_freqs.weight as a llama3 model of heads of 64 dimensions has it.
std::string llama3Divisors(double factor, double low, double high, double positions) {
  std::string bytes;
  for (int i = 0; i < 32; ++i) {
    double frequency = std::pow(500000.0, -2.0 * i / 64);
    double wave = 2 * M_PI / frequency;
    double divided = frequency / factor;
    if (wave < positions / high) {
      divided = frequency;
    } else if (wave <= positions / low) {
      double smooth = (positions / wave - low) / (high - low);
      divided = (1 - smooth) * frequency / factor + smooth * frequency;
    }
    bytes += B::raw(float(frequency / divided));
  }
  return bytes;
}

TEST_F(GGUFModel, Llama3RopeIsRecoveredFromItsDivisors) {
  auto model = [&](const std::string &divisors, uint64_t count = 32) {
    std::string embedding(256 * 4 * 4, 'e');
    return sample("llama")
        .remove("llama.embedding_length")
        .integer("llama.embedding_length", 256)
        .tensor("token_embd.weight", {256, 4}, 0, embedding)
        .tensor("rope_freqs.weight", {count}, 0, divisors);
  };
  for (auto [factor, low, high] :
       {std::array{8.0, 1.0, 4.0}, std::array{32.0, 1.0, 4.0}, std::array{16.0, 2.0, 5.5}}) {
    json rope = config(model(llama3Divisors(factor, low, high, 8192)))["rope_parameters"];
    json expected = {{"rope_type", "llama3"},    {"rope_theta", 500000.0},
                     {"factor", factor},         {"low_freq_factor", low},
                     {"high_freq_factor", high}, {"original_max_position_embeddings", 8192}};
    EXPECT_EQ(rope, expected);
  }
  std::string ones;
  for (int i = 0; i < 32; ++i)
    ones += B::raw(1.0f);
  EXPECT_EQ(config(model(ones))["rope_parameters"]["rope_type"], "default");

  std::string wrong = llama3Divisors(8, 1, 4, 8192);
  float changed = 1.5f;
  std::memcpy(wrong.data() + 4 * 5, &changed, 4);
  expectError(configError(model(wrong)), "not those of llama3 rope");
  for (float bad : {NAN, INFINITY, -1.0f, 0.0f}) {
    std::memcpy(wrong.data() + 4 * 31, &bad, 4);
    expectError(configError(model(wrong)), "not those of llama3 rope");
  }
  expectError(configError(model(llama3Divisors(8, 1, 4, 8192), 31)), "must be F32 [32]");
}

TEST_F(GGUFModel, BadConfigurationsAreRefused) {
  struct Case {
    const char *key;
    uint32_t value;
    const char *message;
  };
  for (const Case &bad : {
           Case{"llama.block_count", 0, "'llama.block_count' is 0"},
           Case{"llama.block_count", 4000000000, "'llama.block_count' is 4000000000"},
           Case{"llama.block_count", 1000000, "1000000 layers"},
           Case{"llama.embedding_length", 63, "not a multiple of the 4 heads"},
           Case{"llama.attention.head_count_kv", 3, "do not share"},
           Case{"llama.attention.value_length", 8, "'llama.attention.value_length' is 8"},
           Case{"llama.rope.dimension_count", 8, "'llama.rope.dimension_count' is 8"},
           Case{"llama.attention.key_length", 15, "15 is odd"},
           Case{"llama.expert_count", 8, "'llama.expert_count' is not supported"},
           Case{"llama.attention.sliding_window", 4096, "is not supported"},
           Case{"llama.vocab_size", 3, "4 tokens but an embedding of only 3 rows"},
           Case{"tokenizer.ggml.bos_token_id", 4, "'tokenizer.ggml.bos_token_id' is 4"},
           Case{"split.count", 2, "one part of a split model"},
       })
    expectError(configError(sample("llama").remove(bad.key).integer(bad.key, bad.value)),
                bad.message);
  EXPECT_EQ(config(sample("llama").integer("llama.expert_count", 0))["model_type"], "llama");
  for (const char *key : {"llama.block_count", "llama.context_length",
                          "llama.attention.layer_norm_rms_epsilon", "tokenizer.ggml.tokens"})
    expectError(configError(sample("llama").remove(key)), "'" + std::string(key) + "' is missing");
  expectError(configError(sample("gpt2")), "architecture 'gpt2' is not supported");
  std::string epsilon = "llama.attention.layer_norm_rms_epsilon";
  for (float bad : {0.0f, -1.0f, INFINITY, NAN})
    expectError(configError(sample("llama").remove(epsilon).number(epsilon, bad)), epsilon);
  std::string heads = "llama.attention.head_count_kv";
  EXPECT_EQ(config(sample("llama").remove(heads).integers(heads, {2, 2}))["num_key_value_heads"],
            2);
  expectError(configError(sample("llama").remove(heads).integers(heads, {2, 4})),
              "differs from layer to layer");
  expectError(configError(sample("llama").flag("llama.attention.causal", false)), "not causal");
}

TEST_F(GGUFModel, GenerationConfigKnowsTheEndOfATurn) {
  auto generation = [&](const GGUFBuilder &builder) {
    return parse(GGUFGenerationConfig(open(builder).value()).value());
  };
  EXPECT_EQ(generation(sample("llama")), parse(R"({"bos_token_id":3,"eos_token_id":2})"));
  EXPECT_EQ(generation(sample("llama").integer("tokenizer.ggml.eot_token_id", 1))["eos_token_id"],
            parse("[2,1]"));
  EXPECT_EQ(generation(sample("llama").integer("tokenizer.ggml.eot_token_id", 2))["eos_token_id"],
            2);
  GGUFFile wrong = open(sample("llama").integer("tokenizer.ggml.eot_token_id", 4)).value();
  expectError(GGUFGenerationConfig(wrong).status(), "'tokenizer.ggml.eot_token_id' is 4");
}

/// Lists the weights that a family declares.
class WeightList : public GraphBuilder {
public:
  struct Weight {
    WeightName name;
    int64_t pairedHeads;
  };
  std::vector<Weight> weights;

  GraphValue weight(const WeightName &name, const std::vector<int64_t> &, std::string_view,
                    const WeightForm &form, std::string_view) override {
    weights.push_back({name, form.ggufPairedHeads});
    return {};
  }
  GraphValue embedding(GraphValue, double, std::string_view) override { return {}; }
  GraphValue rmsNorm(GraphValue, GraphValue, double, std::string_view) override { return {}; }
  GraphValue linear(GraphValue, GraphValue, GraphValue, std::string_view) override { return {}; }
  GraphValue rotate(GraphValue, int64_t, const RopeConfig &, std::string_view) override {
    return {};
  }
  GraphValue attention(GraphValue, GraphValue, GraphValue, const Attention &,
                       std::string_view) override {
    return {};
  }
  GraphValue gated(std::string_view, GraphValue, GraphValue, std::string_view) override {
    return {};
  }
  GraphValue add(GraphValue, GraphValue, std::string_view) override { return {}; }
  GraphValue selectRows(GraphValue, std::string_view) override { return {}; }
  GraphValue block(int64_t, GraphValue x,
                   const std::function<GraphValue(GraphValue)> &body) override {
    return body(x);
  }
};

std::vector<WeightList::Weight> weightsOf(const json &config) {
  WeightList list;
  StatusOr<std::unique_ptr<Model>> model = ParseModel(config.dump());
  EXPECT_TRUE(model.ok()) << model.status();
  if (model.ok())
    (*model)->build(list);
  return list.weights;
}

TEST_F(GGUFModel, WeightsHaveTwoNames) {
  json biased = config(sample("qwen3"));
  biased["attention_bias"] = true;
  biased["tie_word_embeddings"] = false;
  biased["num_hidden_layers"] = 28;
  std::map<std::string, std::string> names;
  for (const WeightList::Weight &weight : weightsOf(biased))
    EXPECT_TRUE(names.emplace(weight.name.gguf, weight.name.huggingFace).second);
  const std::pair<const char *, const char *> pairs[] = {
      {"token_embd.weight", "model.embed_tokens.weight"},
      {"output_norm.weight", "model.norm.weight"},
      {"output.weight", "lm_head.weight"},
      {"blk.0.attn_norm.weight", "model.layers.0.input_layernorm.weight"},
      {"blk.3.attn_q.weight", "model.layers.3.self_attn.q_proj.weight"},
      {"blk.3.attn_k.bias", "model.layers.3.self_attn.k_proj.bias"},
      {"blk.3.attn_v.bias", "model.layers.3.self_attn.v_proj.bias"},
      {"blk.3.attn_output.weight", "model.layers.3.self_attn.o_proj.weight"},
      {"blk.10.attn_q_norm.weight", "model.layers.10.self_attn.q_norm.weight"},
      {"blk.10.attn_k_norm.weight", "model.layers.10.self_attn.k_norm.weight"},
      {"blk.27.ffn_norm.weight", "model.layers.27.post_attention_layernorm.weight"},
      {"blk.27.ffn_gate.weight", "model.layers.27.mlp.gate_proj.weight"},
      {"blk.27.ffn_up.weight", "model.layers.27.mlp.up_proj.weight"},
      {"blk.27.ffn_down.weight", "model.layers.27.mlp.down_proj.weight"},
  };
  for (const auto &[gguf, huggingFace] : pairs)
    EXPECT_EQ(names[gguf], huggingFace) << gguf;
  EXPECT_EQ(names.size(), 3u + 28 * (11 + 4));
}

TEST_F(GGUFModel, OnlyLlamaPermutesQAndK) {
  json biased = config(sample("llama"));
  biased["attention_bias"] = true;
  std::map<std::string, int64_t> permuted;
  for (const WeightList::Weight &weight : weightsOf(biased))
    if (weight.pairedHeads)
      permuted[weight.name.gguf] = weight.pairedHeads;
  std::map<std::string, int64_t> expected;
  for (const char *layer : {"blk.0.", "blk.1."})
    for (const char *kind : {".weight", ".bias"}) {
      expected[std::string(layer) + "attn_q" + kind] = 4;
      expected[std::string(layer) + "attn_k" + kind] = 2;
    }
  EXPECT_EQ(permuted, expected);
  for (const char *name : {"qwen2", "qwen3"})
    for (const WeightList::Weight &weight : weightsOf(config(sample(name))))
      EXPECT_EQ(weight.pairedHeads, 0);
}

} // namespace
} // namespace compressc
