#include "schedule_check.h"
#include <algorithm>
#include <cmath>
#include <set>

namespace compressc {
namespace {

constexpr size_t maxRank = 8;
/// Kernels may load whole cache lines and vectors from the start of a buffer.
constexpr int64_t bufferAlignment = 64;

StatusOr<int64_t> multiply(int64_t a, int64_t b) {
  int64_t product;
  if (__builtin_mul_overflow(a, b, &product) || product > maxTensorBytes)
    return Invalid("the tensor is too large");
  return product;
}

Status checkPacked(absl::Span<const int64_t> shape, const PackedFormat &format) {
  if (shape.size() != 2)
    return Invalid("a packed tensor has two dimensions, not ", shape.size());
  if (format.bits < 1 || format.bits > 8)
    return Invalid("bits is ", format.bits, ", it must be in 1..8");
  if (format.group < 1 || shape[1] % format.group != 0)
    return Invalid("group ", format.group, " does not divide ", shape[1], " columns");
  if (format.scaleType != DType::F16 && format.scaleType != DType::BF16 &&
      format.scaleType != DType::F32)
    return Invalid("scales cannot be ", DTypeName(format.scaleType));
  // Sizes in bits stay exact: the two dimensions were multiplied below the limit before.
  return absl::OkStatus();
}

/// Buffers of the arena may share memory in turn, but a state's is its own.
Status checkStatesAlone(const Schedule &schedule, const std::vector<int64_t> &bytes) {
  std::vector<size_t> order;
  for (size_t i = 0; i < schedule.buffers.size(); ++i)
    if (schedule.buffers[i].offset >= 0)
      order.push_back(i);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    int64_t left = schedule.buffers[a].offset, right = schedule.buffers[b].offset;
    return left != right ? left < right : a < b;
  });
  int64_t anyEnd = 0, stateEnd = 0;
  for (size_t i : order) {
    const BufferDecl &buffer = schedule.buffers[i];
    if (buffer.offset < (buffer.state ? anyEnd : stateEnd))
      return Invalid("schedule: buffers[", i, "] overlaps a state",
                     "; a state keeps its memory between runs and cannot share it");
    anyEnd = std::max(anyEnd, buffer.offset + bytes[i]);
    if (buffer.state)
      stateEnd = std::max(stateEnd, buffer.offset + bytes[i]);
  }
  return absl::OkStatus();
}

Status checkWeights(const Schedule &schedule) {
  for (size_t i = 0; i < schedule.weights.size(); ++i) {
    const WeightDecl &weight = schedule.weights[i];
    std::string where =
        absl::StrCat("schedule: weights[", i, "] (", weight.key.substr(0, 256), ")");
    if (weight.key.empty())
      return Invalid(where, ": the key is empty");
    if (weight.dtype == DType::Statistics)
      return Invalid(where, ": a weight cannot be statistics");
    StatusOr<int64_t> bytes = CheckedBytes(weight.dtype, weight.shape, weight.packed);
    if (!bytes.ok())
      return WithContext(bytes.status(), where);
  }
  return absl::OkStatus();
}

Status checkBuffers(const Schedule &schedule) {
  std::vector<int64_t> bytes(schedule.buffers.size());
  for (size_t i = 0; i < schedule.buffers.size(); ++i) {
    const BufferDecl &buffer = schedule.buffers[i];
    std::string where = absl::StrCat("schedule: buffers[", i, "]");
    if (buffer.rows != Rows::Fixed && (DTypeSize(buffer.dtype) == 0 || buffer.state))
      return Invalid(where, ": a ", DTypeName(buffer.dtype), buffer.state ? " state" : " buffer",
                     " cannot have the rows of a batch");
    int64_t rows = buffer.rows == Rows::Tokens ? schedule.maxTokens : schedule.maxSelected;
    if (buffer.rows != Rows::Fixed && rows == 0)
      return Invalid(where, ": has rows of a batch, but the schedule is planned for none");
    StatusOr<int64_t> size = CheckedBytes(buffer.dtype, ShapeWithRows(buffer, rows), buffer.packed);
    if (!size.ok())
      return WithContext(size.status(), where);
    bytes[i] = *size;
    if (buffer.offset < -1 || (buffer.offset >= 0 && buffer.offset % bufferAlignment != 0))
      return Invalid(where, ": offset ", buffer.offset, " is not a multiple of ", bufferAlignment);
    if (buffer.offset >= 0 &&
        (bytes[i] > schedule.arenaBytes || buffer.offset > schedule.arenaBytes - bytes[i]))
      return Invalid(where, ": ", bytes[i], " bytes at offset ", buffer.offset,
                     " do not fit the arena of ", schedule.arenaBytes);
  }
  return checkStatesAlone(schedule, bytes);
}

