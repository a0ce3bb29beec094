#pragma once

#include "compressc/runtime/model.h"
#include <nlohmann/json.hpp>

namespace compressc {

/// ParseModelInfo for a part of a larger document.
StatusOr<ModelInfo> ModelInfoFromJson(const nlohmann::json &value);

} // namespace compressc
