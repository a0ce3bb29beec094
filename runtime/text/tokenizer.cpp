#include "compressc/runtime/tokenizer.h"
#include "added_tokens.h"
#include "bpe.h"
#include "compressc/runtime/safetensors.h"
#include "../base/json_fields.h"
#include "normalizer.h"
#include "post_processor.h"
#include "pretokenizer.h"
#include "token_decoder.h"
#include "unicode.h"
#include <algorithm>

namespace compressc {

struct Tokenizer::Impl {
  /// What an id decodes to.
  struct Piece {
    std::string text;
    bool known = false, special = false;
  };

  Status load(TokenizerJson &&file);
  Status readAddedTokens(const nlohmann::json &json);
  Piece &addPiece(std::string_view content, int32_t id);
  Status checkPostProcessor() const;

  BpeModel model;
  PreTokenizer preTokenizer;
  PostProcessor postProcessor;
  AddedTokenMatcher rawTokens, normalizedTokens;
  absl::flat_hash_map<std::string, int32_t> addedIds;
  Normalizer normalizer;
  TokenDecoder decoder;
  std::vector<Piece> pieces; // by id
};

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
Tokenizer::~Tokenizer() = default;

StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::FromJson(std::string_view json,
                                                         std::string_view name) {
  std::string context(name);
  StatusOr<TokenizerJson> file = TokenizerJson::Parse(json);
  if (!file.ok())
    return WithContext(file.status(), context);
  auto impl = std::make_unique<Impl>();
  COMPRESSC_RETURN_IF_ERROR(WithContext(impl->load(*std::move(file)), context));
  return std::unique_ptr<Tokenizer>(new Tokenizer(std::move(impl)));
}

StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::FromFile(const std::string &path) {
  COMPRESSC_ASSIGN_OR_RETURN(std::string json, ReadFile(path, TokenizerJson::maxBytes));
  return FromJson(json, path);
}

// "truncation" and "padding" are left aside: they are a caller's settings that the file happens to
// remember, and transformers switches them off as well unless it is asked for them.
Status Tokenizer::Impl::load(TokenizerJson &&file) {
  const nlohmann::json &json = file.root;
  COMPRESSC_ASSIGN_OR_RETURN(std::string version, StringField(json, "version"));
  if (version != "1.0" && !version.empty())
    return Invalid("the version ", Quoted(version), " is not known (1.0 is)");
  const nlohmann::json &modelJson = Field(json, "model");
  COMPRESSC_ASSIGN_OR_RETURN(std::string type, StringField(modelJson, "type"));
  // Old files leave the type out.
  if (type != "BPE" && !(type.empty() && file.hasMerges))
    return Invalid("model: the type ", Quoted(type), " is not supported (only BPE is)");

  COMPRESSC_ASSIGN_OR_RETURN(normalizer, Normalizer::FromJson(Field(json, "normalizer")));
  COMPRESSC_ASSIGN_OR_RETURN(preTokenizer, PreTokenizer::FromJson(Field(json, "pre_tokenizer")));
  COMPRESSC_ASSIGN_OR_RETURN(postProcessor, PostProcessor::FromJson(Field(json, "post_processor")));
  COMPRESSC_ASSIGN_OR_RETURN(decoder, TokenDecoder::FromJson(Field(json, "decoder")));
  StatusOr<BpeModel> bpe = BpeModel::FromJson(modelJson, std::move(file), preTokenizer.byteLevel());
  if (!bpe.ok())
    return WithContext(bpe.status(), "model");
  model = *std::move(bpe);
  COMPRESSC_RETURN_IF_ERROR(readAddedTokens(Field(json, "added_tokens")));
  return checkPostProcessor();
}

Status Tokenizer::Impl::readAddedTokens(const nlohmann::json &json) {
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<AddedToken> added, AddedTokensFromJson(json));
  for (const auto &[content, id] : model.vocabulary())
    addPiece(content, id);
  for (const AddedToken &token : added) {
    int32_t inModel = FindToken(model.vocabulary(), token.content);
    if (inModel >= 0 && inModel != token.id)
      return Invalid("added token ", Quoted(token.content), " has the id ", token.id,
                     ", but the vocabulary gives it ", inModel);
    if (!addedIds.emplace(token.content, token.id).second)
      return Invalid("added token ", Quoted(token.content), " is listed twice");
    if (inModel < 0 && size_t(token.id) < pieces.size() && pieces[token.id].known)
      return Invalid("added token ", Quoted(token.content), " has the id ", token.id, " of ",
                     Quoted(pieces[token.id].text));
    // Decoding gives back the form that was looked for, and skips by content: the reference does
    // so.
    std::string storage;
    std::string_view form = token.content;
    if (token.normalized)
      form = normalizer.apply(form, storage);
    addPiece(form, token.id).special = token.special && form == token.content;
  }
  // Special tokens come first where two tokens have the same normalized form.
  for (bool special : {true, false})
    for (const AddedToken &token : added) {
      std::string storage;
      if (token.special != special)
        continue;
      if (!token.normalized)
        rawTokens.add(token, token.content);
      else
        normalizedTokens.add(token, normalizer.apply(token.content, storage));
    }
  return absl::OkStatus();
}

