// Writes built bytes to a file of its own and opens it.
#pragma once

#include "../Core/ScratchDirectory.h"
#include "ONNXBuilder.h"
#include "compressc/Import/ONNX.h"

namespace compressc {

class ONNXFixture : public ScratchDirectory {
protected:
  StatusOr<ONNXGraph> open(const std::string &bytes) const {
    return ONNXGraph::Open(put(file, bytes));
  }
  StatusOr<ONNXGraph> open(const ONNXBuilder &builder) const { return open(builder.build()); }

  /// The message is one line, begins with the file's name and contains `part`.
  void expectError(const Status &status, const std::string &part) const {
    ASSERT_FALSE(status.ok()) << "no error; wanted: " << part;
    std::string message(status.message());
    EXPECT_EQ(message.find(path(file)), 0u) << message;
    EXPECT_NE(message.find(part), std::string::npos) << message << "\nwanted: " << part;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }

  const std::string file = "model.onnx";
};

} // namespace compressc
