#include "GGUFFixture.h"

#include "nlohmann/json.hpp"

namespace compressc {
namespace {

using B = GGUFBuilder;
using nlohmann::json;

json parse(const std::string &text) { return json::parse(text, nullptr, false); }

GGUFBuilder sample(const std::string &pre) {
  GGUFBuilder builder;
  builder.string("general.architecture", "llama")
      .integer("llama.context_length", 2048)
      .string("tokenizer.ggml.model", "gpt2")
      .string("tokenizer.ggml.pre", pre)
      .strings("tokenizer.ggml.tokens", {"a", "\"", "a\"", "<s>", "<tool>", "Ġé\\", "</s>"})
      .integers("tokenizer.ggml.token_type", {1, 1, 1, 3, 4, 5, 3})
      .strings("tokenizer.ggml.merges", {"a \""})
      .integer("tokenizer.ggml.bos_token_id", 3)
      .integer("tokenizer.ggml.eos_token_id", 6)
      .string("tokenizer.chat_template", "{{ x }}\n");
  return builder;
}

class GGUFTokenizerFiles : public GGUFFixture {
protected:
  json tokenizer(const GGUFBuilder &builder) const {
    StatusOr<std::string> text = GGUFTokenizer(open(builder).value());
    EXPECT_TRUE(text.ok()) << text.status();
    return text.ok() ? parse(*text) : json();
  }
  Status tokenizerError(const GGUFBuilder &builder) const {
    return GGUFTokenizer(open(builder).value()).status();
  }
};

TEST_F(GGUFTokenizerFiles, ModelAndAddedTokens) {
  json file = tokenizer(sample("smollm"));
  ASSERT_TRUE(file.is_object());
  EXPECT_EQ(file["model"]["type"], "BPE");
  EXPECT_EQ(file["model"]["vocab"],
            parse(R"({"a":0,"\"":1,"a\"":2,"<s>":3,"<tool>":4,"Ġé\\":5,"</s>":6})"));
  EXPECT_EQ(file["model"]["merges"], parse(R"(["a \""])"));
  EXPECT_EQ(file["model"]["ignore_merges"], false);
  ASSERT_EQ(file["added_tokens"].size(), 3u);
  EXPECT_EQ(file["added_tokens"][0], parse(R"({"id":3,"content":"<s>","single_word":false,
    "lstrip":false,"rstrip":false,"normalized":false,"special":true})"));
  EXPECT_EQ(file["added_tokens"][1]["content"], "<tool>");
  EXPECT_EQ(file["added_tokens"][1]["special"], false);
  EXPECT_EQ(file["decoder"]["type"], "ByteLevel");
}

TEST_F(GGUFTokenizerFiles, EachKindHasItsPipeline) {
  json smollm = tokenizer(sample("smollm"));
  EXPECT_EQ(smollm["normalizer"], json());
  EXPECT_EQ(smollm["pre_tokenizer"]["pretokenizers"][0]["type"], "Digits");
  EXPECT_EQ(smollm["pre_tokenizer"]["pretokenizers"][0]["individual_digits"], true);
  EXPECT_EQ(smollm["pre_tokenizer"]["pretokenizers"][1]["use_regex"], true);
  EXPECT_EQ(smollm["post_processor"]["type"], "ByteLevel");

  json qwen = tokenizer(sample("qwen2"));
  EXPECT_EQ(qwen["normalizer"]["type"], "NFC");
  EXPECT_EQ(
      qwen["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"],
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)");
  EXPECT_EQ(qwen["pre_tokenizer"]["pretokenizers"][0]["behavior"], "Isolated");
  EXPECT_EQ(qwen["pre_tokenizer"]["pretokenizers"][1]["use_regex"], false);
  EXPECT_EQ(qwen["post_processor"]["type"], "ByteLevel");

  json llama = tokenizer(sample("llama-bpe"));
  EXPECT_EQ(llama["normalizer"], json());
  EXPECT_EQ(
      llama["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"],
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)");
  EXPECT_EQ(llama["model"]["ignore_merges"], true);

  json deepSeek = tokenizer(sample("deepseek-r1-qwen"));
  EXPECT_EQ(deepSeek["normalizer"], json());
  EXPECT_EQ(deepSeek["pre_tokenizer"], qwen["pre_tokenizer"]);
}

TEST_F(GGUFTokenizerFiles, BosComesFromTheTemplate) {
  json expected = parse(R"([{"SpecialToken":{"id":"<s>","type_id":0}},
                            {"Sequence":{"id":"A","type_id":0}}])");
  json llama = tokenizer(sample("llama-bpe"));
  EXPECT_EQ(llama["post_processor"]["processors"][0]["type"], "ByteLevel");
  EXPECT_EQ(llama["post_processor"]["processors"][1]["single"], expected);
  EXPECT_EQ(llama["post_processor"]["processors"][1]["special_tokens"]["<s>"]["ids"], parse("[3]"));

