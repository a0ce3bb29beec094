#include "tokenizer_json.h"
#include "bpe.h"
#include "../base/json_fields.h"

namespace compressc {

static constexpr size_t maxDepth = 64;

namespace {
/// Receives the parser's events. A member function returns false to stop, with `error` set.
class Handler {
public:
  using json = nlohmann::json;
  TokenizerJson result;
  Status error;

  bool null() { return value(nullptr); }
  bool boolean(bool v) { return value(v); }
  bool number_integer(int64_t v) { return value(v); }
  bool number_unsigned(uint64_t v) { return value(v); }
  bool number_float(double v, const std::string &) { return value(v); }
  bool string(std::string &v) { return value(std::move(v)); }
  bool binary(json::binary_t &) { return stop(Invalid("not JSON")); }

  bool start_object(size_t) {
    if (where == Place::Vocabulary || where == Place::Merges || where == Place::Merge)
      return unexpected();
    if (isModelMember("vocab"))
      return startList(Place::Vocabulary, result.hasVocabulary);
    return open(json::object());
  }
  bool key(std::string &v) {
    lastKey = std::move(v);
    return true;
  }
  bool end_object() { return close(); }

  bool start_array(size_t) {
    if (where == Place::Merges) {
      where = Place::Merge;
      sides = 0;
      return true;
    }
    if (where != Place::Tree)
      return unexpected();
    if (isModelMember("merges"))
      return startList(Place::Merges, result.hasMerges);
    return open(json::array());
  }
  bool end_array() {
    if (where != Place::Merge)
      return close();
    where = Place::Merges;
    return sides == 2 || unexpected();
  }

  bool parse_error(size_t position, const std::string &, const nlohmann::detail::exception &) {
    return stop(Invalid("not valid JSON at byte ", position, "; get the tokenizer.json again"));
  }

private:
  /// What the parser is inside of.
  enum class Place { Tree, Vocabulary, Merges, Merge };

  bool stop(Status status) {
    error = std::move(status);
    return false;
  }

  bool unexpected() {
    if (where == Place::Vocabulary)
      return stop(Invalid("model: vocab: token ", Quoted(lastKey), ": the id must be an integer"));
    return stop(Invalid("model: merges[", result.mergeEnds.size() / 2,
                        "] must be \"left right\" or [\"left\", \"right\"]"));
  }

  bool isModelMember(std::string_view name) const {
    return parents.size() == 2 && modelIsOpen && lastKey == name;
  }

  bool startList(Place place, bool &seen) {
    if (seen)
      return stop(Invalid("model: ", Quoted(lastKey), " is there twice"));
    seen = true;
    where = place;
    return true;
  }

  json *add(json &&v) {
    if (parents.empty()) {
      result.root = std::move(v);
      return &result.root;
    }
    json &parent = *parents.back();
    if (parent.is_array()) {
      parent.push_back(std::move(v));
      return &parent.back();
    }
    return &(parent[lastKey] = std::move(v));
  }

  bool open(json &&v) {
    if (parents.size() >= maxDepth)
      return stop(Invalid("brackets nest deeper than ", maxDepth));
    if (parents.size() == 1)
      modelIsOpen = lastKey == "model";
    parents.push_back(add(std::move(v)));
    return true;
  }

  bool close() {
    if (where == Place::Tree)
      parents.pop_back();
    where = Place::Tree;
    return true;
  }

  template <typename T> bool value(T &&v) {
    if constexpr (std::is_same_v<std::decay_t<T>, std::string>) {
      if (where == Place::Merges)
        return addMerge(v);
      if (where == Place::Merge) {
        addSide(v);
        return ++sides <= 2 || unexpected();
      }
    }
    if (where == Place::Tree) {
      add(std::forward<T>(v));
      return true;
    }
    if (where != Place::Vocabulary)
      return unexpected();
    StatusOr<int32_t> id = TokenIdFromJson(json(std::forward<T>(v)));
    if (!id.ok())
      return stop(WithContext(id.status(), absl::StrCat("model: vocab: token ", Quoted(lastKey))));
    result.vocabulary.emplace_back(std::move(lastKey), *id);
    return true;
  }

  bool addMerge(std::string_view both) {
    size_t space = both.find(' ');
    if (space == std::string_view::npos || both.find(' ', space + 1) != std::string_view::npos)
      return unexpected();
    addSide(both.substr(0, space));
    addSide(both.substr(space + 1));
    return true;
  }

  void addSide(std::string_view side) {
    result.mergeText += side;
    result.mergeEnds.push_back(uint32_t(result.mergeText.size()));
  }

  Place where = Place::Tree;
  std::vector<json *> parents;
  std::string lastKey;
  bool modelIsOpen = false;
  int sides = 0;
};
} // namespace

StatusOr<TokenizerJson> TokenizerJson::Parse(std::string_view text) {
  if (text.size() > maxBytes)
    return Invalid("larger than ", maxBytes, " bytes, not a tokenizer.json");
  Handler handler;
  if (!nlohmann::json::sax_parse(text, &handler))
    return handler.error;
  if (!handler.result.root.is_object())
    return Invalid("not a JSON object; get the tokenizer.json again");
  return std::move(handler.result);
}

} // namespace compressc
