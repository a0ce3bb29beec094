// Evaluates every weight- and calibration-time value that the deployed model needs, layer by layer in
// dataflow order, and writes the weights to a checkpoint.
#pragma once

#include "compressc/Formats/Formats.h"
#include "compressc/Import/WeightStore.h"
#include "compressc/runtime/device.h"
#include "compressc/runtime/thread_pool.h"
#include "mlir/IR/BuiltinOps.h"
#include <string>
#include <utility>
#include <vector>

namespace compressc {

class BlockStore;
class Collective;

/// Token sequences to calibrate on.
struct CalibrationSet {
  std::vector<std::vector<int32_t>> samples;
};

/// A safetensors file to write.
struct CheckpointFile {
  const CheckpointFormat *format;
  std::string path;
};

struct MaterializeOptions {
  const WeightStore *weights = nullptr;
  const CalibrationSet *calibration = nullptr; // null or empty: none; then nothing may need it
  ThreadPool *pool = nullptr;
  /// Runs what it has the kernels of, with linears over calibration tokens in bf16; null: the CPU runs all.
  Device *device = nullptr;
  /// Devices of the same kind that share the calibration batches with it, and what adds up the statistics of all.
  std::vector<Device *> others;
  Collective *collective = nullptr;
  /// All hold the same weights; none: only what remarks report is wanted.
  std::vector<CheckpointFile> files;
  /// Calibration tokens computed at a time; whole samples.
  int64_t batchTokens = 2048;
  BlockStore *store = nullptr; // finished work is looked up and kept there; null: nowhere
  bool quiet = false; // no progress
};

/// What a pass chose for some parameters, and numbers that say how good it is.
struct Decision {
  std::string pass;
  std::vector<std::string> params;
  std::vector<std::pair<std::string, double>> numbers;
  mlir::Location location; // of the operation that was decided on
  std::string function;    // that it stands in
};

struct MaterializeReport {
  std::vector<Decision> decisions;
  int64_t parameters = 0;          // of the original model, tied ones once
  int64_t originalWeightBytes = 0; // as a safetensors file with all of them at 16 bits
  int64_t weightBytes = 0;         // of the first file written
  std::vector<int64_t> exportBytes; // of the others
  double calibrationSeconds = 0;
  double weightSeconds = 0;
  double fileSeconds = 0; // that nothing was computed in: the store looked up, files waited for
  int64_t slices = 0, slicesOnDevice = 0; // schedules that were run, and those of them that the device ran
};

/// On success the module is bound to the new checkpoint (see bind-weights). On failure the output
/// files do not exist, but for those that were finished.
StatusOr<MaterializeReport> Materialize(mlir::ModuleOp module, const MaterializeOptions &options);

/// What Materialize() would do and take, before it does anything.
struct MaterializePlan {
  int64_t steps = 0, stepsStored = 0; // steps, and those whose results the store has
  int64_t layers = 0;                 // of the deployed model
  int64_t parameters = 0, originalWeightBytes = 0;
  int64_t weightBytes = 0; // of the file, exactly
  /// Anonymous memory at the peak, on top of what the process holds before; mapped files are not counted.
  int64_t peakBytes = 0;
  int64_t hiddenStateBytes = 0; // of the calibration tokens
  /// In operations of a matrix product that take as long; of those flopRate are done a second.
  double calibrationWork = 0, weightWork = 0, flopRate = 0;
};

/// Bytes of the file that Materialize() would write, exactly. No choice may be open.
StatusOr<int64_t> PlanWeightBytes(mlir::ModuleOp module);

/// Reads weights only to look them up in the store. `files` of the options are not used.
StatusOr<MaterializePlan> PlanMaterialization(mlir::ModuleOp module, const MaterializeOptions &options);

} // namespace compressc
