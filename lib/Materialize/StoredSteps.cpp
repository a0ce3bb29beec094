#include "StoredSteps.h"
#include "compressc/Conversion/ToSchedule.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace compressc {
namespace {

/// Hidden states are saved when at least this many times the cost of saving went into the steps since: so
/// saving costs at most a twentieth, and a resumed run computes little again.
constexpr double worthSaving = 20;
/// Bytes a second, until a first save has shown it.
constexpr double assumedRate = 1e9;

/// The arrays that a tensor of this type consists of, in bytes.
void appendSizes(const StorageType &type, std::vector<int64_t> &sizes) {
  if (type.dtype == DType::Packed) {
    PackedSizes packed = GetPackedSizes(type.shape[0], type.shape[1], type.packed);
    sizes.insert(sizes.end(), {packed.codes, packed.scales});
    if (packed.zeros)
      sizes.push_back(packed.zeros);
    return;
  }
  Tensor tensor;
  tensor.dtype = type.dtype;
  tensor.shape = type.shape;
  sizes.push_back(tensor.bytes());
}

void appendParts(const Tensor &tensor, BlockStore::Parts &parts) {
  auto add = [&](const void *data, int64_t bytes) { parts.emplace_back(static_cast<const char *>(data), size_t(bytes)); };
  if (tensor.dtype != DType::Packed)
    return add(tensor.data, tensor.bytes());
  PackedSizes packed = GetPackedSizes(tensor.dim(0), tensor.dim(1), tensor.packed);
  add(tensor.data, packed.codes);
  add(tensor.scales, packed.scales);
  if (tensor.zeros)
    add(tensor.zeros, packed.zeros);
}

/// The tensor whose arrays begin at `part`, which moves behind them.
OwnedTensor tensorFrom(const StorageType &type, const BlockStore::Entry &entry, size_t &part) {
  // Mapped read-only; nothing writes through the pointer.
  auto next = [&] { return const_cast<char *>(entry.parts[part++].data()); };
  OwnedTensor result{entry.file, {}};
  result.tensor.dtype = type.dtype;
  result.tensor.shape = type.shape;
  result.tensor.packed = type.packed;
  result.tensor.data = next();
  if (type.dtype == DType::Packed) {
    result.tensor.scales = next();
    if (!type.packed.symmetric)
      result.tensor.zeros = next();
  }
  return result;
}

Digest tokensDigest(const MaterializeOptions &options, const std::vector<Batch> &batches) {
  Hasher hasher;
  // The sums of a Gram matrix are rounded batch by batch.
  for (const Batch &batch : batches)
    hasher.add(uint64_t(batch.rows()));
  if (options.calibration)
    for (const std::vector<int32_t> &sample : options.calibration->samples)
      hasher.add(std::string_view(reinterpret_cast<const char *>(sample.data()), sample.size() * sizeof(int32_t)));
  return hasher.finish();
}

StorageType storageOf(Value state, const Batch &batch) {
  StorageType type = *ToStorageType(state.getType());
  type.shape[0] = batch.rows();
  return type;
}

} // namespace

Status StoredSteps::open(ModuleOp module) {
  entries.resize(steps.size());
  for (size_t index = 0; index < steps.size(); ++index)
    if (steps[index].observes)
      lastObserver = index;
  if (!store)
    return absl::OkStatus();
  COMPRESSC_ASSIGN_OR_RETURN(Digest program, ProgramDigest());
  if (options.device) // of one kind of GPU the results are the same
    program = Hasher().add(program).add(options.device->name()).finish();
  for (const Device *device : options.others)
    if (device->name() != options.device->name())
      program = Hasher().add(program).add(device->name()).finish();
  ValueDigests digests(module, options.weights, program, tokensDigest(options, evaluator.batches()), evaluator.shares());
  SmallVector<Value> values;
  for (const Step &step : steps) {
    for (const Step::Result &result : step.results)
      values.push_back(result.value);
    llvm::append_range(values, step.states);
  }
  if (options.pool)
    digests.readParameters(values, *options.pool);
  for (auto [index, step] : llvm::enumerate(steps)) {
    COMPRESSC_ASSIGN_OR_RETURN(Digest results, ResultsKey(step, digests));
    COMPRESSC_ASSIGN_OR_RETURN(Digest states, StatesKey(step, digests));
    resultKeys.push_back(results);
    stateKeys.push_back(states);
    std::vector<int64_t> sizes;
    for (const Step::Result &result : step.results)
      appendSizes(*ToStorageType(result.type), sizes);
    entries[index] = store.load()->find(BlockStore::Kind::Results, results, sizes);
    if (!step.states.empty() && store.load()->contains(BlockStore::Kind::States, states))
      keptStates.push_back(states);
  }
  auto waits = [&](size_t index) { return steps[index].observes && !has(index); };
  size_t firstObserver = 0;
  while (firstObserver < steps.size() && !waits(firstObserver))
    ++firstObserver;
  lastObserver = 0;
  for (size_t index = firstObserver; index < steps.size(); ++index)
    if (waits(index))
      lastObserver = index;
  for (size_t index = std::min(firstObserver, lastObserver); index-- > 0;)
    if (loadStates(index)) {
      firstAdvanced = index + 1;
      break;
    }
  savedAt = Clock::now();
  if (!options.quiet && count() > 0)
    llvm::errs() << "store " << store.load()->path() << ": " << count() << " of " << steps.size() << " steps are there\n";
  return absl::OkStatus();
}

