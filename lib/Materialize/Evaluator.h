// Evaluates values of a function: statistics and hidden states over the calibration tokens, and what
// depends on weights and statistics. Holds what is known, and nothing for longer than it is needed.
#pragma once

#include "Estimate.h"
#include "Slice.h"
#include "Steps.h"
#include "compressc/Materialize/Materialize.h"
#include "compressc/runtime/collective.h"
#include <atomic>

namespace compressc {

/// Says when a module observes activations and there are no calibration tokens.
Status CheckCalibration(mlir::ModuleOp module, const MaterializeOptions &options);

class Evaluator {
public:
  /// With an estimate nothing is computed: what would be is counted there, and values have types only.
  Evaluator(mlir::ModuleOp module, const StepPlan &plan, const MaterializeOptions &options,
            Estimate *estimate = nullptr);

  const std::vector<Batch> &batches() const { return calibrationBatches; }
  /// Devices that share the batches: batch i is that of the one with number i modulo this.
  size_t shares() const { return workers.size(); }

  /// Computes a step's results, unless they are known, and the hidden states behind it, if a later step
  /// needs them.
  Status run(const Step &step, bool known, bool needsStates, std::vector<OwnedTensor> &results);

  /// Hidden states that the function goes on from: one tensor for each batch.
  void setStates(mlir::Value value, std::vector<OwnedTensor> tensors);
  /// Those behind the last step, in the host's memory.
  StatusOr<std::vector<OwnedTensor>> statesOf(mlir::Value value);

  double calibrationSeconds = 0, weightSeconds = 0;
  int64_t slices = 0, slicesOnDevice = 0;

private:
  /// A device, or the CPU, and what a thread runs sessions there with.
  struct Worker {
    Device *device; // null: the CPU
    ThreadPool *pool;
    std::unique_ptr<ThreadPool> ownPool = {};
    UploadedWeights uploaded = {}; // of the step that is run
  };
  struct CalibrationRun;

  /// Evaluates the observations in a top-level operation, those that don't wait for each other in one run,
  /// together with the hidden states that leave it, if they are needed.
  Status observe(mlir::Operation *op, bool advances);
  /// Hidden states that leave a top-level operation and were not computed with its observations. Hidden
  /// states that only this operation reads are gone after it.
  Status advance(mlir::Operation *op);
  /// The values, plain ones converted to `types`.
  StatusOr<std::vector<OwnedTensor>> compute(llvm::ArrayRef<mlir::Value> values, llvm::ArrayRef<mlir::Type> types);

  /// Those of the step's results that belong to `op`.
  Status computeResults(mlir::Operation *op, const Step &step, std::vector<OwnedTensor> &results);
  /// Frees what no operation behind `op` reads.
  void forgetBehind(mlir::Operation *op);

  /// The device, if it has all kernels of the schedule; null: the CPU runs it.
  Device *deviceFor(const Schedule &schedule);
  /// `device`: the worker's, or null.
  StatusOr<std::shared_ptr<Session>> open(Schedule schedule, Worker &worker, Device *device);
  /// Moves the tensor, which is the worker's or the host's, to the memory of the worker's device, or of the host (null).
  /// What is returned is bound to sessions there: a vector of 16 bits, which devices want in fp32, stays on the host and
  /// is sent as a copy.
  StatusOr<OwnedTensor> bring(OwnedTensor &tensor, Worker &worker, Device *device);
  /// A copy in the host's memory, for the thread of the first worker.
  StatusOr<OwnedTensor> fetch(const Tensor &tensor, Worker &worker);
  Worker &workerOf(size_t batch) { return workers[batch % workers.size()]; }
  /// A copy where it lies.
  StatusOr<OwnedTensor> copyOf(const Tensor &tensor, Device *device);

  Status evaluateValues(llvm::ArrayRef<mlir::Value> values);
  Status runOverCalibration(mlir::Operation *op, llvm::ArrayRef<mlir::Value> outputs, bool isLast);
  /// Batches share, share + shares, …: a worker has one of the shares, or one worker all.
  Status runShare(CalibrationRun &run, size_t share);
  /// Statistics of all shares become the first one's: those of two in the same order on one device and on two.
  Status addUp(const CalibrationRun &run);
  bool dependsOn(mlir::Value value, llvm::ArrayRef<mlir::Value> others);

  void estimateCalibration(const Schedule &schedule, llvm::ArrayRef<mlir::Value> outputs,
                           llvm::ArrayRef<mlir::Value> replaced);
  std::vector<OwnedTensor> estimateWeights(const Schedule &schedule);
  int64_t liveBytes() const;

  mlir::ModuleOp module;
  const StepPlan &plan;
  const MaterializeOptions &options;
  Estimate *estimate;
  std::vector<Batch> calibrationBatches;
  llvm::DenseMap<mlir::Value, std::vector<OwnedTensor>> states;
  llvm::DenseMap<mlir::Value, OwnedTensor> evaluated; // weights and statistics
  std::vector<Worker> workers;                        // the first computes all but batches that are others'
};

} // namespace compressc
