// Rotary embedding of a GGUF file as Hugging Face's rope parameters.
#pragma once

#include "compressc/Import/GGUF.h"
#include "nlohmann/json.hpp"

namespace compressc {

/// {"rope_type", "rope_theta", ...}. `prefix` is "{architecture}.rope.".
StatusOr<nlohmann::ordered_json> RopeOfGGUF(const GGUFFile &file, const std::string &prefix,
                                                int64_t headDim);

} // namespace compressc
