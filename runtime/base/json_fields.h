// Checked access to JSON that was written by others.
#pragma once

#include "compressc/runtime/status.h"
#include "compressc/runtime/text.h"
#include <nlohmann/json.hpp>
#include <string_view>

namespace compressc {

/// The member `key` of an object; null when there is none.
inline const nlohmann::json &Field(const nlohmann::json &object, const char *key) {
  static const nlohmann::json null;
  if (!object.is_object())
    return null;
  auto found = object.find(key);
  return found == object.end() ? null : *found;
}

/// A boolean member; `fallback` when it is missing or null.
inline StatusOr<bool> BoolField(const nlohmann::json &object, const char *key, bool fallback) {
  const nlohmann::json &value = Field(object, key);
  if (value.is_null())
    return fallback;
  if (!value.is_boolean())
    return Invalid(key, " must be true or false");
  return value.get<bool>();
}

/// A string member; "" when it is missing or null.
inline StatusOr<std::string> StringField(const nlohmann::json &object, const char *key) {
  const nlohmann::json &value = Field(object, key);
  if (value.is_null())
    return std::string();
  if (!value.is_string())
    return Invalid(key, " must be a string");
  return value.get_ref<const std::string &>();
}

} // namespace compressc