Status checkCaches(const Schedule &schedule) {
  for (size_t i = 0; i < schedule.caches.size(); ++i) {
    const CacheDecl &cache = schedule.caches[i];
    constexpr int64_t most = 1 << 16;
    if (cache.heads < 1 || cache.heads > most || cache.dim < 1 || cache.dim > most)
      return Invalid("schedule: caches[", i, "]: heads ", cache.heads, " and dim ", cache.dim,
                     " must be in 1..", most);
  }
  return absl::OkStatus();
}

Status checkAttributes(const Attributes &attributes) {
  if (attributes.all().size() > maxAttributes)
    return Invalid("more than ", maxAttributes, " attributes");
  for (const auto &[name, value] : attributes.all()) {
    const auto *number = std::get_if<double>(&value);
    const auto *list = std::get_if<std::vector<double>>(&value);
    if (list && list->size() > maxAttributeValues)
      return Invalid("attribute ", name, " has more than ", maxAttributeValues, " values");
    if ((number && !std::isfinite(*number)) ||
        (list &&
         !std::all_of(list->begin(), list->end(), [](double v) { return std::isfinite(v); })))
      return Invalid("attribute ", name, " is not finite");
  }
  return absl::OkStatus();
}

class EntryCheck {
public:
  EntryCheck(const Schedule &schedule, const EntryPoint &entry)
      : schedule(schedule), entry(entry) {}

  Status run() {
    if (entry.inputs.size() > maxDeclarations || entry.outputs.size() > maxDeclarations)
      return Invalid("too many inputs or outputs");
    for (int32_t index : entry.inputs) {
      COMPRESSC_RETURN_IF_ERROR(inRange("input b", index, schedule.buffers.size()));
      if (!IsBound(schedule.buffers[index]))
        return Invalid("input b", index, " has memory of its own; an input's offset is -1");
      if (!bound.insert(index).second)
        return Invalid("input b", index, " is named twice");
    }
    for (int32_t index : entry.outputs) {
      COMPRESSC_RETURN_IF_ERROR(inRange("output b", index, schedule.buffers.size()));
      if (IsBound(schedule.buffers[index]))
        return Invalid("output b", index, " has no memory; give it an offset in the arena");
    }
    for (size_t i = 0; i < entry.calls.size(); ++i) {
      Status status = checkCall(entry.calls[i]);
      if (!status.ok())
        return WithContext(
            status, absl::StrCat("calls[", i, "] (", entry.calls[i].kernel.substr(0, 64), ")"));
    }
    return absl::OkStatus();
  }

private:
  static Status inRange(const char *what, int32_t index, size_t count) {
    if (index < 0 || size_t(index) >= count)
      return Invalid(what, index, " does not exist, there are ", count);
    return absl::OkStatus();
  }

  Status checkCall(const Call &call) const {
    if (!FindKernel(call.kernel))
      return Invalid("there is no such kernel in this runtime; build both from one version");
    if (call.inputs.size() > maxOperands || call.outputs.size() > maxOperands)
      return Invalid("more than ", maxOperands, " operands");
    for (Operand operand : call.inputs)
      COMPRESSC_RETURN_IF_ERROR(checkInput(operand));
    for (Operand operand : call.outputs) {
      if (operand.kind != Operand::Kind::Buffer)
        return Invalid("only a buffer can be an output");
      COMPRESSC_RETURN_IF_ERROR(checkInput(operand));
      if (IsBound(schedule.buffers[operand.index]))
        return Invalid("b", operand.index, " is an input of the entry point and cannot be written");
    }
    return checkAttributes(call.attributes);
  }

