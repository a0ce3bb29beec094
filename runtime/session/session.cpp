#include "compressc/runtime/session.h"
#include "compressc/runtime/device.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "batch_check.h"
#include "../cpu/program_run.h"
#include "schedule_check.h"
#include "../base/zeroed_memory.h"
#include <algorithm>
#include <limits>

namespace compressc {
namespace {

std::string shapeText(const std::vector<int64_t> &shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    absl::StrAppend(&text, i ? "," : "", shape[i]);
  return text + "]";
}

std::string typeText(DType dtype, const std::vector<int64_t> &shape) {
  return absl::StrCat(std::string(DTypeName(dtype)), " ", shapeText(shape));
}

/// A tensor from outside must be what the schedule was compiled for.
Status checkTensor(const Tensor &tensor, DType dtype, const std::vector<int64_t> &shape,
                   const PackedFormat &packed) {
  if (tensor.dtype != dtype || tensor.shape != shape)
    return Invalid("is ", typeText(tensor.dtype, tensor.shape), ", the schedule was compiled for ",
                   typeText(dtype, shape));
  if (dtype == DType::Packed && tensor.packed != packed)
    return Invalid("is packed with bits ", tensor.packed.bits, ", group ", tensor.packed.group,
                   ", the schedule was compiled for bits ", packed.bits, ", group ", packed.group,
                   packed.symmetric ? ", symmetric" : ", asymmetric", ", scales ",
                   DTypeName(packed.scaleType));
  bool empty = tensor.elements() == 0;
  bool whole = tensor.data &&
               (dtype != DType::Packed || (tensor.scales && (packed.symmetric || tensor.zeros)));
  if (!empty && !whole)
    return Invalid("has no data");
  return absl::OkStatus();
}

Tensor tensorAt(uint8_t *base, DType dtype, std::vector<int64_t> shape,
                const PackedFormat &packed) {
  Tensor tensor;
  tensor.dtype = dtype;
  tensor.shape = std::move(shape);
  tensor.data = base;
  if (dtype != DType::Packed || !base)
    return tensor;
  PackedSizes sizes = GetPackedSizes(tensor.shape[0], tensor.shape[1], packed);
  tensor.packed = packed;
  tensor.scales = base + sizes.scalesOffset;
  tensor.zeros = packed.symmetric ? nullptr : base + sizes.zerosOffset;
  return tensor;
}

/// A call with its operands as tensors. Between runs only the rows of dynamic operands and the
/// memory of bound ones change, so nothing is allocated in a run.
struct PreparedCall {
  KernelFunction function = nullptr;
  const Call *call = nullptr;
  std::vector<Tensor> inputs, outputs;
  std::vector<CacheView> caches;
};

struct PreparedEntry {
  std::vector<PreparedCall> calls;
  std::vector<std::pair<Tensor *, Rows>> dynamic; // operands whose first dimension is the rows
  std::vector<Tensor *> tokens;
  std::vector<std::vector<Tensor *>> bound; // uses of each input of the entry
  bool needsBatch = false;
  void (*compiled)(program::Run &) = nullptr;
  bool hasRun = false;
  int64_t rows = 0, selected = 0; // of the last run
};

/// Says which call failed, once, whether or not the kernel names itself.
Status callFailed(const Call &call, const Status &status) {
  std::string name = call.attributes.getStringOr("name", "");
  absl::string_view message = status.message();
  absl::ConsumePrefix(&message, call.kernel + ": ");
  return Status(status.code(),
                absl::StrCat(call.kernel, name.empty() ? "" : " ", name, ": ", message));
}

/// The first element of `tensor`, whose elements are at `data`, that is NaN or infinite, or -1.
int64_t firstNotFinite(const Tensor &tensor, const void *data) {
  auto find = [&](const auto *bits, auto exponent) -> int64_t {
    const auto *end = bits + tensor.elements();
    const auto *found = std::find_if(bits, end, [&](auto value) { return (value & exponent) == exponent; });
    return found == end ? -1 : found - bits;
  };
  switch (tensor.dtype) {
  case DType::F32:
    return find(static_cast<const uint32_t *>(data), uint32_t(0x7F800000));
  case DType::BF16:
    return find(static_cast<const uint16_t *>(data), uint16_t(0x7F80));
  case DType::F16:
    return find(static_cast<const uint16_t *>(data), uint16_t(0x7C00));
  default:
    return -1;
  }
}

} // namespace

struct Session::Impl {
  using Memory = std::vector<std::shared_ptr<void>>;

