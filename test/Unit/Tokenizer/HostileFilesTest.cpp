// Files that are damaged or ask for what is not there: a clear error, never a crash.
#include "inputs.h"
#include <functional>

namespace compressc::test {

using Json = nlohmann::json;

static std::string errorOf(const std::string &text) {
  StatusOr<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::FromJson(text, "file.json");
  return tokenizer.ok() ? "" : std::string(tokenizer.status().message());
}

TEST(HostileFiles, ErrorsNameTheProblem) {
  auto added = [](Json token) {
    return [token](Json &j) { j["added_tokens"] = Json::array({token}); };
  };
  auto set = [](const char *key, Json value) { return [key, value](Json &j) { j[key] = value; }; };
  auto model = [](const char *key, Json value) {
    return [key, value](Json &j) { j["model"][key] = value; };
  };
  auto token = [](const char *name, Json id) {
    return [name, id](Json &j) { j["model"]["vocab"][name] = id; };
  };
  auto merge = [](Json value) {
    return [value](Json &j) { j["model"]["merges"].push_back(value); };
  };
  auto piece = [](Json item) {
    return [item](Json &j) {
      j["post_processor"] = {
          {"type", "TemplateProcessing"},
          {"single", Json::array({{{"Sequence", {{"id", "A"}}}}, item})},
          {"special_tokens",
           {{"far", {{"ids", {999999}}}}, {"bad", {{"ids", {-1}}}}, {"none", {}}}}};
    };
  };
  auto special = [](const char *name) { return Json{{"SpecialToken", {{"id", name}}}}; };
  auto nested = [](const char *key) {
    Json json = {{"type", "ByteLevel"}};
    for (int i = 0; i < 20; ++i)
      json = {{"type", "Sequence"}, {key, Json::array({json})}};
    return json;
  };

  struct Case {
    std::function<void(Json &)> change;
    const char *expected;
  } cases[] = {
      {set("version", "2.0"), "version '2.0'"},
      {set("version", 1), "version must be a string"},
      {set("model", nullptr), "model: the type ''"},
      {set("model", 3), "model: the type"},
      {model("type", "Unigram"), "model: the type 'Unigram'"},
      {model("type", Json::array()), "type must be a string"},
      {model("vocab", Json::object()), "vocab must be an object"},
      {model("vocab", Json::array({"a"})), "vocab must be an object"},
      {model("merges", nullptr), "merges must be a list"},
      {model("merges", "a b"), "merges must be a list"},
      {model("byte_fallback", true), "byte_fallback"},
      {model("byte_fallback", "no"), "byte_fallback must be true or false"},
      {model("dropout", 0.1), "dropout"},
      {model("unk_token", "<unk>"), "unk_token '<unk>' is not in the vocabulary"},
      {model("continuing_subword_prefix", "##"), "continuing_subword_prefix"},
      {model("end_of_word_suffix", "</w>"), "end_of_word_suffix"},
      {token("zzz", -1), "token 'zzz': the id -1 is out of range"},
      {token("zzz", 1u << 31), "out of range"},
      {token("zzz", uint64_t(1) << 63), "out of range"},
      {token("zzz", (1 << 22)), "out of range"},
      {token("zzz", 1.5), "token 'zzz': the id must be an integer"},
      {token("zzz", "7"), "token 'zzz': the id must be an integer"},
      {token("zzz", Json::object()), "token 'zzz': the id must be an integer"},
      {token("zzz", Json::array({1})), "token 'zzz': the id must be an integer"},
      {token("zzz", nullptr), "token 'zzz': the id must be an integer"},
      {token("zzz", 5), "both have the id 5"},
      {merge("a"), "must be \"left right\""},
      {merge("a b c"), "must be \"left right\""},
      {merge(Json::array({"a"})), "must be \"left right\""},
      {merge(Json::array({"a", "b", "c"})), "must be \"left right\""},
      {merge(Json::array({"a", 1})), "must be \"left right\""},
      {merge(Json::array({Json::array(), "a"})), "must be \"left right\""},
      {merge(Json::object()), "must be \"left right\""},
      {merge(4), "must be \"left right\""},
      {merge("zzz a"), "'zzz' is not in the vocabulary"},
      {merge("q q"), "'qq' is not in the vocabulary"},
      {set("added_tokens", Json::object()), "added_tokens must be a list"},
      {set("added_tokens", Json::array({1})), "added_tokens[0]: content"},
      {added({{"id", 500}}), "added_tokens[0]: content"},
      {added({{"content", "x"}}), "added_tokens[0]: the id"},
      {added({{"content", ""}, {"id", 500}}), "not empty"},
      {added({{"content", std::string(5000, 'x')}, {"id", 500}}), "longer than 1024"},
      {added({{"content", "xx"}, {"id", 1e9}}), "must be an integer"},
      {added({{"content", "xx"}, {"id", 2000000000}}), "out of range"},
      {added({{"content", "xx"}, {"id", -5}}), "out of range"},
      {added({{"content", "xx"}, {"id", 3}}), "has the id 3 of"},
      {added({{"content", "a"}, {"id", 500}}), "but the vocabulary gives it"},
      {added({{"content", "xx"}, {"id", 500}, {"lstrip", 1}}), "lstrip must be true or false"},
      {[](Json &j) {
         Json token = {{"content", "xx"}, {"id", 500}};
         j["added_tokens"] = {token, token};
       },
       "listed twice"},
      {set("normalizer", {{"type", "NFKC"}}), "normalizer: the type 'NFKC'"},
      {set("normalizer", {{"type", "Sequence"}}), "normalizers must be a list"},
      {set("normalizer", "NFC"), "normalizer: the type"},
      {set("normalizer", nested("normalizers")), "normalizer: the type"},
      {set("pre_tokenizer", {{"type", "Metaspace"}}), "pre_tokenizer: the type 'Metaspace'"},
      {set("pre_tokenizer", Json::array()), "pre_tokenizer: the type"},
      {set("pre_tokenizer", nested("pretokenizers")), "inside each other"},
      {set("pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", 1}}), "must be a list"},
      {set("pre_tokenizer", {{"type", "Sequence"},
                             {"pretokenizers", {{{"type", "ByteLevel"}}, {{"type", "Digits"}}}}}),
       "ByteLevel must be the last"},
      {set("pre_tokenizer", {{"type", "Split"}}), "Split: pattern must be"},
      {set("pre_tokenizer", {{"type", "Split"}, {"pattern", {{"Regex", "(?<=a)b"}}}}),
       "the pattern '(?<=a)b': '(?<'"},
      {set("pre_tokenizer",
           {{"type", "Split"}, {"pattern", {{"Regex", "a"}}}, {"behavior", "Sideways"}}),
       "behavior 'Sideways'"},
      {set("post_processor", {{"type", "BertProcessing"}}), "post_processor: the type"},
      {set("post_processor", {{"type", "TemplateProcessing"}}), "single must be a list"},
      {set("post_processor", {{"type", "TemplateProcessing"}, {"single", Json::array()}}),
       "the sequence A once"},
      {set("post_processor", nested("processors")), "inside each other"},
      {piece({{"Sequence", {{"id", "A"}}}}), "the sequence A once"},
      {piece({{"Sequence", {{"id", "B"}}}}), "the sequence A once"},
      {piece("A"), "single must consist of"},
      {piece(special("missing")), "the ids of 'missing'"},
      {piece(special("none")), "the ids of 'none'"},
      {piece(special("far")), "no token has the id 999999"},
      {piece(special("bad")), "out of range"},
      {set("decoder", {{"type", "WordPiece"}}), "decoder: the type 'WordPiece'"},
      {set("decoder", {{"type", "Sequence"}, {"decoders", Json::array()}}), "one decoder"},
      {set("decoder", nested("decoders")), "decoder: the type"},
  };
  Json base = inputJson("tokenizer.json");
  ASSERT_EQ(errorOf(base.dump()), "");
  for (const Case &c : cases) {
    Json json = base;
    c.change(json);
    std::string error = errorOf(json.dump());
    EXPECT_EQ(error.substr(0, 11), "file.json: ") << c.expected;
    EXPECT_NE(error.find(c.expected), std::string::npos) << c.expected << " / " << error;
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  }
}

