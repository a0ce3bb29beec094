#include "compressc/Import/GGUFModel.h"
#include "compressc/runtime/text.h"

#include "nlohmann/json.hpp"
#include <algorithm>
#include <array>
#include <string_view>
#include <unordered_map>

namespace compressc {

namespace {

using Json = nlohmann::ordered_json;

// Numbers of tokenizer.ggml.token_type.
constexpr int64_t normalToken = 1, controlToken = 3, userDefinedToken = 4, byteToken = 6;

constexpr const char *qwenPattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char *llamaPattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";

/// What tokenizer.ggml.pre stands for.
struct Kind {
  std::string_view name;
  const char *pattern; // null: digits one by one, then GPT-2's own pattern
  bool nfc;
  bool ignoreMerges;
  bool addBos; // when the file does not say
  bool sentencePiece = false;
};

constexpr Kind kinds[] = {
    {"smollm", nullptr, false, false, false},
    {"llama-bpe", llamaPattern, false, true, true},
    {"qwen2", qwenPattern, true, false, false},
    {"deepseek-r1-qwen", qwenPattern, false, false, false},
};

/// tokenizer.ggml.model "llama": scores in place of merges.
constexpr Kind sentencePiece = {"", nullptr, false, false, true, true};
constexpr const char *visibleSpace = "\u2581"; // which stands for a space in its tokens

Json replacement(const char *from, const char *to) {
  return {{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
}

Json byteLevel(bool useRegex) {
  Json json;
  json["type"] = "ByteLevel";
  json["add_prefix_space"] = false;
  json["trim_offsets"] = true;
  json["use_regex"] = useRegex;
  return json;
}

Json normalizer(const Kind &kind) {
  return kind.sentencePiece ? replacement(" ", visibleSpace) : kind.nfc ? Json{{"type", "NFC"}} : Json();
}

Json decoder(const Kind &kind) {
  if (!kind.sentencePiece)
    return byteLevel(true);
  Json json;
  json["type"] = "Sequence";
  json["decoders"] = Json::array(
      {replacement(visibleSpace, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}});
  return json;
}

Json preTokenizer(const Kind &kind) {
  if (kind.sentencePiece)
    return nullptr;
  Json split;
  if (kind.pattern) {
    split["type"] = "Split";
    split["pattern"] = {{"Regex", kind.pattern}};
    split["behavior"] = "Isolated";
    split["invert"] = false;
  } else {
    split["type"] = "Digits";
    split["individual_digits"] = true;
  }
  Json json;
  json["type"] = "Sequence";
  json["pretokenizers"] = Json::array({split, byteLevel(!kind.pattern)});
  return json;
}

bool isByteName(std::string_view name) {
  return name.size() == 6 && name.starts_with("<0x") && name.ends_with(">") &&
         name.find_first_not_of("0123456789ABCDEF", 3) == 5;
}

/// The vocabulary and what stands beside it, checked.
class Vocabulary {
public:
  static StatusOr<Vocabulary> Read(const GGUFFile &file) {
    Vocabulary result(file);
    COMPRESSC_RETURN_IF_ERROR(result.readKind());
    COMPRESSC_RETURN_IF_ERROR(result.readTokens());
    return result;
  }

  // `ids` holds views of `texts`.
  Vocabulary(Vocabulary &&) = default;
  Vocabulary &operator=(Vocabulary &&) = default;

  const Kind &kind() const { return *tokenizerKind; }
  const std::vector<std::string> &tokens() const { return texts; }

  /// Tokens that are found in raw text before anything else, in the order of their ids.
  Json addedTokens() const {
    Json added = Json::array();
    for (size_t id = 0; id < types.size(); ++id)
      if (types[id] == controlToken || types[id] == userDefinedToken) {
        Json entry;
        entry["id"] = id;
        addFlags(entry, id);
        added.push_back(std::move(entry));
      }
    return added;
  }

  Json addedTokensDecoder() const {
    Json decoder = Json::object();
    for (size_t id = 0; id < types.size(); ++id)
      if (types[id] == controlToken || types[id] == userDefinedToken)
        // Appended, not looked up: the ids differ, and an ordered object searches from the front.
        addFlags(
            decoder.get_ref<Json::object_t &>().emplace_back(std::to_string(id), Json()).second,
            id);
    return decoder;
  }

  /// The id under `key`; nullopt when the file has none.
  StatusOr<std::optional<int64_t>> special(const std::string &key) const {
    if (!file->has(key))
      return std::optional<int64_t>();
    COMPRESSC_ASSIGN_OR_RETURN(int64_t id, file->getInt(key));
    if (id < 0 || id >= int64_t(texts.size()))
      return Invalid(file->path(), ": metadata ", Quoted(key), " is ", id, " but there are ",
                     texts.size(), " tokens");
    return std::optional<int64_t>(id);
  }

  StatusOr<bool> flag(const std::string &key, bool fallback) const {
    if (!file->has(key))
      return fallback;
    return file->getBool(key);
  }

  /// SentencePiece joins the two neighbours that make the token of the highest score. As merges:
  /// every split of every token, best token first.
  StatusOr<std::vector<std::string>> mergesOfScores() const {
    constexpr const char *key = "tokenizer.ggml.scores";
    COMPRESSC_ASSIGN_OR_RETURN(std::vector<double> scores, file->getFloats(key));
    if (scores.size() != texts.size())
      return Invalid(file->path(), ": metadata ", Quoted(key), " has ", scores.size(),
                     " entries for ", texts.size(), " tokens");
    std::vector<size_t> order;
    for (size_t id = 0; id < texts.size(); ++id)
      if (types[id] == normalToken)
        order.push_back(id);
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
    });
    auto normal = [&](std::string_view text) {
      auto found = ids.find(text);
      return found != ids.end() && types[found->second] == normalToken ? int64_t(found->second) : -1;
    };
    std::vector<std::string> merges;
    for (size_t id : order) {
      std::string_view text = texts[id];
      std::vector<std::array<int64_t, 3>> splits; // left, right, where
      for (size_t at = 1; at < text.size(); ++at) {
        if ((uint8_t(text[at]) & 0xc0) == 0x80) // within a character
          continue;
        int64_t left = normal(text.substr(0, at)), right = normal(text.substr(at));
        if (left >= 0 && right >= 0)
          splits.push_back({left, right, int64_t(at)});
      }
      std::sort(splits.begin(), splits.end());
      for (auto [left, right, at] : splits)
        merges.push_back(Json::array({texts[size_t(left)], texts[size_t(right)]}).dump());
    }
    return merges;
  }

  /// Each merge "a b" must be made of tokens and make one: readers refuse the file otherwise.
  /// As JSON texts.
  StatusOr<std::vector<std::string>> merges() const {
    if (kind().sentencePiece)
      return mergesOfScores();
    constexpr const char *key = "tokenizer.ggml.merges";
    COMPRESSC_ASSIGN_OR_RETURN(std::vector<std::string> merges, file->getStrings(key));
    for (size_t i = 0; i < merges.size(); ++i) {
      std::string_view merge = merges[i];
      size_t space = merge.find(' ');
      bool good = space != std::string_view::npos && ids.count(merge.substr(0, space)) &&
                  ids.count(merge.substr(space + 1)) &&
                  ids.count(std::string(merge.substr(0, space)).append(merge.substr(space + 1)));
      if (!good)
        return Invalid(file->path(), ": metadata ", Quoted(key), ": entry ", i, ", ", Quoted(merge),
                       ", is not a pair of tokens that make a token");
      merges[i] = Json(merges[i]).dump();
    }
    return merges;
  }

private:
  explicit Vocabulary(const GGUFFile &file) : file(&file) {}

  Status readKind() {
    COMPRESSC_ASSIGN_OR_RETURN(std::string model, file->getString("tokenizer.ggml.model"));
    if (model == "llama") {
      tokenizerKind = &sentencePiece;
      COMPRESSC_ASSIGN_OR_RETURN(bool prefix, flag("tokenizer.ggml.add_space_prefix", true));
      if (prefix)
        return Invalid(file->path(), ": the tokenizer puts a space before every text, which is not "
                                     "supported");
      return absl::OkStatus();
    }
    if (model != "gpt2")
      return Invalid(file->path(), ": tokenizer model ", Quoted(model),
                     " is not supported; byte-level BPE, 'gpt2', and SentencePiece's, 'llama', are");
    COMPRESSC_ASSIGN_OR_RETURN(std::string pre, file->getString("tokenizer.ggml.pre"));
    for (const Kind &kind : kinds)
      if (kind.name == pre)
        tokenizerKind = &kind;
    if (!tokenizerKind)
      return Invalid(file->path(), ": pre-tokenizer ", Quoted(pre),
                     " is not supported; smollm, llama-bpe, qwen2 and deepseek-r1-qwen are");
    return absl::OkStatus();
  }

  Status readTokens() {
    constexpr const char *key = "tokenizer.ggml.tokens", *typeKey = "tokenizer.ggml.token_type";
    COMPRESSC_ASSIGN_OR_RETURN(texts, file->getStrings(key));
    if (texts.empty())
      return Invalid(file->path(), ": metadata ", Quoted(key), " is empty");
    ids.reserve(texts.size());
    for (size_t id = 0; id < texts.size(); ++id) {
      if (!IsUtf8(texts[id]))
        return Invalid(file->path(), ": metadata ", Quoted(key), ": token ", id, " is not UTF-8");
      auto [it, inserted] = ids.emplace(texts[id], id);
      if (!inserted)
        return Invalid(file->path(), ": metadata ", Quoted(key), ": tokens ", it->second, " and ",
                       id, " are both ", Quoted(texts[id]));
    }
    if (!file->has(typeKey)) {
      types.assign(texts.size(), 1);
      return absl::OkStatus();
    }
    COMPRESSC_ASSIGN_OR_RETURN(types, file->getInts(typeKey));
    if (types.size() != texts.size())
      return Invalid(file->path(), ": metadata ", Quoted(typeKey), " has ", types.size(),
                     " entries for ", texts.size(), " tokens");
    for (size_t id = 0; id < types.size(); ++id)
      if (kind().sentencePiece && types[id] == byteToken && !isByteName(texts[id]))
        return Invalid(file->path(), ": metadata ", Quoted(key), ": the byte ", id, " is ",
                       Quoted(texts[id]), ", not <0x00> to <0xFF>");
    for (size_t id = 0; id < types.size(); ++id)
      if ((types[id] == controlToken || types[id] == userDefinedToken) && texts[id].empty())
        return Invalid(file->path(), ": metadata ", Quoted(key), ": the special token ", id,
                       " is empty");
    return absl::OkStatus();
  }

  void addFlags(Json &entry, size_t id) const {
    entry["content"] = texts[id];
    for (const char *flag : {"single_word", "lstrip", "rstrip", "normalized"})
      entry[flag] = false;
    entry["special"] = types[id] == controlToken;
  }

  const GGUFFile *file;
  const Kind *tokenizerKind = nullptr;
  std::vector<std::string> texts;
  std::vector<int64_t> types;
  std::unordered_map<std::string_view, size_t> ids;
};

Json specialInTemplate(const std::string &token, int type) {
  return {{"SpecialToken", {{"id", token}, {"type_id", type}}}};
}

Json textInTemplate(const char *name, int type) {
  return {{"Sequence", {{"id", name}, {"type_id", type}}}};
}

/// Byte-level offsets, and the template that puts BOS first when the model wants it.
StatusOr<Json> postProcessor(const GGUFFile &file, const Vocabulary &vocabulary) {
  COMPRESSC_ASSIGN_OR_RETURN(
      bool addBos, vocabulary.flag("tokenizer.ggml.add_bos_token", vocabulary.kind().addBos));
  COMPRESSC_ASSIGN_OR_RETURN(bool addEos, vocabulary.flag("tokenizer.ggml.add_eos_token", false));
  if (addEos)
    return Invalid(file.path(), ": the tokenizer ends every text with EOS, which is not supported");
  if (!addBos)
    return vocabulary.kind().sentencePiece ? Json() : byteLevel(true);
  COMPRESSC_ASSIGN_OR_RETURN(std::optional<int64_t> bos,
                             vocabulary.special("tokenizer.ggml.bos_token_id"));
  if (!bos)
    return Invalid(file.path(), ": the tokenizer begins every text with BOS but metadata "
                                "'tokenizer.ggml.bos_token_id' is missing");
  const std::string &token = vocabulary.tokens()[size_t(*bos)];
  Json sequence;
  sequence["type"] = "TemplateProcessing";
  sequence["single"] = Json::array({specialInTemplate(token, 0), textInTemplate("A", 0)});
  sequence["pair"] = Json::array({specialInTemplate(token, 0), textInTemplate("A", 0),
                                  specialInTemplate(token, 1), textInTemplate("B", 1)});
  Json description;
  description["id"] = token;
  description["ids"] = Json::array({*bos});
  description["tokens"] = Json::array({token});
  sequence["special_tokens"] = Json::object();
  sequence["special_tokens"][token] = description;
  if (vocabulary.kind().sentencePiece)
    return sequence;
  Json json;
  json["type"] = "Sequence";
  json["processors"] = Json::array({byteLevel(true), sequence});
  return json;
}

void appendString(std::string &text, const std::string &value) { text += Json(value).dump(); }

} // namespace

StatusOr<std::string> GGUFTokenizer(const GGUFFile &file) {
  COMPRESSC_ASSIGN_OR_RETURN(Vocabulary vocabulary, Vocabulary::Read(file));
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<std::string> merges, vocabulary.merges());
  COMPRESSC_ASSIGN_OR_RETURN(Json post, postProcessor(file, vocabulary));
  const Kind &kind = vocabulary.kind();