  Status checkInput(Operand operand) const {
    switch (operand.kind) {
    case Operand::Kind::Weight:
      return inRange("w", operand.index, schedule.weights.size());
    case Operand::Kind::Cache:
      return inRange("c", operand.index, schedule.caches.size());
    case Operand::Kind::Tokens:
      return absl::OkStatus();
    case Operand::Kind::Buffer:
      COMPRESSC_RETURN_IF_ERROR(inRange("b", operand.index, schedule.buffers.size()));
      if (IsBound(schedule.buffers[operand.index]) && !bound.count(operand.index))
        return Invalid("b", operand.index, " has no memory and is no input of the entry point");
      return absl::OkStatus();
    }
    return Invalid("unknown kind of operand");
  }

  const Schedule &schedule;
  const EntryPoint &entry;
  std::set<int32_t> bound;
};

Status checkEntries(const Schedule &schedule) {
  std::set<std::string_view> names;
  size_t calls = 0;
  for (size_t i = 0; i < schedule.entries.size(); ++i) {
    const EntryPoint &entry = schedule.entries[i];
    std::string where = absl::StrCat("schedule: entries[", i, "] (", entry.name.substr(0, 64), ")");
    if (entry.name.empty() || !names.insert(entry.name).second)
      return Invalid(where, ": the name is empty or taken");
    if ((calls += entry.calls.size()) > maxCalls)
      return Invalid(where, ": more than ", maxCalls, " calls");
    COMPRESSC_RETURN_IF_ERROR(WithContext(EntryCheck(schedule, entry).run(), where));
  }
  return absl::OkStatus();
}

} // namespace

StatusOr<int64_t> CheckedBytes(DType dtype, absl::Span<const int64_t> shape,
                               const PackedFormat &packed) {
  if (shape.size() > maxRank)
    return Invalid("rank ", shape.size(), " is over ", maxRank);
  int64_t elements = 1;
  for (int64_t dimension : shape) {
    if (dimension < 1 || dimension > maxDimension)
      return Invalid("dimension ", dimension, " is not in 1..", maxDimension);
    COMPRESSC_ASSIGN_OR_RETURN(elements, multiply(elements, dimension));
  }
  if (dtype == DType::Packed) {
    COMPRESSC_RETURN_IF_ERROR(checkPacked(shape, packed));
    return GetPackedSizes(shape[0], shape[1], packed).total;
  }
  if (dtype == DType::Statistics) {
    if (shape.size() != 1)
      return Invalid("statistics have one dimension, not ", shape.size());
    COMPRESSC_ASSIGN_OR_RETURN(int64_t square, multiply(elements, elements));
    return multiply(square + elements + 1, sizeof(float));
  }
  BlockInfo block = DTypeBlock(dtype);
  if (DTypeSize(dtype) == 0 && (shape.size() != 2 || shape[1] % block.elements != 0))
    return Invalid("a ", DTypeName(dtype), " tensor has two dimensions, the second a multiple of ",
                   block.elements);
  return multiply(elements / block.elements, block.bytes);
}

std::vector<int64_t> ShapeWithRows(const BufferDecl &buffer, int64_t rows) {
  std::vector<int64_t> shape;
  shape.reserve(buffer.shape.size() + 1);
  if (buffer.rows != Rows::Fixed)
    shape.push_back(rows);
  shape.insert(shape.end(), buffer.shape.begin(), buffer.shape.end());
  return shape;
}

Status CheckSchedule(const Schedule &schedule) {
  if (schedule.maxTokens < 0 || schedule.maxTokens > maxBatchRows)
    return Invalid("schedule: maxTokens ", schedule.maxTokens, " is not in 0..", maxBatchRows);
  if (schedule.maxSelected < 0 || schedule.maxSelected > schedule.maxTokens)
    return Invalid("schedule: maxSelected ", schedule.maxSelected, " is not in 0..maxTokens (",
                   schedule.maxTokens, ")");
  if (schedule.arenaBytes < 0 || schedule.arenaBytes > maxTensorBytes)
    return Invalid("schedule: arenaBytes ", schedule.arenaBytes, " is not in 0..", maxTensorBytes);
  if (std::max({schedule.weights.size(), schedule.buffers.size(), schedule.caches.size(),
                schedule.entries.size()}) > maxDeclarations)
    return Invalid("schedule: more than ", maxDeclarations, " declarations of one kind");
  COMPRESSC_RETURN_IF_ERROR(checkWeights(schedule));
  COMPRESSC_RETURN_IF_ERROR(checkBuffers(schedule));
  COMPRESSC_RETURN_IF_ERROR(checkCaches(schedule));
  return checkEntries(schedule);
}

} // namespace compressc
