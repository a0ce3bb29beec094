// Fields of a configuration file that nobody vouches for. As transformers reads them: an unknown
// field is ignored, null is the same as absent.
#pragma once

#include "compressc/runtime/status.h"
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace compressc {

/// Keeps the order of keys, so that a file that is written back still looks like itself.
using ConfigJson = nlohmann::ordered_json;

/// Of sizes in a configuration.
constexpr int64_t largestSize = int64_t(1) << 24;

/// An object, nested at most 32 deep.
StatusOr<ConfigJson> ParseConfigObject(const std::string &text, const std::string &where);

class ConfigFields {
public:
  ConfigFields(const ConfigJson &object, std::string where, std::string prefix = "")
      : object(&object), place(std::move(where)), prefix(std::move(prefix)) {}

  /// The field, or null when it is absent or null.
  const ConfigJson *find(const std::string &key) const;
  /// Whether the field is there and null, where that differs from being absent.
  bool isNull(const std::string &key) const;

  // Without a fallback the field must be there.
  StatusOr<int64_t> integer(const std::string &key, int64_t least, int64_t most,
                            std::optional<int64_t> fallback = std::nullopt) const;
  /// One integer, a list of integers, or nothing.
  StatusOr<std::vector<int64_t>> integers(const std::string &key, int64_t least, int64_t most,
                                          size_t longest) const;
  StatusOr<double> number(const std::string &key, double least, double most,
                          std::optional<double> fallback = std::nullopt) const;
  StatusOr<bool> boolean(const std::string &key, bool fallback) const;
  StatusOr<std::string> string(const std::string &key, const std::string &fallback) const;
  /// An object that is there and has fields, or null.
  StatusOr<const ConfigJson *> filledObject(const std::string &key) const;

  /// The fields of a member, which messages call "KEY.NAME".
  ConfigFields nested(const std::string &key, const ConfigJson &member) const {
    return ConfigFields(member, place, absl::StrCat(prefix, key, "."));
  }

  /// "config.json: KEY: MESSAGE".
  template <typename... Args> Status error(const std::string &key, const Args &...message) const {
    return Invalid(place, ": ", prefix, key, ": ", message...);
  }

private:
  const ConfigJson *object;
  std::string place, prefix;
};

/// A value as messages show it: short, on one line.
std::string ShownValue(const ConfigJson &value);

} // namespace compressc
