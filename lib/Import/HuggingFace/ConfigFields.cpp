#include "ConfigFields.h"
#include "compressc/runtime/text.h"
#include <cmath>

namespace compressc {

StatusOr<ConfigJson> ParseConfigObject(const std::string &text, const std::string &where) {
  constexpr int deepest = 32;
  bool tooDeep = false;
  auto limitDepth = [&](int depth, ConfigJson::parse_event_t, ConfigJson &) {
    tooDeep |= depth > deepest;
    return !tooDeep;
  };
  ConfigJson value = ConfigJson::parse(text, limitDepth, /*allow_exceptions=*/false);
  if (tooDeep)
    return Invalid(where, ": nested more than ", deepest, " deep");
  // The parser takes a NUL for the end of the text.
  if (value.is_discarded() || text.find('\0') != std::string::npos)
    return Invalid(where, ": not valid JSON");
  if (!value.is_object())
    return Invalid(where, ": expected an object at the top");
  return value;
}

std::string ShownValue(const ConfigJson &value) {
  if (value.is_string())
    return Quoted(value.get_ref<const std::string &>());
  if (value.is_structured())
    return value.is_array() ? "a list" : "an object";
  return value.dump();
}

const ConfigJson *ConfigFields::find(const std::string &key) const {
  auto it = object->find(key);
  return it == object->end() || it->is_null() ? nullptr : &*it;
}

bool ConfigFields::isNull(const std::string &key) const {
  auto it = object->find(key);
  return it != object->end() && it->is_null();
}

static bool isIntegerIn(const ConfigJson &value, int64_t least, int64_t most) {
  // What does not fit int64 must not wrap around into the range.
  if (!value.is_number_integer() ||
      (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t(INT64_MAX)))
    return false;
  return value.get<int64_t>() >= least && value.get<int64_t>() <= most;
}

StatusOr<int64_t> ConfigFields::integer(const std::string &key, int64_t least, int64_t most,
                                        std::optional<int64_t> fallback) const {
  const ConfigJson *value = find(key);
  if (!value && fallback)
    return *fallback;
  if (!value)
    return error(key, "missing");
  if (!isIntegerIn(*value, least, most))
    return error(key, "must be an integer in ", least, "..", most, ", not ", ShownValue(*value));
  return value->get<int64_t>();
}

StatusOr<std::vector<int64_t>> ConfigFields::integers(const std::string &key, int64_t least,
                                                      int64_t most, size_t longest) const {
  std::vector<int64_t> result;
  const ConfigJson *value = find(key);
  if (!value)
    return result;
  const ConfigJson *first =
      value->is_array() ? value->get_ptr<const ConfigJson::array_t *>()->data() : value;
  size_t count = value->is_array() ? value->size() : 1;
  if (count > longest)
    return error(key, "a list of ", count, " is longer than ", longest);
  for (const ConfigJson *item = first; item != first + count; ++item) {
    if (!isIntegerIn(*item, least, most))
      return error(key, "must be an integer in ", least, "..", most, " or a list of them, not ",
                   ShownValue(*item));
    result.push_back(item->get<int64_t>());
  }
  return result;
}

StatusOr<double> ConfigFields::number(const std::string &key, double least, double most,
                                      std::optional<double> fallback) const {
  const ConfigJson *value = find(key);
  if (!value && fallback)
    return *fallback;
  if (!value)
    return error(key, "missing");
  double number = value->is_number() ? value->get<double>() : NAN;
  if (!(number >= least && number <= most))
    return error(key, "must be a number in ", least, "..", most, ", not ", ShownValue(*value));
  return number;
}

StatusOr<bool> ConfigFields::boolean(const std::string &key, bool fallback) const {
  const ConfigJson *value = find(key);
  if (!value)
    return fallback;
  if (!value->is_boolean())
    return error(key, "must be true or false, not ", ShownValue(*value));
  return value->get<bool>();
}

StatusOr<std::string> ConfigFields::string(const std::string &key,
                                           const std::string &fallback) const {
  const ConfigJson *value = find(key);
  if (!value)
    return fallback;
  if (!value->is_string())
    return error(key, "must be a string, not ", ShownValue(*value));
  return value->get<std::string>();
}

StatusOr<const ConfigJson *> ConfigFields::filledObject(const std::string &key) const {
  const ConfigJson *value = find(key);
  if (!value)
    return nullptr;
  if (!value->is_object())
    return error(key, "must be an object, not ", ShownValue(*value));
  return value->empty() ? nullptr : value;
}

} // namespace compressc