TEST(HostileFiles, TextsThatAreNotJson) {
  std::string open(1000000, '['), objects;
  for (int i = 0; i < 100000; ++i)
    objects += "{\"a\":";
  std::pair<std::string, const char *> cases[] = {
      {"", "not valid JSON"},
      {"{", "not valid JSON"},
      {"[]", "not a JSON object"},
      {"null", "not a JSON object"},
      {"{} {}", "not valid JSON"},
      {"{\"version\": \"\xFF\"}", "not valid JSON"},
      {std::string("\0\0\0\0", 4), "not valid JSON"},
      {open, "nest deeper"},
      {objects, "nest deeper"},
      {"{\"added_tokens\":" + open, "nest deeper"},
      {"{\"model\":{\"vocab\":{},\"vocab\":{}}}", "twice"},
      {"{\"model\":{\"merges\":[],\"merges\":[]}}", "twice"},
      {"{\"model\":{\"vocab\":{\"a\":0,\"a\":1},\"merges\":[]}}", "listed twice"},
      {"{}", "model: the type"},
  };
  for (const auto &[text, expected] : cases)
    EXPECT_NE(errorOf(text).find(expected), std::string::npos)
        << text.substr(0, 60) << ": " << errorOf(text);
}

// Cut and flipped files load or fail, and what loads can be used.
TEST(HostileFiles, DamagedFilesNeverCrash) {
  std::string text = inputText("tokenizer.json");
  ASSERT_GT(text.size(), 1000u);
  for (size_t size = 0; size + 2 < text.size(); size += 7)
    EXPECT_NE(errorOf(text.substr(0, size)), "");
  uint64_t random = 1;
  auto next = [&](size_t bound) {
    random = random * 6364136223846793005 + 1442695040888963407;
    return size_t(random >> 33) % bound;
  };
  int loaded = 0, refused = 0;
  for (int i = 0; i < 1500; ++i) {
    std::string damaged = text;
    for (size_t k = 0; k <= next(3); ++k)
      damaged[next(damaged.size())] = "\"{}[]:,0919az\\ -."[next(16)];
    StatusOr<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::FromJson(damaged, "file.json");
    ++(tokenizer.ok() ? loaded : refused);
    if (tokenizer.ok())
      (*tokenizer)->decode((*tokenizer)->encode("It's 12 words\nof the text \u4E2D \xFF"));
  }
  EXPECT_GT(loaded, 0);
  EXPECT_GT(refused, 0);
}

} // namespace compressc::test