std::vector<OwnedTensor> StoredSteps::load(size_t step) const {
  std::vector<OwnedTensor> results;
  size_t part = 0;
  for (const Step::Result &result : steps[step].results)
    results.push_back(tensorFrom(*ToStorageType(result.type), *entries[step], part));
  return results;
}

void StoredSteps::save(size_t step, ArrayRef<OwnedTensor> results) {
  BlockStore *store = this->store;
  if (!store)
    return;
  BlockStore::Parts parts;
  for (const OwnedTensor &result : results)
    appendParts(result.tensor, parts);
  if (Status status = store->put(BlockStore::Kind::Results, resultKeys[step], parts); !status.ok())
    giveUp(status);
}

std::vector<int64_t> StoredSteps::stateSizes(const Step &step) const {
  std::vector<int64_t> sizes;
  for (Value state : step.states)
    for (const Batch &batch : evaluator.batches())
      appendSizes(storageOf(state, batch), sizes);
  return sizes;
}

bool StoredSteps::loadStates(size_t step) {
  std::vector<int64_t> sizes = stateSizes(steps[step]);
  if (sizes.empty())
    return false;
  auto entry = store.load()->find(BlockStore::Kind::States, stateKeys[step], sizes);
  if (!entry)
    return false;
  size_t part = 0;
  for (Value state : steps[step].states) {
    std::vector<OwnedTensor> tensors;
    for (const Batch &batch : evaluator.batches())
      tensors.push_back(tensorFrom(storageOf(state, batch), *entry, part));
    evaluator.setStates(state, std::move(tensors));
  }
  return true;
}

bool StoredSteps::shouldSaveStates(size_t step) {
  if (!store || !needsStates(step) || steps[step].states.empty())
    return false;
  if (saveSeconds == 0)
    for (int64_t bytes : stateSizes(steps[step]))
      saveSeconds += double(bytes) / assumedRate;
  return std::chrono::duration<double>(Clock::now() - savedAt).count() >= worthSaving * saveSeconds;
}

void StoredSteps::saveStates(size_t step) {
  auto start = Clock::now();
  BlockStore *store = this->store;
  if (!store)
    return;
  BlockStore::Parts parts;
  std::vector<std::vector<OwnedTensor>> tensors; // that the parts point to
  for (Value state : steps[step].states) {
    auto found = evaluator.statesOf(state);
    if (!found.ok())
      return giveUp(found.status());
    for (const OwnedTensor &tensor : tensors.emplace_back(*std::move(found)))
      appendParts(tensor.tensor, parts);
  }
  if (Status status = store->put(BlockStore::Kind::States, stateKeys[step], parts); !status.ok())
    return giveUp(status);
  savedAt = Clock::now();
  saveSeconds = std::chrono::duration<double>(savedAt - start).count();
  for (const Digest &key : keptStates)
    if (key != stateKeys[step])
      store->remove(BlockStore::Kind::States, key);
  keptStates = {stateKeys[step]};
}

void StoredSteps::close() {
  if (BlockStore *store = this->store)
    for (const Digest &key : keptStates)
      store->remove(BlockStore::Kind::States, key);
}

void StoredSteps::giveUp(const Status &status) {
  llvm::errs() << "compressc: warning: " << std::string(status.message())
               << "; going on, but a killed run will not find what comes now\n";
  store = nullptr;
}

} // namespace compressc
