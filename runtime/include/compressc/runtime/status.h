// Error handling shared by everything: absl::Status with a message that names the file, tensor or
// option and says what to do. Exceptions are off in this project.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include <string_view>

namespace compressc {

using absl::Status;
using absl::StatusOr;

namespace detail {
/// Packaged Abseil may have a string_view of its own, which std::string_view does not convert to.
template <typename T> const T &ForMessage(const T &value) { return value; }
inline absl::string_view ForMessage(std::string_view value) { return {value.data(), value.size()}; }
} // namespace detail

/// Bad user input or a bad file: the message is shown to the user as it is.
template <typename... Args> Status Invalid(const Args &...args) {
  return absl::InvalidArgumentError(absl::StrCat(detail::ForMessage(args)...));
}

/// The operating system refused something (open, write, rename, map).
template <typename... Args> Status IOError(const Args &...args) {
  return absl::UnavailableError(absl::StrCat(detail::ForMessage(args)...));
}

/// Prefixes `context` to the message of a failed status.
inline Status WithContext(const Status &status, absl::string_view context) {
  if (status.ok())
    return status;
  return Status(status.code(), absl::StrCat(context, ": ", status.message()));
}

} // namespace compressc

#define COMPRESSC_RETURN_IF_ERROR(expr)                                                            \
  do {                                                                                             \
    if (::absl::Status status_ = (expr); !status_.ok())                                            \
      return status_;                                                                              \
  } while (0)

#define COMPRESSC_CONCAT_INNER(a, b) a##b
#define COMPRESSC_CONCAT(a, b) COMPRESSC_CONCAT_INNER(a, b)
#define COMPRESSC_ASSIGN_OR_RETURN(lhs, expr)                                                      \
  COMPRESSC_ASSIGN_OR_RETURN_IMPL(COMPRESSC_CONCAT(statusOr_, __LINE__), lhs, expr)
#define COMPRESSC_ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr)                                            \
  auto tmp = (expr);                                                                               \
  if (!tmp.ok())                                                                                   \
    return std::move(tmp).status();                                                                \
  lhs = std::move(*tmp)
