// Checkpoint formats: how a compressed model's weights lie in safetensors files, and what
// config.json says of them. A format is one file of lib/Formats; README.md there walks through one.
#pragma once

#include "compressc/runtime/safetensors.h"
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

namespace compressc {

/// What a format must be able to say of a model; known before any number is computed.
struct ModelLayout {
  struct Linear {
    std::string module; // as Hugging Face calls it; a tied head too: "lm_head"
    int64_t rows = 0, columns = 0;
    std::optional<PackedFormat> packed;
    bool head = false; // makes logits
  };
  std::vector<Linear> linears; // that the program runs, in its order
  bool tiedHead = false;       // its weight is the embedding table
  int64_t headRank = 0;        // the width between the two linears that the head is; 0: it is one
};

/// A tensor of a file. Its bytes lie in the weight at `data`, or `fill` makes them.
struct FormatEntry : SafetensorsWriter::Entry {
  const void *data = nullptr;
  std::function<void(void *)> fill;
};

class CheckpointFormat {
public:
  virtual ~CheckpointFormat() = default;

  /// As --export takes it; also the directory's name.
  virtual std::string_view name() const = 0;
  /// What it is and who reads it, for --help: one line.
  virtual std::string_view summary() const = 0;
  /// The type that scales and plain tensors must have; nullopt: any. The compilation takes it from
  /// the start, because scales that are rounded later change results.
  virtual std::optional<DType> dtype() const { return std::nullopt; }
  /// An error that says what the format can't hold and what to do. Asked before any work.
  virtual Status check(const ModelLayout &model) const = 0;
  /// The tensors that a weight becomes. To plan a file, `weight` has a type and no data.
  virtual std::vector<FormatEntry> entries(const std::string &name, const Tensor &weight) const = 0;
  /// Says in config.json what readers must know.
  virtual void configure(nlohmann::json &config, const ModelLayout &model) const = 0;
};

/// All of Formats.def.
const std::vector<const CheckpointFormat *> &CheckpointFormats();
StatusOr<const CheckpointFormat *> FindCheckpointFormat(std::string_view name);
/// The format of OUT/model, which OUT/run maps.
const CheckpointFormat &StoreFormat();

/// Writes a weight as the format's entries, one at a time.
Status WriteWeight(const CheckpointFormat &format, SafetensorsWriter &writer,
                   const std::string &name, const Tensor &weight);

// For formats and importers:

/// A plain tensor as it is: what every format does with what is not packed.
FormatEntry PlainEntry(const std::string &name, const Tensor &tensor);
/// The way back: a view of a stored F32, F16 or BF16 tensor, or an error that names it.
StatusOr<Tensor> ReadPlainTensor(const std::string &name, const StoredTensor &stored);
/// "P" of a weight "P.weight".
std::string ModuleOfWeight(const std::string &name);
/// An error when the head is two linears: readers of Hugging Face directories know one.
Status CheckHeadIsOneLinear(const ModelLayout &model);

} // namespace compressc
