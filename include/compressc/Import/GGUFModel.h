// What a GGUF file says about its model, in the form that Hugging Face's programs read.
#pragma once

#include "compressc/Import/GGUF.h"
#include <optional>

namespace compressc {

/// The JSON texts of a checkpoint's small files. A file that asks for something that the configuration
/// of its family cannot say is an error.
StatusOr<std::string> GGUFConfig(const GGUFFile &file);           // config.json
StatusOr<std::string> GGUFGenerationConfig(const GGUFFile &file); // generation_config.json
StatusOr<std::string> GGUFTokenizer(const GGUFFile &file);        // tokenizer.json
StatusOr<std::string> GGUFTokenizerConfig(const GGUFFile &file);  // tokenizer_config.json
/// All four, by file name.
StatusOr<std::map<std::string, std::string>> GGUFCheckpointFiles(const GGUFFile &file);

} // namespace compressc
