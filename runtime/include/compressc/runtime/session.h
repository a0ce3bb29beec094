// The schedule interpreter: binds weights, owns the arena, the states and the KV cache, and runs entry
// points. The same object serves a deployed model, a calibration slice and a weight expression.
#pragma once

#include "compressc/runtime/program.h"
#include "compressc/runtime/schedule.h"
#include <functional>
#include <map>
#include <memory>

namespace compressc {

/// Finds a weight's memory: returns a Tensor whose dtype, shape and format equal the declaration's.
using WeightResolver = std::function<StatusOr<Tensor>(const WeightDecl &)>;

/// Weights by key as they lie in a device's memory.
using UploadedWeights = std::map<std::string, OwnedTensor>;

struct SessionOptions {
  /// Slots of the KV cache, shared by all attentions; <= 0: schedule.maxTokens.
  int64_t cacheSlots = 0;
  /// Compiled entry points, run in place of the schedule's calls; must be emitted from this schedule.
  const program::Program *program = nullptr;
  /// What runs the kernels; null: the CPU. Outlives the session.
  Device *device = nullptr;
  /// Weights that are on the device already, and where those go that this session uploads; null: its own.
  UploadedWeights *uploaded = nullptr;
};

class Session {
public:
  static StatusOr<std::unique_ptr<Session>> Create(Schedule schedule, const WeightResolver &resolver,
                                                   ThreadPool &pool, SessionOptions options = {});
  ~Session();

  const Schedule &schedule() const;
  int64_t cacheSlots() const;
  /// Whether entry points run compiled.
  bool compiled() const;

  /// Runs an entry point. `inputs` bind the entry's input buffers in order (not copied; in the memory of the
  /// device, if there is one, where a plain vector may be fp32 in place of its type). Batches over maxTokens
  /// rows or maxSelected selected rows, slots out of range and tokens below 0 are refused.
  Status run(const EntryPoint &entry, const Batch *batch, absl::Span<const Tensor> inputs = {});

  /// A run that is interpreted call by call, and fails at the first call whose output holds NaN or infinity: the
  /// error names it and its weights.
  Status runChecked(const EntryPoint &entry, const Batch &batch);

  /// The entry's output after a run; dynamic rows have the size of that run's batch. The memory is the
  /// arena's, on the device if there is one: read it before the next run.
  StatusOr<Tensor> output(const EntryPoint &entry, size_t index) const;

  /// Frees the arena, the KV cache and scratch memory. States outside the arena (offset -1) stay; nothing
  /// can be run any more.
  void releaseAllButStates();

private:
  struct Impl;
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

} // namespace compressc