  Json outer;
  outer["version"] = "1.0";
  outer["truncation"] = nullptr;
  outer["padding"] = nullptr;
  outer["added_tokens"] = vocabulary.addedTokens();
  outer["normalizer"] = normalizer(kind);
  outer["pre_tokenizer"] = preTokenizer(kind);
  outer["post_processor"] = post;
  outer["decoder"] = decoder(kind);
  std::string text = outer.dump();
  text.pop_back();

  // The rest is written as text: an ordered JSON object of 150,000 members takes quadratic time.
  text += R"(,"model":{"type":"BPE","dropout":null,"unk_token":null,)"
          R"("continuing_subword_prefix":null,"end_of_word_suffix":null,"fuse_unk":false,)"
          R"("byte_fallback":)";
  text += kind.sentencePiece ? R"(true,"equal_splits":true)" : "false";
  text += R"(,"ignore_merges":)";
  text += kind.ignoreMerges ? "true" : "false";
  text += R"(,"vocab":{)";
  for (size_t id = 0; id < vocabulary.tokens().size(); ++id) {
    text += id ? "," : "";
    appendString(text, vocabulary.tokens()[id]);
    text += ":" + std::to_string(id);
  }
  text += R"(},"merges":[)";
  for (size_t i = 0; i < merges.size(); ++i) {
    text += i ? "," : "";
    text += merges[i];
  }
  text += "]}}\n";
  return text;
}

