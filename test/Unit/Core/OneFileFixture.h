// A test of a reader of files: one file, in a directory of its own.
#pragma once

#include "ScratchDirectory.h"
#include "compressc/runtime/status.h"

namespace compressc {

class OneFileFixture : public ScratchDirectory {
protected:
  explicit OneFileFixture(std::string file) : file(std::move(file)) {}

  /// The message is one line, begins with the file's name and contains `part`.
  void expectError(const Status &status, const std::string &part) const {
    ASSERT_FALSE(status.ok()) << "no error; wanted: " << part;
    std::string message(status.message());
    EXPECT_EQ(message.find(path(file)), 0u) << message;
    EXPECT_NE(message.find(part), std::string::npos) << message << "\nwanted: " << part;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }

  const std::string file;
};

} // namespace compressc
