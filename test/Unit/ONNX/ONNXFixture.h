// Writes built bytes to a file of its own and opens it.
#pragma once

#include "../Core/OneFileFixture.h"
#include "ONNXBuilder.h"
#include "compressc/Import/ONNX.h"

namespace compressc {

class ONNXFixture : public OneFileFixture {
protected:
  ONNXFixture() : OneFileFixture("model.onnx") {}

  StatusOr<ONNXGraph> open(const std::string &bytes) const {
    return ONNXGraph::Open(put(file, bytes));
  }
  StatusOr<ONNXGraph> open(const ONNXBuilder &builder) const { return open(builder.build()); }
};

} // namespace compressc
