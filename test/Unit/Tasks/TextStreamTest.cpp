#include "compressc/runtime/text.h"
#include "runtime/tasks/text_stream.h"
#include <gtest/gtest.h>

namespace compressc {
namespace {

/// Has all 256 bytes, and merges.
const Tokenizer &tokenizer() {
  static std::unique_ptr<Tokenizer> tokenizer = [] {
    auto opened = Tokenizer::FromFile(COMPRESSC_TEST_DIR "/Inputs/models/qwen2/tokenizer.json");
    EXPECT_TRUE(opened.ok()) << opened.status();
    return opened.ok() ? std::move(*opened) : nullptr;
  }();
  return *tokenizer;
}

/// The id of a single byte.
int32_t byteToken(uint8_t byte) {
  for (int32_t id = 0; id < tokenizer().size(); ++id) {
    std::string bytes;
    tokenizer().appendBytes(id, bytes);
    if (bytes == std::string(1, char(byte)))
      return id;
  }
  return -1;
}

std::vector<int32_t> byteTokens(std::string_view text) {
  std::vector<int32_t> tokens;
  for (char byte : text)
    tokens.push_back(byteToken(uint8_t(byte)));
  return tokens;
}

/// The pieces in which the text appears, then "|" if a stop string ended it.
std::vector<std::string> pieces(const std::vector<int32_t> &tokens,
                                const std::vector<std::string> &stops = {}) {
  TextStream stream(tokenizer(), stops);
  std::vector<std::string> result;
  size_t seen = 0;
  auto look = [&] {
    EXPECT_TRUE(IsUtf8(stream.text()));
    if (stream.text().size() > seen)
      result.push_back(std::string(stream.text().substr(seen)));
    seen = stream.text().size();
  };
  for (int32_t token : tokens) {
    bool stopped = stream.push(token);
    look();
    if (stopped) {
      result.push_back("|");
      return result;
    }
  }
  stream.finish();
  look();
  return result;
}

using Pieces = std::vector<std::string>;

TEST(TextStream, ShowsWholeCharactersOnly) {
  EXPECT_EQ(pieces(byteTokens("aé東🙂b")), (Pieces{"a", "é", "東", "🙂", "b"}));
  // Bytes that are no character, and one that never ends.
  EXPECT_EQ(pieces(byteTokens("a\xFFq\xE6\x9Dz\xF0\x9F\x99")),
            (Pieces{"a", "\uFFFD", "q", "\uFFFDz", "\uFFFD"}));
  EXPECT_EQ(pieces(byteTokens("\uFFFDx")), (Pieces{"\uFFFD", "x"}));
}

TEST(TextStream, IsTheDecodedText) {
  uint32_t state = 1;
  for (int round = 0; round < 50; ++round) {
    std::vector<int32_t> tokens; // unknown and special ones too
    for (int i = 0; i < 40; ++i)
      tokens.push_back(int32_t((state = state * 1664525 + 1013904223) >> 8) % 330);
    std::string whole;
    for (const std::string &piece : pieces(tokens))
      whole += piece;
    EXPECT_EQ(whole, tokenizer().decode(tokens));
  }
}

TEST(TextStream, EndsBeforeAStopString) {
  EXPECT_EQ(pieces(byteTokens("abcSTOPx"), {"STOP"}), (Pieces{"a", "b", "c", "|"}));
  EXPECT_EQ(pieces(byteTokens("S"), {"S"}), (Pieces{"|"}));
  EXPECT_EQ(pieces(byteTokens("a東b"), {"東"}), (Pieces{"a", "|"}));
}

TEST(TextStream, HoldsBackWhatMayBecomeOne) {
  EXPECT_EQ(pieces(byteTokens("aSTxSTO"), {"STOP"}), (Pieces{"a", "STx", "STO"}));
  // A beginning inside of a beginning.
  EXPECT_EQ(pieces(byteTokens("ababac!"), {"abac"}), (Pieces{"ab", "|"}));
  EXPECT_EQ(pieces(byteTokens("aab!"), {"aac", "abc"}), (Pieces{"a", "ab!"}));
}

TEST(TextStream, TheStopStringThatEndsFirstWins) {
  EXPECT_EQ(pieces(byteTokens("xabcd"), {"abcd", "bc"}), (Pieces{"x", "a", "|"}));
  EXPECT_EQ(pieces(byteTokens("xabc"), {"c", "abc", "bc"}), (Pieces{"x", "|"})); // the longest
}

TEST(TextStream, DoesNotDependOnHowTheTextIsCut) {
  std::string text = "Answer: A\n\nAnswer: B, the end";
  std::vector<int32_t> merged = tokenizer().encode(text);
  ASSERT_LT(merged.size(), text.size());
  for (const std::vector<std::string> &stops : std::vector<std::vector<std::string>>{
           {}, {"r: B"}, {"\n\nA"}, {"nsw", "swer: A"}, {"end?"}, {"er", "Answer"}}) {
    std::string one, other;
    for (const std::string &piece : pieces(merged, stops))
      one += piece;
    for (const std::string &piece : pieces(byteTokens(text), stops))
      other += piece;
    EXPECT_EQ(one, other);
    EXPECT_EQ(one.ends_with("|"), stops != std::vector<std::string>{} && stops[0] != "end?");
  }
}

TEST(TextStream, StopsMustBeText) {
  EXPECT_TRUE(CheckStops({"a", "東"}).ok());
  for (const char *bad : {"", "\xE6\x9D"})
    EXPECT_EQ(CheckStops({"a", bad}).message(), "a stop string must be UTF-8 text and not empty");
}

} // namespace
} // namespace compressc
