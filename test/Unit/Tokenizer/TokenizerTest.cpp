// What does not come out of the golden data: bad UTF-8, look-ups, limits, threads.
#include "../../../runtime/text/split_regex.h"
#include "../../../runtime/text/unicode.h"
#include "inputs.h"
#include <thread>

namespace compressc::test {

TEST(Tokenizer, ReplacesInvalidUtf8) {
  std::pair<std::string, std::string> cases[] = {
      {"a\xFFz", "a\uFFFDz"},
      {"\x80\xBF", "\uFFFD\uFFFD"},                     // continuations without a lead
      {"\xC0\xAF", "\uFFFD\uFFFD"},                     // overlong
      {"\xE0\x80\xAF", "\uFFFD\uFFFD\uFFFD"},           // overlong
      {"\xE4\xB8", "\uFFFD"},                           // cut at the end: one for the part
      {"\xE4\xB8z\xE4", "\uFFFDz\uFFFD"},               // cut in the middle
      {"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD"},           // a surrogate
      {"\xF4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"}, // above U+10FFFF
      {"\xF0\x9F\x91", "\uFFFD"},
      {"0123456\xC3\xA9\xC3", "0123456\u00E9\uFFFD"},
  };
  std::unique_ptr<Tokenizer> tokenizer = load(inputJson("tokenizer.json"));
  ASSERT_TRUE(tokenizer);
  for (const auto &[bad, good] : cases) {
    std::string storage;
    EXPECT_EQ(unicode::replaceInvalid(bad, storage), good);
    EXPECT_EQ(tokenizer->encode(bad), tokenizer->encode(good));
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(bad)), good);
  }
}

TEST(Tokenizer, DecodesPartsOfCharactersAndSkipsUnknownIds) {
  std::unique_ptr<Tokenizer> tokenizer = load(inputJson("tokenizer.json"));
  ASSERT_TRUE(tokenizer);
  // The byte alphabet's names of E4 and 41.
  int32_t lead = tokenizer->tokenId("\u00E4"), letter = tokenizer->tokenId("A");
  ASSERT_GE(lead, 0);
  ASSERT_GE(letter, 0);
  EXPECT_EQ(tokenizer->decode({letter, lead}), "A\uFFFD");
  EXPECT_EQ(tokenizer->decode({lead, letter, lead, lead}), "\uFFFDA\uFFFD\uFFFD");
  EXPECT_EQ(tokenizer->decode({letter, -1, 1 << 30, int32_t(tokenizer->size()), letter}), "AA");
  EXPECT_EQ(tokenizer->decode({}), "");
}

TEST(Tokenizer, LooksUpTokens) {
  nlohmann::json json = inputJson("tokenizer.json");
  int64_t words = int64_t(json["model"]["vocab"].size());
  json["added_tokens"] = {{{"id", words + 5}, {"content", "<|x y|>"}, {"special", true}}};
  std::unique_ptr<Tokenizer> tokenizer = load(json);
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(tokenizer->size(), words + 6);
  EXPECT_EQ(tokenizer->tokenId("<|x y|>"), words + 5);
  EXPECT_EQ(tokenizer->tokenId("\u0120"), json["model"]["vocab"]["\u0120"].get<int32_t>());
  EXPECT_EQ(tokenizer->tokenId("no such token"), -1);
  EXPECT_EQ(tokenizer->tokenId(""), -1);
  EXPECT_EQ(tokenizer->encode("<|x y|>"), std::vector<int32_t>{int32_t(words + 5)});
  EXPECT_EQ(tokenizer->decode({int32_t(words + 5)}), "");
  EXPECT_EQ(tokenizer->decode({int32_t(words + 5)}, false), "<|x y|>");
}

TEST(Tokenizer, ReadsAFile) {
  std::string path = COMPRESSC_TEST_DIR "/Inputs/tokenizer/tokenizer.json";
  StatusOr<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::FromFile(path);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_EQ((*tokenizer)->encode("the text"),
            load(inputJson("tokenizer.json"))->encode("the text"));
  tokenizer = Tokenizer::FromFile(path + ".missing");
  ASSERT_FALSE(tokenizer.ok());
  EXPECT_NE(tokenizer.status().message().find("tokenizer.json.missing"), absl::string_view::npos);
}