  Impl(Schedule schedule, ThreadPool &pool, Device *device)
      : schedule(std::move(schedule)), pool(pool), device(device), scratch(pool.threads()) {}

  /// Zeroed memory where the kernels work, kept in `memory`.
  StatusOr<uint8_t *> map(int64_t bytes, std::string_view what, Memory &memory);
  Status checkDevice() const;
  DType cacheType() const;

  Status bindWeights(const WeightResolver &resolver, UploadedWeights &onDevice);
  bool rowsOnly(size_t weight) const;
  Status commitCache(const Batch &batch);
  Status withPlan(const Status &status) const;
  Status mapMemory();
  void prepare(const EntryPoint &entry, PreparedEntry &prepared);
  void prepareOperand(Operand operand, PreparedEntry &prepared, const EntryPoint &entry,
                      Tensor &tensor);
  Status bindInputs(const EntryPoint &entry, PreparedEntry &prepared,
                    absl::Span<const Tensor> inputs);
  StatusOr<PreparedEntry *> findPrepared(const EntryPoint &entry);
  Status bindProgram(const program::Program &program);
  Status interpret(PreparedEntry &prepared, KernelContext &context);
  Status checkFinite(const PreparedCall &call) const;

  const Schedule schedule;
  ThreadPool &pool;
  Device *const device;
  Scratch scratch;
  bool checking = false; // each call's output, for NaN and infinity
  int64_t cacheSlots = 0, committedSlots = 0;
  std::vector<Tensor> weights;
  uint8_t *arena = nullptr;
  Memory arenaMemory;
  Memory stateMemory; // states outside the arena
  Memory cacheMemory; // keys and values
  UploadedWeights uploaded;
  bool ownsWeights = true;
  std::vector<OwnedTensor> tables; // of which the device reads rows only
  std::vector<Tensor> buffers;         // with no rows where these are dynamic
  std::vector<CacheView> caches;
  std::vector<PreparedEntry> entries; // as schedule.entries
  std::vector<ProgramWeight> programWeights;
  std::unique_ptr<DeviceProgram> deviceProgram; // null: none was compiled
};

Status Session::Impl::bindWeights(const WeightResolver &resolver, UploadedWeights &onDevice) {
  weights.reserve(schedule.weights.size());
  for (const WeightDecl &decl : schedule.weights) {
    StatusOr<Tensor> tensor = resolver(decl);
    Status status =
        tensor.ok() ? checkTensor(*tensor, decl.dtype, decl.shape, decl.packed) : tensor.status();
    if (!status.ok())
      return WithContext(status, absl::StrCat("weight ", decl.key));
    if (device) {
      if (rowsOnly(weights.size())) {
        COMPRESSC_ASSIGN_OR_RETURN(tables.emplace_back(), device->upload(*tensor, decl.key, pool, true));
        weights.push_back(tables.back().tensor);
        continue;
      }
      auto [copy, isNew] = onDevice.try_emplace(decl.key);
      if (isNew) {
        COMPRESSC_ASSIGN_OR_RETURN(copy->second, device->upload(*tensor, decl.key, pool));
      }
      *tensor = copy->second.tensor;
    }
    weights.push_back(*std::move(tensor));
  }
  return absl::OkStatus();
}

/// Whether no kernel but embedding reads the weight.
bool Session::Impl::rowsOnly(size_t weight) const {
  for (const EntryPoint &entry : schedule.entries)
    for (const Call &call : entry.calls)
      for (const Operand &operand : call.inputs)
        if (operand.kind == Operand::Kind::Weight && size_t(operand.index) == weight && call.kernel != "embedding")
          return false;
  return true;
}

StatusOr<uint8_t *> Session::Impl::map(int64_t bytes, std::string_view what, Memory &memory) {
  if (device) {
    COMPRESSC_ASSIGN_OR_RETURN(memory.emplace_back(), device->allocate(bytes, what));
    return static_cast<uint8_t *>(memory.back().get());
  }
  COMPRESSC_ASSIGN_OR_RETURN(ZeroedMemory mapped, ZeroedMemory::Map(bytes, what));
  auto owner = std::make_shared<ZeroedMemory>(std::move(mapped));
  memory.emplace_back(owner, owner->data());
  return owner->data();
}

Status Session::Impl::checkDevice() const {
  for (const EntryPoint &entry : schedule.entries) {
    for (const Call &call : entry.calls)
      if (!device->findKernel(call.kernel))
        return Invalid("the kernel ", call.kernel, " does not run on ", device->name(), "; use --device=cpu");
  }
  return absl::OkStatus();
}

/// On a device, keys and values are as precise as the linears that they come from.
DType Session::Impl::cacheType() const {
  if (device)
    for (const EntryPoint &entry : schedule.entries)
      for (const Call &call : entry.calls)
        if (call.kernel == "linear" && call.attributes.getStringOr("compute", "f32") != "f32")
          return DType::BF16;
  return DType::F32;
}

static int64_t slotBytes(const CacheView &cache) { return cache.heads * cache.dim * int64_t(DTypeSize(cache.dtype)); }

/// What memory was planned, when it is short.
Status Session::Impl::withPlan(const Status &status) const {
  if (!device || !absl::IsResourceExhausted(status))
    return status;
  int64_t weightBytes = 0, cacheBytes = 0;
  for (size_t i = 0; i < schedule.weights.size(); ++i) {
    const WeightDecl &decl = schedule.weights[i];
    if (!rowsOnly(i))
      weightBytes += CheckedBytes(decl.dtype, decl.shape, decl.packed).value_or(0);
  }
  for (const CacheDecl &decl : schedule.caches)
    cacheBytes += 2 * cacheSlots * decl.heads * decl.dim * int64_t(DTypeSize(cacheType()));
  auto mebibytes = [](int64_t bytes) { return (bytes + (1 << 20) - 1) >> 20; };
  return Status(status.code(), absl::StrCat(status.message(), "; planned were ", mebibytes(weightBytes), " MiB of weights, ",
                                            mebibytes(schedule.arenaBytes), " MiB of intermediate results and up to ",
                                            mebibytes(cacheBytes), " MiB of KV cache"));
}

/// Makes the device's cache as large as the batch needs.
Status Session::Impl::commitCache(const Batch &batch) {
  int64_t end = 0;
  for (const Sequence &sequence : batch.sequences) {
    end = std::max(end, int64_t(sequence.slotBegin) + sequence.rowCount);
    for (SlotRange range : sequence.context)
      end = std::max(end, int64_t(range.begin) + range.count);
  }
  if (end <= committedSlots)
    return absl::OkStatus();
  for (const CacheView &cache : caches)
    for (void *part : {cache.keys, cache.values})
      COMPRESSC_RETURN_IF_ERROR(device->commit(part, end * slotBytes(cache), "the KV cache"));
  committedSlots = end;
  return absl::OkStatus();
}

Status Session::Impl::mapMemory() {
  COMPRESSC_ASSIGN_OR_RETURN(arena, map(schedule.arenaBytes, "the arena", arenaMemory));
  for (const BufferDecl &decl : schedule.buffers) {
    uint8_t *base = decl.offset >= 0 ? arena + decl.offset : nullptr;
    std::vector<int64_t> shape = ShapeWithRows(decl, 0);
    if (decl.state && decl.offset < 0) {
      COMPRESSC_ASSIGN_OR_RETURN(int64_t bytes, CheckedBytes(decl.dtype, shape, decl.packed));
      COMPRESSC_ASSIGN_OR_RETURN(base, map(bytes, "a state", stateMemory));
    }
    buffers.push_back(tensorAt(base, decl.dtype, std::move(shape), decl.packed));
  }
  if (cacheSlots > std::numeric_limits<int32_t>::max())
    return Invalid("session: ", cacheSlots, " cache slots are more than 32 bits can number");
  DType type = cacheType();
  for (const CacheDecl &decl : schedule.caches) {
    CacheView view{nullptr, nullptr, cacheSlots, decl.heads, decl.dim, type};
    for (float **part : {&view.keys, &view.values}) {
      int64_t bytes = cacheSlots * slotBytes(view);
      if (device) { // whose memory untouched slots would take
        COMPRESSC_ASSIGN_OR_RETURN(cacheMemory.emplace_back(), device->reserve(bytes, "the KV cache"));
        *part = static_cast<float *>(cacheMemory.back().get());
        continue;
      }
      COMPRESSC_ASSIGN_OR_RETURN(uint8_t * memory, map(bytes, "the KV cache", cacheMemory));
      *part = reinterpret_cast<float *>(memory);
    }
    caches.push_back(view);
  }
  return absl::OkStatus();
}

void Session::Impl::prepareOperand(Operand operand, PreparedEntry &prepared,
                                   const EntryPoint &entry, Tensor &tensor) {
  switch (operand.kind) {
  case Operand::Kind::Weight:
    tensor = weights[operand.index];
    return;
  case Operand::Kind::Tokens:
    tensor.dtype = DType::I32;
    tensor.shape = {0};
    prepared.needsBatch = true;
    prepared.tokens.push_back(&tensor);
    prepared.dynamic.push_back({&tensor, Rows::Tokens});
    return;
  case Operand::Kind::Cache:
    return;
  case Operand::Kind::Buffer:
    break;
  }
  const BufferDecl &decl = schedule.buffers[operand.index];
  tensor = buffers[operand.index];
  if (decl.rows != Rows::Fixed) {
    prepared.needsBatch = true;
    prepared.dynamic.push_back({&tensor, decl.rows});
  }
  for (size_t i = 0; i < entry.inputs.size(); ++i)
    if (entry.inputs[i] == operand.index)
      prepared.bound[i].push_back(&tensor);
}

void Session::Impl::prepare(const EntryPoint &entry, PreparedEntry &prepared) {
  prepared.bound.resize(entry.inputs.size());
  prepared.calls.resize(entry.calls.size()); // never resized again: operands are pointed to
  for (size_t i = 0; i < entry.calls.size(); ++i) {
    const Call &call = entry.calls[i];
    PreparedCall &target = prepared.calls[i];
    target.call = &call;
    target.function = FindKernel(call.kernel, device);
    target.inputs.reserve(call.inputs.size());
    for (Operand operand : call.inputs) {
      if (operand.kind == Operand::Kind::Cache) {
        target.caches.push_back(caches[operand.index]);
        prepared.needsBatch = true;
        continue;
      }
      prepareOperand(operand, prepared, entry, target.inputs.emplace_back());
    }
    target.outputs.reserve(call.outputs.size());
    for (Operand operand : call.outputs)
      prepareOperand(operand, prepared, entry, target.outputs.emplace_back());
  }
  for (int32_t index : entry.inputs)
    prepared.needsBatch |= schedule.buffers[index].rows != Rows::Fixed;
}

Status Session::Impl::bindInputs(const EntryPoint &entry, PreparedEntry &prepared,
                                 absl::Span<const Tensor> inputs) {
  if (inputs.size() != entry.inputs.size())
    return Invalid(inputs.size(), " inputs are bound, it has ", entry.inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    const BufferDecl &decl = schedule.buffers[entry.inputs[i]];
    int64_t rows = decl.rows == Rows::Tokens ? prepared.rows : prepared.selected;
    bool wideVector = device && inputs[i].dtype == DType::F32 && decl.shape.size() == 1 &&
                      decl.rows == Rows::Fixed && (decl.dtype == DType::F16 || decl.dtype == DType::BF16);
    Status status = checkTensor(inputs[i], wideVector ? DType::F32 : decl.dtype, ShapeWithRows(decl, rows), decl.packed);
    if (!status.ok())
      return WithContext(status, absl::StrCat("input ", i));
    for (Tensor *use : prepared.bound[i])
      *use = inputs[i];
  }
  return absl::OkStatus();
}

StatusOr<PreparedEntry *> Session::Impl::findPrepared(const EntryPoint &entry) {
  if (entries.empty())
    return absl::FailedPreconditionError("the session's memory was released");
  const EntryPoint *known = schedule.find(entry.name);
  if (!known)
    return Invalid("there is no entry point \"", entry.name, "\" in this session's schedule");
  return &entries[known - schedule.entries.data()];
}

Status Session::Impl::bindProgram(const program::Program &program) {
  if (std::string digest = ScheduleDigest(schedule); digest != program.schedule)
    return Invalid("the compiled program is of another schedule (", program.schedule, ", not ", digest,
                   "); compile the model again");
  for (size_t i = 0; i < program.entryCount; ++i) {
    const EntryPoint *entry = schedule.find(program.entries[i].name);
    if (!entry || !entry->inputs.empty())
      return Invalid("the compiled entry point ", program.entries[i].name, " is not one of the schedule's");
    entries[entry - schedule.entries.data()].compiled = program.entries[i].run;
  }
  for (size_t i = 0; i < weights.size(); ++i) {
    COMPRESSC_ASSIGN_OR_RETURN(programWeights.emplace_back(),
                               ProgramWeight::Create(weights[i], schedule.weights[i].key));
  }
  if (device) {
    COMPRESSC_ASSIGN_OR_RETURN(deviceProgram, device->bindProgram(program.schedule, programWeights, caches, arena));
  }
  return absl::OkStatus();
}

Status Session::Impl::interpret(PreparedEntry &prepared, KernelContext &context) {
  for (PreparedCall &call : prepared.calls) {
    // When no row is selected, there is nothing to compute behind the selection; caches are still filled.
    bool anyOutput = call.outputs.empty() || !call.caches.empty();
    for (const Tensor &output : call.outputs)
      anyOutput |= output.elements() != 0;
    if (!anyOutput)
      continue;
    Status status = call.function(
        context, {call.inputs, call.outputs, absl::MakeSpan(call.caches), call.call->attributes});
    if (status.ok() && checking)
      status = checkFinite(call);
    if (!status.ok())
      return callFailed(*call.call, status);
  }
  return absl::OkStatus();
}

Status Session::Impl::checkFinite(const PreparedCall &call) const {
  for (size_t i = 0; i < call.outputs.size(); ++i) {
    const Tensor &output = call.outputs[i];
    std::vector<uint8_t> copy;
    const void *data = output.data;
    if (device && output.elements() > 0) {
      copy.resize(size_t(output.bytes()));
      COMPRESSC_RETURN_IF_ERROR(device->download(copy.data(), data, output.bytes()));
      data = copy.data();
    }
    int64_t bad = firstNotFinite(output, data);
    if (bad < 0)
      continue;
    std::vector<std::string> keys;
    for (const Operand &operand : call.call->inputs)
      if (operand.kind == Operand::Kind::Weight)
        keys.push_back(schedule.weights[operand.index].key);
    int64_t width = output.elements() / std::max<int64_t>(output.dim(0), 1);
    return Invalid("buffer ", call.call->outputs[i].index, ", row ", bad / width, ", column ", bad % width,
                   " is the first value that is NaN or infinite; ",
                   keys.empty() ? std::string("it is computed without weights") : "its weights are " + absl::StrJoin(keys, ", "));
  }
  return absl::OkStatus();
}

Session::Session(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
Session::~Session() = default;
const Schedule &Session::schedule() const { return impl->schedule; }
int64_t Session::cacheSlots() const { return impl->cacheSlots; }
bool Session::compiled() const {
  return std::any_of(impl->entries.begin(), impl->entries.end(),
                     [](const PreparedEntry &entry) { return entry.compiled; });
}

StatusOr<std::unique_ptr<Session>> Session::Create(Schedule schedule,
                                                   const WeightResolver &resolver, ThreadPool &pool,
                                                   SessionOptions options) {
  COMPRESSC_RETURN_IF_ERROR(CheckSchedule(schedule));
  auto impl = std::make_unique<Impl>(std::move(schedule), pool, options.device);
  if (options.device)
    COMPRESSC_RETURN_IF_ERROR(impl->checkDevice());
  impl->ownsWeights = !options.uploaded;
  impl->cacheSlots = options.cacheSlots > 0 ? options.cacheSlots : impl->schedule.maxTokens;
  COMPRESSC_RETURN_IF_ERROR(impl->withPlan(impl->bindWeights(resolver, options.uploaded ? *options.uploaded : impl->uploaded)));
  COMPRESSC_RETURN_IF_ERROR(impl->withPlan(impl->mapMemory()));
  impl->entries.resize(impl->schedule.entries.size());
  for (size_t i = 0; i < impl->entries.size(); ++i)
    impl->prepare(impl->schedule.entries[i], impl->entries[i]);
  if (options.program)
    COMPRESSC_RETURN_IF_ERROR(impl->bindProgram(*options.program));
  return std::unique_ptr<Session>(new Session(std::move(impl)));
}

Status Session::run(const EntryPoint &entry, const Batch *batch, absl::Span<const Tensor> inputs) {
  COMPRESSC_ASSIGN_OR_RETURN(PreparedEntry * prepared, impl->findPrepared(entry));
  const EntryPoint &known = impl->schedule.entries[prepared - impl->entries.data()];
  prepared->hasRun = false;
  if (!batch && prepared->needsBatch)
    return Invalid("entry point ", known.name, " works on rows of a batch; run it with one");
  if (batch)
    COMPRESSC_RETURN_IF_ERROR(CheckBatch(
        *batch, {impl->schedule.maxTokens, impl->schedule.maxSelected, impl->cacheSlots}));
  prepared->rows = batch ? batch->rows() : 0;
  prepared->selected = batch ? int64_t(batch->selectedRows.size()) : 0;
  COMPRESSC_RETURN_IF_ERROR(WithContext(impl->bindInputs(known, *prepared, inputs),
                                        absl::StrCat("entry point ", known.name)));
  for (auto [tensor, rows] : prepared->dynamic)
    tensor->shape[0] = rows == Rows::Tokens ? prepared->rows : prepared->selected;
  for (Tensor *tensor : prepared->tokens)
    tensor->data = const_cast<int32_t *>(batch->tokens.data());

  Status status;
  KernelContext context{impl->pool, impl->scratch, batch, impl->device};
  bool replayed = false;
  if (impl->device && batch) {
    COMPRESSC_RETURN_IF_ERROR(impl->withPlan(impl->commitCache(*batch)));
    // The session of a step is run for its batches, and goes.
    bool repeated = impl->ownsWeights && known.inputs.empty() && !impl->checking;
    replayed = impl->device->beginBatch(*batch, repeated ? prepared : nullptr);
  }
  if (replayed) {
    // finishBatch runs what was recorded.
  } else if (impl->deviceProgram && !impl->checking && impl->deviceProgram->start(known.name, context)) {
    // finishBatch tells.
  } else if (prepared->compiled && !impl->device && !impl->checking) {
    status = RunProgram(prepared->compiled, context, impl->arena, impl->programWeights.data(), impl->caches.data());
  } else {
    status = impl->interpret(*prepared, context);
  }
  if (impl->device)
    status.Update(impl->withPlan(impl->device->finishBatch()));
  COMPRESSC_RETURN_IF_ERROR(status);
  prepared->hasRun = true;
  return absl::OkStatus();
}

Status Session::runChecked(const EntryPoint &entry, const Batch &batch) {
  impl->checking = true;
  Status status = run(entry, &batch);
  impl->checking = false;
  return status;
}

void Session::releaseAllButStates() {
  impl->entries.clear();
  impl->caches.clear();
  impl->cacheMemory.clear();
  impl->arenaMemory.clear();
  impl->scratch.release();
}

StatusOr<Tensor> Session::output(const EntryPoint &entry, size_t index) const {
  COMPRESSC_ASSIGN_OR_RETURN(PreparedEntry * prepared, impl->findPrepared(entry));
  const EntryPoint &known = impl->schedule.entries[prepared - impl->entries.data()];
  if (!prepared->hasRun)
    return absl::FailedPreconditionError(
        absl::StrCat("entry point ", known.name, " has not run, it has no output yet"));
  if (index >= known.outputs.size())
    return Invalid("entry point ", known.name, " has ", known.outputs.size(), " outputs, not ",
                   index + 1);
  int32_t buffer = known.outputs[index];
  Tensor tensor = impl->buffers[buffer];
  Rows rows = impl->schedule.buffers[buffer].rows;
  if (rows != Rows::Fixed)
    tensor.shape[0] = rows == Rows::Tokens ? prepared->rows : prepared->selected;
  return tensor;
}

} // namespace compressc
