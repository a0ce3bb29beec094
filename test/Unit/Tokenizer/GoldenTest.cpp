// The same ids, texts, cuts and NFC forms as the tokenizers package gives.
#include "../../../runtime/base/json_fields.h"
#include "../../../runtime/text/pretokenizer.h"
#include "../../../runtime/text/unicode.h"
#include "inputs.h"

namespace compressc::test {

TEST(Golden, IdsAndTexts) {
  nlohmann::json base = inputJson("tokenizer.json"), golden = inputJson("golden.json");
  ASSERT_GE(golden["variants"].size(), 9u);
  for (const nlohmann::json &variant : golden["variants"]) {
    SCOPED_TRACE(variant["name"].get<std::string>());
    std::unique_ptr<Tokenizer> tokenizer = load(changed(base, variant["changes"]));
    ASSERT_TRUE(tokenizer);
    ASSERT_EQ(variant["cases"].size(), golden["texts"].size());
    for (size_t i = 0; i < golden["texts"].size(); ++i) {
      const nlohmann::json &expected = variant["cases"][i];
      auto text = golden["texts"][i].get<std::string>();
      SCOPED_TRACE(Quoted(text));
      auto ids = expected["ids"].get<std::vector<int32_t>>();
      EXPECT_EQ(tokenizer->encode(text), ids);
      EXPECT_EQ(tokenizer->encode(text), ids) << "the second time";
      EXPECT_EQ(tokenizer->encode(text, false), expected.value("without", ids));
      std::string decoded = expected.value("decoded", text);
      EXPECT_EQ(tokenizer->decode(ids), decoded);
      EXPECT_EQ(tokenizer->decode(ids, false), expected.value("all", decoded));
    }
  }
}

// Merges are written as "left right" or as a list of both.
TEST(Golden, BothSpellingsOfMerges) {
  nlohmann::json base = inputJson("tokenizer.json"), other = base;
  for (nlohmann::json &merge : other["model"]["merges"]) {
    ASSERT_TRUE(merge.is_array());
    merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  }
  std::unique_ptr<Tokenizer> pairs = load(base), strings = load(other);
  ASSERT_TRUE(pairs && strings);
  nlohmann::json golden = inputJson("golden.json");
  for (const nlohmann::json &text : golden["texts"])
    EXPECT_EQ(pairs->encode(text.get<std::string>()), strings->encode(text.get<std::string>()));
}

TEST(Golden, Cuts) {
  nlohmann::json golden = inputJson("golden.json");
  ASSERT_GE(golden["cuts"].size(), 20u);
  for (const nlohmann::json &cut : golden["cuts"]) {
    SCOPED_TRACE(cut["split"].dump());
    StatusOr<PreTokenizer> preTokenizer = PreTokenizer::FromJson(cut["split"]);
    ASSERT_TRUE(preTokenizer.ok()) << preTokenizer.status().message();
    for (size_t i = 0; i < golden["texts"].size(); ++i) {
      auto text = golden["texts"][i].get<std::string>();
      std::vector<std::string> pieces;
      SplitRegex::State state;
      preTokenizer->split(text, state, [&](std::string_view piece) { pieces.emplace_back(piece); });
      EXPECT_EQ(pieces, cut["pieces"][i].get<std::vector<std::string>>()) << Quoted(text);
    }
  }
}

TEST(Golden, Nfc) {
  nlohmann::json golden = inputJson("golden.json");
  ASSERT_GE(golden["nfc"].size(), 20u);
  for (const nlohmann::json &pair : golden["nfc"]) {
    std::string storage, text = pair[0].get<std::string>();
    EXPECT_EQ(unicode::toNfc(text, storage), pair[1].get<std::string>()) << Quoted(text);
  }
}

} // namespace compressc::test