Tokenizer::Impl::Piece &Tokenizer::Impl::addPiece(std::string_view content, int32_t id) {
  if (size_t(id) >= pieces.size())
    pieces.resize(std::max(size_t(id) + 1, model.vocabulary().size()));
  pieces[id].text = decoder.bytes(content);
  pieces[id].known = true;
  return pieces[id];
}

Status Tokenizer::Impl::checkPostProcessor() const {
  for (const std::vector<int32_t> *ids : {&postProcessor.prefix, &postProcessor.suffix})
    for (int32_t id : *ids)
      if (size_t(id) >= pieces.size() || !pieces[id].known)
        return Invalid("post_processor: no token has the id ", id);
  return absl::OkStatus();
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool addSpecialTokens) const {
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 3 + 8);
  if (addSpecialTokens)
    ids = impl->postProcessor.prefix;

  BpeModel::Scratch scratch;
  SplitRegex::State state;
  auto encodeWord = [&](std::string_view word) { impl->model.encodeWord(word, scratch, ids); };
  std::string valid, composed;
  impl->rawTokens.split(unicode::replaceInvalid(text, valid), [&](const AddedToken *rawToken,
                                                                  std::string_view raw) {
    if (rawToken) {
      ids.push_back(rawToken->id);
      return;
    }
    std::string_view normal = impl->normalizer.apply(raw, composed);
    impl->normalizedTokens.split(normal, [&](const AddedToken *token, std::string_view stretch) {
      if (token)
        ids.push_back(token->id);
      else
        impl->preTokenizer.split(stretch, state, encodeWord);
    });
  });

  if (addSpecialTokens)
    ids.insert(ids.end(), impl->postProcessor.suffix.begin(), impl->postProcessor.suffix.end());
  return ids;
}

void Tokenizer::appendBytes(int32_t id, std::string &bytes, bool skipSpecialTokens) const {
  if (id < 0 || size_t(id) >= impl->pieces.size())
    return;
  const Impl::Piece &piece = impl->pieces[id];
  if (!piece.known || (piece.special && skipSpecialTokens))
    return;
  // Without a decoder the format joins tokens by spaces.
  if (impl->decoder.joinsBySpaces() && !bytes.empty())
    bytes += ' ';
  bytes += piece.text;
}

std::string Tokenizer::decode(absl::Span<const int32_t> ids, bool skipSpecialTokens) const {
  std::string bytes;
  for (int32_t id : ids)
    appendBytes(id, bytes, skipSpecialTokens);
  std::string storage;
  return std::string(unicode::replaceInvalid(bytes, storage));
}

int32_t Tokenizer::tokenId(std::string_view token) const {
  int32_t id = FindToken(impl->model.vocabulary(), token);
  return id >= 0 ? id : FindToken(impl->addedIds, token);
}

int64_t Tokenizer::size() const { return int64_t(impl->pieces.size()); }

} // namespace compressc
