// What a GGUF file says about its model, in the form that Hugging Face's programs read.
#pragma once

#include "compressc/Import/GGUF.h"
#include <optional>

namespace compressc {

/// The JSON texts of a checkpoint's small files. Architectures llama, qwen2 and qwen3; a file that
/// asks for something that these configurations cannot say is an error.
StatusOr<std::string> GGUFConfig(const GGUFFile &file);           // config.json
StatusOr<std::string> GGUFGenerationConfig(const GGUFFile &file); // generation_config.json
StatusOr<std::string> GGUFTokenizer(const GGUFFile &file);        // tokenizer.json
StatusOr<std::string> GGUFTokenizerConfig(const GGUFFile &file);  // tokenizer_config.json
/// All four, by file name.
StatusOr<std::map<std::string, std::string>> GGUFCheckpointFiles(const GGUFFile &file);

/// "blk.3.attn_q.weight" -> "model.layers.3.self_attn.q_proj.weight" and back; nullopt for a name
/// that is none of the three architectures' weights (rope_freqs.weight is one of those: it is not a
/// weight there, GGUFConfig turns it into rope parameters).
std::optional<std::string> HuggingFaceFromGGUF(std::string_view name);
std::optional<std::string> GGUFFromHuggingFace(std::string_view name);

/// How many heads the rows of this tensor make up when they are stored in interleaved order and
/// must go through `unpermute_rows`; 0 when they are in order already. Only q and k of architecture
/// llama are.
StatusOr<int64_t> GGUFPermutedHeads(const GGUFFile &file, std::string_view name);

} // namespace compressc
