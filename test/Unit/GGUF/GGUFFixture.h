// Writes built bytes to a file of its own and opens it.
#pragma once

#include "../Core/OneFileFixture.h"
#include "GGUFBuilder.h"
#include "compressc/Import/GGUFModel.h"

namespace compressc {

class GGUFFixture : public OneFileFixture {
protected:
  GGUFFixture() : OneFileFixture("model.gguf") {}

  StatusOr<GGUFFile> open(const std::string &bytes) const { return GGUFFile::Open(put(file, bytes)); }
  StatusOr<GGUFFile> open(const GGUFBuilder &builder) const { return open(builder.build()); }
};

} // namespace compressc