  json asked = tokenizer(sample("deepseek-r1-qwen").flag("tokenizer.ggml.add_bos_token", true));
  EXPECT_EQ(asked["post_processor"]["processors"][1]["single"], expected);
  json declined = tokenizer(sample("llama-bpe").flag("tokenizer.ggml.add_bos_token", false));
  EXPECT_EQ(declined["post_processor"]["type"], "ByteLevel");
  expectError(tokenizerError(sample("llama-bpe").remove("tokenizer.ggml.bos_token_id")),
              "'tokenizer.ggml.bos_token_id' is missing");
}

TEST_F(GGUFTokenizerFiles, TokenizerConfig) {
  GGUFFile file = open(sample("smollm").integer("tokenizer.ggml.padding_token_id", 6)).value();
  json config = parse(GGUFTokenizerConfig(file).value());
  EXPECT_EQ(config["tokenizer_class"], "PreTrainedTokenizerFast");
  EXPECT_EQ(config["bos_token"], "<s>");
  EXPECT_EQ(config["eos_token"], "</s>");
  EXPECT_EQ(config["pad_token"], "</s>");
  EXPECT_FALSE(config.contains("unk_token"));
  EXPECT_EQ(config["chat_template"], "{{ x }}\n");
  EXPECT_EQ(config["model_max_length"], 2048);
  ASSERT_EQ(config["added_tokens_decoder"].size(), 3u);
  EXPECT_EQ(config["added_tokens_decoder"]["4"]["content"], "<tool>");
  EXPECT_EQ(config["added_tokens_decoder"]["4"]["special"], false);
}

GGUFBuilder sentencePiece() {
  std::string scores;
  for (float score : {-1000.0f, -1000.0f, 0.0f, -5.0f, -2.0f, -1.0f, -6.0f, -7.0f, -1000.0f})
    scores += B::raw(score);
  GGUFBuilder builder;
  builder.string("general.architecture", "llama")
      .string("tokenizer.ggml.model", "llama")
      .flag("tokenizer.ggml.add_space_prefix", false)
      .strings("tokenizer.ggml.tokens",
               {"<unk>", "<s>", "<0x41>", "aaa", "\u2581a", "aa", "a", "\u2581", "  "})
      .integers("tokenizer.ggml.token_type", {3, 3, 6, 1, 1, 1, 1, 1, 4})
      .list("tokenizer.ggml.scores", B::F32, 9, scores)
      .integer("tokenizer.ggml.bos_token_id", 1);
  return builder;
}

TEST_F(GGUFTokenizerFiles, ScoresBecomeMerges) {
  json file = tokenizer(sentencePiece());
  ASSERT_TRUE(file.is_object());
  EXPECT_EQ(file["model"]["merges"],
            parse(R"([["a","a"],["\u2581","a"],["aa","a"],["a","aa"]])"));
  EXPECT_EQ(file["model"]["byte_fallback"], true);
  EXPECT_EQ(file["model"]["equal_splits"], true);
  EXPECT_EQ(file["normalizer"]["content"], "\u2581");
  EXPECT_EQ(file["pre_tokenizer"], json());
  EXPECT_EQ(file["decoder"]["decoders"].size(), 3u);
  EXPECT_EQ(file["post_processor"]["type"], "TemplateProcessing");
  EXPECT_EQ(file["added_tokens"].size(), 3u);
  const char *prefix = "tokenizer.ggml.add_space_prefix", *scores = "tokenizer.ggml.scores";
  expectError(tokenizerError(sentencePiece().remove(prefix)), "a space before every text");
  expectError(tokenizerError(sentencePiece().remove(scores)), "'tokenizer.ggml.scores' is missing");
  expectError(tokenizerError(sentencePiece().remove(scores).list(scores, B::F32, 1, B::raw(1.0f))),
              "has 1 entries for 9 tokens");
  const char *tokens = "tokenizer.ggml.tokens";
  expectError(tokenizerError(sentencePiece().remove(tokens).strings(
                  tokens, {"<unk>", "<s>", "<0x4g>", "aaa", "x", "aa", "a", "y", "  "})),
              "not <0x00> to <0xFF>");
}

TEST_F(GGUFTokenizerFiles, BadVocabulariesAreRefused) {
  struct Case {
    GGUFBuilder builder;
    const char *message;
  };
  constexpr const char *tokens = "tokenizer.ggml.tokens", *types = "tokenizer.ggml.token_type";
  constexpr const char *merges = "tokenizer.ggml.merges";
  auto with = [](const char *key, const std::vector<std::string> &items) {
    return sample("smollm").remove(key).strings(key, items);
  };
  for (const Case &bad : {
           Case{sample("falcon"), "pre-tokenizer 'falcon' is not supported"},
           Case{sample("smollm")
                    .remove("tokenizer.ggml.model")
                    .string("tokenizer.ggml.model", "bert"),
                "tokenizer model 'bert' is not supported"},
           Case{sample("smollm").remove("tokenizer.ggml.pre"), "'tokenizer.ggml.pre' is missing"},
           Case{sample("smollm").remove(tokens), "'tokenizer.ggml.tokens' is missing"},
           Case{sample("smollm").remove(merges), "'tokenizer.ggml.merges' is missing"},
           Case{with(tokens, {}), "'tokenizer.ggml.tokens' is empty"},
           Case{with(tokens, {"a", "\"", "a\"", "<s>", "\xff", "x", "y"}), "token 4 is not UTF-8"},
           Case{with(tokens, {"a", "\"", "a\"", "<s>", "a", "x", "y"}),
                "tokens 0 and 4 are both 'a'"},
           Case{with(tokens, {"a", "\"", "a\"", "", "b", "x", "y"}), "special token 3 is empty"},
           Case{with(tokens, {"a", "\"", "a\""}), "7 entries for 3 tokens"},
           Case{sample("smollm").remove(types).strings(types, {"1"}), "must be a list of integers"},
           Case{with(merges, {"a"}), "entry 0, 'a', is not a pair"},
           Case{with(merges, {"a b"}), "entry 0, 'a b', is not a pair"},
           Case{with(merges, {"a a"}), "entry 0, 'a a', is not a pair"},
           Case{with(merges, {"a \"", " a"}), "entry 1, ' a', is not a pair"},
           Case{with(merges, {"\xff \xff"}), "is not a pair"},
           Case{sample("smollm").flag("tokenizer.ggml.add_eos_token", true), "EOS"},
           Case{sample("smollm").integer("tokenizer.ggml.add_bos_token", 1),
                "'tokenizer.ggml.add_bos_token' must be true or false"},
       })
    expectError(tokenizerError(bad.builder), bad.message);
  auto configError = [&](const GGUFBuilder &builder) {
    return GGUFTokenizerConfig(open(builder).value()).status();
  };
  expectError(configError(sample("smollm").integer("tokenizer.ggml.unknown_token_id", 7)),
              "'tokenizer.ggml.unknown_token_id' is 7");
  expectError(configError(sample("smollm")
                              .remove("tokenizer.chat_template")
                              .string("tokenizer.chat_template", "\xff")),
              "'tokenizer.chat_template' is not UTF-8");
}

} // namespace
} // namespace compressc
