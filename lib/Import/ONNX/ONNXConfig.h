// The config.json of a model whose computation a graph says.
#pragma once

#include "lib/Import/Models/Decoder.h"

namespace compressc {

/// `text` is the config.json that lies beside the graph. The graph decides what is computed: where
/// the two agree, the result is the text as it is; else every field that says it is replaced, and
/// `warning` names what differed. The context length must be in the text, as the graph cannot say
/// it.
StatusOr<std::string> ONNXConfig(const Decoder &graph, const std::string &text,
                                 const std::string &where, std::string &warning);

} // namespace compressc
