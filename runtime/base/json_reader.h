// Reading JSON that nobody vouches for: each getter checks type and range, and its error says where
// in the document it is.
#pragma once

#include "compressc/runtime/status.h"
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace compressc {

/// Parses a document; `where` names it in the error.
StatusOr<nlohmann::json> ParseJson(std::string_view text, std::string_view where);

StatusOr<int64_t> JsonInteger(const nlohmann::json &value, std::string_view where, int64_t least,
                              int64_t most);
StatusOr<std::string> JsonString(const nlohmann::json &value, std::string_view where);

/// A view of an object.
class JsonObject {
public:
  /// Keys outside `known` are refused: they are misspelt, or of a newer version that means more.
  static StatusOr<JsonObject> From(const nlohmann::json &value, std::string where,
                                   std::initializer_list<std::string_view> known);

  /// The member, or null.
  const nlohmann::json *find(std::string_view key) const;
  /// The member, or an error.
  StatusOr<const nlohmann::json *> get(std::string_view key) const;

  /// A missing member is an error unless there is a fallback.
  StatusOr<int64_t> integer(std::string_view key, int64_t least, int64_t most,
                            std::optional<int64_t> fallback = std::nullopt) const;
  StatusOr<bool> boolean(std::string_view key, std::optional<bool> fallback = std::nullopt) const;
  StatusOr<std::string> string(std::string_view key,
                               std::optional<std::string> fallback = std::nullopt) const;
  /// A missing array is an empty one.
  StatusOr<const nlohmann::json *> array(std::string_view key, size_t limit) const;

  /// "schedule: weights[3]" for messages.
  const std::string &where() const { return place; }
  std::string where(std::string_view key) const { return place + "." + std::string(key); }

private:
  JsonObject(const nlohmann::json &value, std::string where)
      : object(&value), place(std::move(where)) {}
  const nlohmann::json *object;
  std::string place;
};

} // namespace compressc
