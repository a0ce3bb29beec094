// What a compilation leaves on disk: OUT/model (a Hugging Face directory), OUT/run, OUT/report.json.
#pragma once

#include "compressc/Materialize/Materialize.h"
#include "compressc/runtime/model.h"
#include "mlir/IR/BuiltinOps.h"
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace compressc {

/// A directory under a temporary name beside OUT, that becomes OUT at the end; removed when it does not.
class StagingDirectory {
public:
  /// Refuses an OUT that exists and was not made by this program.
  static StatusOr<std::unique_ptr<StagingDirectory>> Create(const std::string &output);
  ~StagingDirectory();
  const std::string &path() const { return temporary; }
  /// Replaces an earlier OUT.
  Status commit();

private:
  StagingDirectory() = default;
  std::string output, temporary;
  int lock = -1; // tells it from what a killed run left
};

/// Where a compilation to OUT keeps finished work unless told otherwise: OUT.store.
std::string DefaultStore(const std::string &output);

/// The compressed-tensors `quantization_config` of a module bound to its checkpoint, or nullopt when
/// nothing is packed.
std::optional<nlohmann::json> QuantizationConfig(mlir::ModuleOp module);

/// Gives the layers that the program runs the numbers 0, 1, ... in its order: the parameters named
/// model.layers.I.* get the name, and keep their key in the weight store. Parameters of layers that the
/// program lacks get the numbers after those. Returns the original numbers in order, or nothing when a
/// layer is used twice, so that its weights can't have two numbers.
std::vector<int64_t> RenumberLayers(mlir::ModuleOp module);

/// The head of a module bound to its checkpoint.
struct HeadLayout {
  bool tied = false; // its weight is the embedding table
  int64_t rank = 0;  // the width between the two linears that it is; 0: it is one
};
HeadLayout FindHeadLayout(mlir::ModuleOp module);

/// What a compilation changes in config.json.
struct ConfigChanges {
  std::optional<nlohmann::json> quantization; // quantization_config
  std::vector<int64_t> layers;                // of RenumberLayers
  HeadLayout head;                            // tie_word_embeddings, lm_head_rank
};

/// Writes the small files of OUT/model, config.json with the changes.
Status WriteModelFiles(const std::string &directory, const std::map<std::string, std::string> &files,
                       const ConfigChanges &changes);

/// report.json: the same bytes for the same input, so it holds no times; but for what a GPU was seen to do.
struct ReportInputs {
  ModelInfo info;
  std::string checkpointType;
  std::string compute, activations; // arithmetic of the deployed linears
  std::string calibrationFile; // its name, without the directory
  int64_t samples = 0, sequenceLength = 0;
  struct Gpu {
    int number;  // as the driver counts them
    std::string name;
    int64_t allocatedBytes; // at most
    std::optional<DeviceUsage> usage; // when something tells
  };
  std::vector<Gpu> gpus; // that ran slices, the first more than calibration; none: the CPU ran all
  std::string tokenDigest; // sha256 of the calibration token ids, little-endian int32
};
std::string Report(const ReportInputs &inputs, const MaterializeReport &result);

} // namespace compressc
