// Comma-separated values as RFC 4180 has them.
#pragma once

#include "compressc/runtime/status.h"
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace compressc {

struct CsvRow {
  int64_t line = 0; // where the row begins, from 1
  std::vector<std::string> fields;
};

/// Rows of a file; a byte order mark and empty lines are skipped, quoted fields may hold commas,
/// quotes and line ends. `file` is for messages.
StatusOr<std::vector<CsvRow>> ParseCsv(std::string_view text, const std::string &file);

/// The field as it is written to a file: quoted when it must be.
std::string QuoteCsvField(const std::string &field);

} // namespace compressc
