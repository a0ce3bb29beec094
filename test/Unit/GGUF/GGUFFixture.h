// Writes built bytes to a file of its own and opens it.
#pragma once

#include "../Core/ScratchDirectory.h"
#include "GGUFBuilder.h"
#include "compressc/Import/GGUFModel.h"

namespace compressc {

class GGUFFixture : public ScratchDirectory {
protected:
  StatusOr<GGUFFile> open(const std::string &bytes) const { return GGUFFile::Open(put(file, bytes)); }
  StatusOr<GGUFFile> open(const GGUFBuilder &builder) const { return open(builder.build()); }

  /// The message begins with the file's name and contains `part`.
  void expectError(const Status &status, const std::string &part) const {
    ASSERT_FALSE(status.ok()) << "no error; wanted: " << part;
    std::string message(status.message());
    EXPECT_EQ(message.find(path(file)), 0u) << message;
    EXPECT_NE(message.find(part), std::string::npos) << message << "\nwanted: " << part;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }

  const std::string file = "model.gguf";
};

} // namespace compressc
