// Vocabularies of SentencePiece: against a slow reference that joins the best pair, leftmost first.
#include "inputs.h"
#include <array>
#include <random>

namespace compressc::test {
namespace {

using nlohmann::json;

/// The bytes, then tokens from the best to the worst.
struct Vocabulary {
  std::vector<std::string> tokens;
  size_t firstPiece = 256;

  explicit Vocabulary(const std::vector<std::string> &pieces) {
    for (int byte = 0; byte < 256; ++byte) {
      std::array<char, 8> name{};
      std::snprintf(name.data(), name.size(), "<0x%02X>", unsigned(byte));
      tokens.emplace_back(name.data());
    }
    tokens.insert(tokens.end(), pieces.begin(), pieces.end());
  }
  int find(const std::string &text) const {
    auto found = std::find(tokens.begin() + int64_t(firstPiece), tokens.end(), text);
    return found == tokens.end() ? -1 : int(found - tokens.begin());
  }

  json file() const {
    json result = {{"version", "1.0"},
                   {"added_tokens", json::array()},
                   {"normalizer",
                    {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}}},
                   {"pre_tokenizer", nullptr},
                   {"post_processor", nullptr},
                   {"decoder",
                    {{"type", "Sequence"},
                     {"decoders",
                      {{{"type", "Replace"}, {"pattern", {{"String", "▁"}}}, {"content", " "}},
                       {{"type", "ByteFallback"}},
                       {{"type", "Fuse"}}}}}}};
    json &model = result["model"];
    model = {{"type", "BPE"}, {"byte_fallback", true}, {"equal_splits", true},
             {"merges", json::array()}};
    for (size_t id = 0; id < tokens.size(); ++id) {
      model["vocab"][tokens[id]] = id;
      for (size_t at = 1; id >= firstPiece && at < tokens[id].size(); ++at) {
        std::string left = tokens[id].substr(0, at), right = tokens[id].substr(at);
        if (find(left) >= 0 && find(right) >= 0)
          model["merges"].push_back({left, right});
      }
    }
    return result;
  }

  std::vector<int32_t> encode(const std::string &text) const {
    std::vector<std::string> symbols;
    for (unsigned char c : text) {
      if (c == ' ')
        symbols.emplace_back("▁");
      else if ((c & 0xC0) == 0x80)
        symbols.back() += char(c);
      else
        symbols.emplace_back(1, char(c));
    }
    for (;;) {
      size_t best = symbols.size();
      int joined = -1;
      for (size_t i = 0; i + 1 < symbols.size(); ++i)
        if (int id = find(symbols[i] + symbols[i + 1]); id >= 0 && (joined < 0 || id < joined)) {
          joined = id;
          best = i;
        }
      if (joined < 0)
        break;
      symbols[best] += symbols[best + 1];
      symbols.erase(symbols.begin() + int64_t(best) + 1);
    }
    std::vector<int32_t> ids;
    for (const std::string &symbol : symbols)
      if (int id = find(symbol); id >= 0)
        ids.push_back(id);
      else
        for (unsigned char byte : symbol)
          ids.push_back(byte);
    return ids;
  }
};

TEST(SentencePiece, JoinsTheBestPairLeftmostFirst) {
  Vocabulary vocabulary({"▁a", "aa", "ab", "aaa", "▁▁", "ba", "aaab", "bab", "é▁", "a", "b", "▁", "é"});
  std::unique_ptr<Tokenizer> tokenizer = load(vocabulary.file());
  ASSERT_TRUE(tokenizer);
  std::mt19937 random(7);
  const char *letters[] = {"a", "a", "a", "b", " ", "é", "日", "😀", "\n"};
  for (int i = 0; i < 300; ++i) {
    std::string text;
    for (int length = int(random() % 30); length > 0; --length)
      text += letters[random() % std::size(letters)];
    std::vector<int32_t> ids = tokenizer->encode(text);
    EXPECT_EQ(ids, vocabulary.encode(text)) << text;
    EXPECT_EQ(tokenizer->decode(ids), text);
  }
}

TEST(SentencePiece, BytesOfACharacterMayComeOneByOne) {
  std::unique_ptr<Tokenizer> tokenizer = load(Vocabulary({"a", "▁"}).file());
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(tokenizer->encode("a é"), (std::vector<int32_t>{256, 257, 0xC3, 0xA9}));
  std::string bytes;
  for (int32_t id : {256, 257, 0xC3, 0xA9})
    tokenizer->appendBytes(id, bytes);
  EXPECT_EQ(bytes, "a é");
  EXPECT_EQ(tokenizer->decode({0xC3, 256}), "\uFFFDa");
}

} // namespace
} // namespace compressc::test