StatusOr<std::string> GGUFTokenizerConfig(const GGUFFile &file) {
  COMPRESSC_ASSIGN_OR_RETURN(Vocabulary vocabulary, Vocabulary::Read(file));
  Json config;
  config["tokenizer_class"] = "PreTrainedTokenizerFast";
  constexpr std::pair<const char *, const char *> names[] = {
      {"bos_token", "tokenizer.ggml.bos_token_id"},
      {"eos_token", "tokenizer.ggml.eos_token_id"},
      {"pad_token", "tokenizer.ggml.padding_token_id"},
      {"unk_token", "tokenizer.ggml.unknown_token_id"},
  };
  for (const auto &[name, key] : names) {
    COMPRESSC_ASSIGN_OR_RETURN(std::optional<int64_t> id, vocabulary.special(key));
    if (id)
      config[name] = vocabulary.tokens()[size_t(*id)];
  }
  config["added_tokens_decoder"] = vocabulary.addedTokensDecoder();
  config["clean_up_tokenization_spaces"] = false;
  COMPRESSC_ASSIGN_OR_RETURN(std::string architecture, file.getString("general.architecture"));
  if (std::string key = architecture + ".context_length"; file.has(key)) {
    COMPRESSC_ASSIGN_OR_RETURN(config["model_max_length"], file.getInt(key));
  }
  if (file.has("tokenizer.chat_template")) {
    COMPRESSC_ASSIGN_OR_RETURN(std::string chat, file.getString("tokenizer.chat_template"));
    if (!IsUtf8(chat))
      return Invalid(file.path(), ": metadata 'tokenizer.chat_template' is not UTF-8");
    config["chat_template"] = chat;
  }
  return config.dump(2) + "\n";
}

} // namespace compressc