// With a search of the best pair at every merge, these would take hours.
TEST(Tokenizer, LongWordsTakeNearlyLinearTime) {
  nlohmann::json json = inputJson("tokenizer.json");
  json["pre_tokenizer"]["use_regex"] = false;
  std::unique_ptr<Tokenizer> tokenizer = load(json);
  ASSERT_TRUE(tokenizer);
  std::string text;
  for (std::string_view unit : {"a", "the ", "\n", "\u4E2D"}) {
    for (text.clear(); text.size() < size_t(1) << 18;)
      text += unit;
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
  }
}

TEST(Tokenizer, BacktrackingIsBounded) {
  nlohmann::json json = inputJson("tokenizer.json");
  json["pre_tokenizer"] = {{"type", "Sequence"},
                           {"pretokenizers",
                            {{{"type", "Split"},
                              {"pattern", {{"Regex", "a*a*a*a*a*a*b|(?:a|a?a)+c"}}},
                              {"behavior", "Isolated"},
                              {"invert", false}},
                             {{"type", "ByteLevel"}, {"use_regex", false}}}}};
  std::unique_ptr<Tokenizer> tokenizer = load(json);
  ASSERT_TRUE(tokenizer);
  std::string text(20000, 'a');
  // add_prefix_space is the default.
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), " " + text);
}

// Words are remembered for each thread: neither threads nor tokenizers may see each other's.
TEST(Tokenizer, ThreadsAndTokenizersDoNotMix) {
  nlohmann::json json = inputJson("tokenizer.json"), other = json;
  other["model"]["merges"] = nlohmann::json::array();
  std::unique_ptr<Tokenizer> first = load(json), second = load(other);
  ASSERT_TRUE(first && second);
  std::vector<std::string> texts =
      inputJson("golden.json")["texts"].get<std::vector<std::string>>();
  std::vector<std::vector<int32_t>> expected;
  for (const std::string &text : texts)
    expected.push_back(first->encode(text));
  std::vector<int> differences(4, 0);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < differences.size(); ++t)
    threads.emplace_back([&, t] {
      for (int round = 0; round < 20; ++round)
        for (size_t i = 0; i < texts.size(); ++i) {
          differences[t] += first->encode(texts[i]) != expected[i];
          size_t pieces = 0;
          for (int32_t id : second->encode(texts[i]))
            pieces += second->decode({id}, false).empty() ? 0 : 1;
          differences[t] += pieces != texts[i].size();
        }
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(differences, std::vector<int>(4, 0));
}

TEST(SplitRegex, RefusesWhatItDoesNotKnow) {
  std::pair<const char *, const char *> cases[] = {
      {"a(", "at byte 2"},
      {"a)", "unmatched"},
      {"^a", "'^'"},
      {"a$", "'$'"},
      {"a{2}+", "quantifier after"},
      {"a+?", "quantifier after"},
      {"a{3,2}", "this '{'"},
      {"a{x}", "this '{'"},
      {"*a", "'*'"},
      {"(?<=a)b", "'(?<'"},
      {"(?<n>a)", "'(?<'"},
      {"(?i)a", "'(?i'"},
      {"\\p{Han}", "'Han'"},
      {"\\p{L", "property"},
      {"\\pL", "property"},
      {"\\h", "escape"},
      {"\\b", "escape"},
      {"\\1", "escape"},
      {"\\", "'\\'"},
      {"\\x{110000}", "number"},
      {"\\xFF", "number"},
      {"[a", "without its end"},
      {"[]", "empty class"},
      {"[^]", "empty class"},
      {"[z-a]", "range"},
      {"[a-\\d]", "range"},
      {"[[:alpha:]]", "operator"},
      {"[a&&b]", "operator"},
      {"[a-c-e]", "'-'"},
      {"(?i:\u00E9)", "case"},
      {"(?i:\\p{Lu})", "case"},
      {"(?i:[^a])", "case"},
      {"(?i:ss)", "ligature"},
      {"(a|b?)*", "can be empty"},
      {"(?:a){2}", "of a group"},
      {"(?=a)*", "of a group"},
  };
  for (const auto &[pattern, expected] : cases) {
    StatusOr<SplitRegex> regex = SplitRegex::Compile(pattern);
    ASSERT_FALSE(regex.ok()) << pattern;
    EXPECT_NE(regex.status().message().find(expected), absl::string_view::npos)
        << pattern << ": " << regex.status().message();
  }
  EXPECT_FALSE(SplitRegex::Compile(std::string(100, '(') + std::string(100, ')')).ok());
  EXPECT_FALSE(SplitRegex::Compile(std::string(20000, 'a')).ok());
}

} // namespace compressc::test
