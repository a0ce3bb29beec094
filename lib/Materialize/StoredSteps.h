// Which steps of a materialisation a store holds already, and what is put there as it goes on.
#pragma once

#include "Evaluator.h"
#include "compressc/Materialize/BlockStore.h"
#include <atomic>
#include <chrono>

namespace compressc {

/// Without a store nothing is there and nothing is kept.
class StoredSteps {
public:
  StoredSteps(llvm::ArrayRef<Step> steps, Evaluator &evaluator, const MaterializeOptions &options)
      : steps(steps), evaluator(evaluator), options(options), store(options.store) {}

  /// Looks up every step. When some are missing, the newest stored hidden states that they can start from
  /// go to the evaluator.
  Status open(mlir::ModuleOp module);

  /// Steps that the store has, and their number.
  bool has(size_t step) const { return entries[step].has_value(); }
  size_t count() const { return llvm::count_if(entries, [](const auto &entry) { return entry.has_value(); }); }
  /// The results of a step that the store has, in mapped memory.
  std::vector<OwnedTensor> load(size_t step) const;
  /// Whether the hidden states behind a step must be computed: a later step that is missing observes, and
  /// no stored hidden states are nearer.
  bool needsStates(size_t step) const { return step >= firstAdvanced && step < lastObserver; }

  /// Keeps a step's results, on any thread. A store that can't be written is given up with a warning.
  void save(size_t step, llvm::ArrayRef<OwnedTensor> results);
  /// Whether the hidden states behind a step are to be kept: unless writing them costs more than computing
  /// them again would.
  bool shouldSaveStates(size_t step);
  /// Keeps them in place of older ones. The results up to there must be saved: only with those can a run go
  /// on from them.
  void saveStates(size_t step);
  /// After the last step: hidden states are of no use any more.
  void close();

  /// Bytes of the hidden states behind a step, for each value and batch.
  std::vector<int64_t> stateSizes(const Step &step) const;

private:
  using Clock = std::chrono::steady_clock;
  bool loadStates(size_t step);
  void giveUp(const Status &status);

  llvm::ArrayRef<Step> steps;
  Evaluator &evaluator;
  const MaterializeOptions &options;
  std::atomic<BlockStore *> store;
  std::vector<Digest> resultKeys, stateKeys;
  std::vector<std::optional<BlockStore::Entry>> entries;
  size_t firstAdvanced = 0, lastObserver = 0;
  // In the store, by this run or found by it; all of them, as a killed run may have left some that nothing
  // is computed from any more.
  llvm::SmallVector<Digest> keptStates;
  Clock::time_point savedAt;
  double saveSeconds = 0; // that the last save of hidden states took
};

} // namespace compressc
