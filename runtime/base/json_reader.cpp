#include "json_reader.h"
#include <algorithm>

namespace compressc {

using nlohmann::json;

static constexpr size_t maxText = size_t(1) << 28;

StatusOr<json> ParseJson(std::string_view text, std::string_view where) {
  if (text.size() > maxText)
    return Invalid(where, ": ", text.size(), " bytes of JSON, at most ", maxText, " are allowed");
  json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded())
    return Invalid(where, ": not valid JSON");
  return value;
}

StatusOr<int64_t> JsonInteger(const json &value, std::string_view where, int64_t least,
                              int64_t most) {
  if (!value.is_number_integer())
    return Invalid(where, ": expected an integer");
  // What does not fit int64 is out of every range, so it may not wrap around into one.
  bool wraps = value.is_number_unsigned() && value.get<uint64_t>() > uint64_t(INT64_MAX);
  int64_t number = wraps ? INT64_MAX : value.get<int64_t>();
  if (wraps || number < least || number > most)
    return Invalid(where, ": ", value.dump(), " is not in ", least, "..", most);
  return number;
}

StatusOr<std::string> JsonString(const json &value, std::string_view where) {
  if (!value.is_string())
    return Invalid(where, ": expected a string");
  return value.get<std::string>();
}

StatusOr<JsonObject> JsonObject::From(const json &value, std::string where,
                                      std::initializer_list<std::string_view> known) {
  if (!value.is_object())
    return Invalid(where, ": expected an object");
  for (auto it = value.begin(); it != value.end(); ++it)
    if (std::find(known.begin(), known.end(), it.key()) == known.end())
      return Invalid(where, ": unknown member \"", it.key().substr(0, 64), "\"");
  return JsonObject(value, std::move(where));
}

const json *JsonObject::find(std::string_view key) const {
  auto it = object->find(key);
  return it == object->end() ? nullptr : &*it;
}

StatusOr<const json *> JsonObject::get(std::string_view key) const {
  if (const json *value = find(key))
    return value;
  return Invalid(where(key), " is missing");
}

StatusOr<int64_t> JsonObject::integer(std::string_view key, int64_t least, int64_t most,
                                      std::optional<int64_t> fallback) const {
  if (fallback && !find(key))
    return *fallback;
  COMPRESSC_ASSIGN_OR_RETURN(const json *value, get(key));
  return JsonInteger(*value, where(key), least, most);
}

StatusOr<bool> JsonObject::boolean(std::string_view key, std::optional<bool> fallback) const {
  if (fallback && !find(key))
    return *fallback;
  COMPRESSC_ASSIGN_OR_RETURN(const json *value, get(key));
  if (!value->is_boolean())
    return Invalid(where(key), ": expected true or false");
  return value->get<bool>();
}

StatusOr<std::string> JsonObject::string(std::string_view key,
                                         std::optional<std::string> fallback) const {
  if (fallback && !find(key))
    return *fallback;
  COMPRESSC_ASSIGN_OR_RETURN(const json *value, get(key));
  return JsonString(*value, where(key));
}

StatusOr<const json *> JsonObject::array(std::string_view key, size_t limit) const {
  static const json empty = json::array();
  const json *value = find(key);
  if (!value)
    return &empty;
  if (!value->is_array())
    return Invalid(where(key), ": expected an array");
  if (value->size() > limit)
    return Invalid(where(key), ": ", value->size(), " entries, at most ", limit, " are allowed");
  return value;
}

} // namespace compressc
