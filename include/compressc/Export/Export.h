// What a compilation leaves on disk: OUT/model (a Hugging Face directory), OUT/run, OUT/report.json.
#pragma once

#include "compressc/Formats/Formats.h"
#include "compressc/Materialize/Materialize.h"
#include "compressc/runtime/model.h"
#include "mlir/IR/BuiltinOps.h"
#include <map>
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
  /// A directory in it, made now.
  StatusOr<std::string> makeDirectory(const std::string &name);
  /// Replaces an earlier OUT.
  Status commit();

private:
  StagingDirectory() = default;
  std::string output, temporary;
  int lock = -1; // tells it from what a killed run left
};

/// Where a compilation to OUT keeps finished work unless told otherwise: OUT.store.
std::string DefaultStore(const std::string &output);

/// What checkpoint formats must know of a module. Before choices are resolved the layers that may
/// be left out are among what there is; whether a rewritten head stays tied shows when it is bound.
ModelLayout DescribeModel(mlir::ModuleOp module);

/// Gives the layers that the program runs the numbers 0, 1, ... in its order: the parameters named
/// model.layers.I.* get the name, and keep their key in the weight store. Parameters of layers that the
/// program lacks get the numbers after those. Returns the original numbers in order, or nothing when a
/// layer is used twice, so that its weights can't have two numbers.
std::vector<int64_t> RenumberLayers(mlir::ModuleOp module);

/// Writes the small files beside a checkpoint: config.json with what compilation and format change
/// in it, the others as they are. `layers` are RenumberLayers'.
Status WriteModelFiles(const std::string &directory,
                       const std::map<std::string, std::string> &files,
                       const CheckpointFormat &format, const ModelLayout &model,
                       const std::vector<int64_t> &layers);

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
