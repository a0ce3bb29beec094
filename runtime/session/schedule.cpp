#include "compressc/runtime/schedule.h"
#include "compressc/runtime/digest.h"
#include "../base/json_reader.h"
#include "schedule_check.h"
#include <optional>
#include <cmath>

namespace compressc {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr int64_t formatVersion = 1;

// ---- Writing ------------------------------------------------------------------------------------

std::string rowsName(Rows rows) {
  return rows == Rows::Tokens ? "tokens" : rows == Rows::Selected ? "selected" : "fixed";
}

/// What a weight and a buffer have in common; `rank` tells a scalar from a forgotten shape.
void writeType(ordered_json &object, DType dtype, const std::vector<int64_t> &shape,
               const PackedFormat &packed) {
  if (dtype != DType::F32)
    object["dtype"] = std::string(DTypeName(dtype));
  object["shape"] = shape;
  if (dtype != DType::Packed)
    return;
  PackedFormat usual;
  if (packed.bits != usual.bits)
    object["bits"] = packed.bits;
  if (packed.group != usual.group)
    object["group"] = packed.group;
  if (packed.symmetric != usual.symmetric)
    object["symmetric"] = packed.symmetric;
  if (packed.scaleType != usual.scaleType)
    object["scaleType"] = std::string(DTypeName(packed.scaleType));
}

ordered_json writeWeight(const WeightDecl &weight) {
  ordered_json object;
  object["key"] = weight.key;
  writeType(object, weight.dtype, weight.shape, weight.packed);
  if (weight.plus != 0) {
    object["plus"] = weight.plus;
    object["stored"] = std::string(DTypeName(weight.stored));
  }
  return object;
}

ordered_json writeBuffer(const BufferDecl &buffer) {
  ordered_json object;
  if (buffer.rows != Rows::Fixed)
    object["rows"] = rowsName(buffer.rows);
  writeType(object, buffer.dtype, buffer.shape, buffer.packed);
  if (buffer.offset != -1)
    object["offset"] = buffer.offset;
  if (buffer.state)
    object["state"] = true;
  return object;
}

std::string writeOperand(Operand operand) {
  switch (operand.kind) {
  case Operand::Kind::Weight:
    return absl::StrCat("w", operand.index);
  case Operand::Kind::Cache:
    return absl::StrCat("c", operand.index);
  case Operand::Kind::Tokens:
    return "t";
  case Operand::Kind::Buffer:
    break;
  }
  return absl::StrCat("b", operand.index);
}

ordered_json writeOperands(const std::vector<Operand> &operands) {
  ordered_json array = ordered_json::array();
  for (Operand operand : operands)
    array.push_back(writeOperand(operand));
  return array;
}

ordered_json writeCall(const Call &call) {
  ordered_json object;
  object["kernel"] = call.kernel;
  if (!call.inputs.empty())
    object["in"] = writeOperands(call.inputs);
  if (!call.outputs.empty())
    object["out"] = writeOperands(call.outputs);
  for (const auto &[name, value] : call.attributes.all())
    std::visit([&, &name = name](const auto &v) { object["attributes"][name] = v; }, value);
  return object;
}

std::string text(const ordered_json &value) {
  // A name that is not UTF-8 must not abort the writer; the reader then finds it changed.
  return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

/// `"name": [`, one element a line, `]`.
template <typename List, typename Fn>
std::string lines(const char *name, const List &list, const Fn &write) {
  std::string out = absl::StrCat("\"", name, "\":[");
  const char *separator = "\n";
  for (const auto &element : list) {
    absl::StrAppend(&out, separator, write(element));
    separator = ",\n";
  }
  return out + (list.empty() ? "]" : "\n]");
}

// ---- Reading ------------------------------------------------------------------------------------

StatusOr<DType> readDType(const JsonObject &object, std::string_view key, DType fallback) {
  COMPRESSC_ASSIGN_OR_RETURN(std::string name,
                             object.string(key, std::string(DTypeName(fallback))));
  std::optional<DType> dtype = DTypeFromName(name);
  if (!dtype)
    return Invalid(object.where(key), ": unknown type \"", name.substr(0, 64), "\"");
  return *dtype;
}

Status readType(const JsonObject &object, DType &dtype, std::vector<int64_t> &shape,
                PackedFormat &packed) {
  COMPRESSC_ASSIGN_OR_RETURN(dtype, readDType(object, "dtype", DType::F32));
  COMPRESSC_RETURN_IF_ERROR(object.get("shape").status());
  COMPRESSC_ASSIGN_OR_RETURN(const json *dimensions, object.array("shape", 16));
  for (const json &dimension : *dimensions) {
    COMPRESSC_ASSIGN_OR_RETURN(int64_t size,
                               JsonInteger(dimension, object.where("shape"), 1, maxDimension));
    shape.push_back(size);
  }
  if (dtype != DType::Packed) {
    for (const char *key : {"bits", "group", "symmetric", "scaleType"})
      if (object.find(key))
        return Invalid(object.where(key), ": only a packed tensor has this");
    return absl::OkStatus();
  }
  COMPRESSC_ASSIGN_OR_RETURN(int64_t bits, object.integer("bits", 1, 8, packed.bits));
  packed.bits = int(bits);
  COMPRESSC_ASSIGN_OR_RETURN(packed.group, object.integer("group", 1, maxDimension, packed.group));
  COMPRESSC_ASSIGN_OR_RETURN(packed.symmetric, object.boolean("symmetric", packed.symmetric));
  COMPRESSC_ASSIGN_OR_RETURN(packed.scaleType, readDType(object, "scaleType", packed.scaleType));
  return absl::OkStatus();
}

StatusOr<WeightDecl> readWeight(const json &value, std::string where) {
  COMPRESSC_ASSIGN_OR_RETURN(
      JsonObject object,
      JsonObject::From(value, std::move(where),
                       {"key", "dtype", "shape", "bits", "group", "symmetric", "scaleType", "plus",
                        "stored"}));
  WeightDecl weight;
  COMPRESSC_ASSIGN_OR_RETURN(weight.key, object.string("key"));
  COMPRESSC_RETURN_IF_ERROR(readType(object, weight.dtype, weight.shape, weight.packed));
  if (const json *plus = object.find("plus")) {
    weight.plus = plus->is_number() ? plus->get<double>() : NAN;
    COMPRESSC_ASSIGN_OR_RETURN(weight.stored, readDType(object, "stored", DType::F32));
    if (!std::isfinite(weight.plus) || weight.dtype != DType::F32 ||
        (weight.stored != DType::F32 && weight.stored != DType::F16 && weight.stored != DType::BF16))
      return Invalid(object.where("plus"), ": must be a number that is added to plain weights");
  }
  return weight;
}

StatusOr<BufferDecl> readBuffer(const json &value, std::string where) {
  COMPRESSC_ASSIGN_OR_RETURN(JsonObject object,
                             JsonObject::From(value, std::move(where),
                                              {"rows", "dtype", "shape", "bits", "group",
                                               "symmetric", "scaleType", "offset", "state"}));
  BufferDecl buffer;
  COMPRESSC_ASSIGN_OR_RETURN(std::string rows, object.string("rows", "fixed"));
  if (rows == "tokens")
    buffer.rows = Rows::Tokens;
  else if (rows == "selected")
    buffer.rows = Rows::Selected;
  else if (rows != "fixed")
    return Invalid(object.where("rows"), ": expected \"fixed\", \"tokens\" or \"selected\"");
  COMPRESSC_RETURN_IF_ERROR(readType(object, buffer.dtype, buffer.shape, buffer.packed));
  COMPRESSC_ASSIGN_OR_RETURN(buffer.offset, object.integer("offset", -1, maxTensorBytes, -1));
  COMPRESSC_ASSIGN_OR_RETURN(buffer.state, object.boolean("state", false));
  return buffer;
}

StatusOr<CacheDecl> readCache(const json &value, std::string where) {
  COMPRESSC_ASSIGN_OR_RETURN(JsonObject object,
                             JsonObject::From(value, std::move(where), {"heads", "dim"}));
  CacheDecl cache;
  COMPRESSC_ASSIGN_OR_RETURN(cache.heads, object.integer("heads", 1, maxDimension));
  COMPRESSC_ASSIGN_OR_RETURN(cache.dim, object.integer("dim", 1, maxDimension));
  return cache;
}

StatusOr<Operand> readOperand(const json &value, const std::string &where) {
  COMPRESSC_ASSIGN_OR_RETURN(std::string name, JsonString(value, where));
  if (name == "t")
    return Operand{Operand::Kind::Tokens, 0};
  Operand operand;
  bool plain = name.size() >= 2 && name.size() <= 8 && (name[1] != '0' || name.size() == 2);
  for (size_t i = 1; i < name.size() && plain; ++i) {
    plain = name[i] >= '0' && name[i] <= '9';
    operand.index = operand.index * 10 + (name[i] - '0');
  }
  if (plain && name[0] == 'w')
    operand.kind = Operand::Kind::Weight;
  else if (plain && name[0] == 'b')
    operand.kind = Operand::Kind::Buffer;
  else if (plain && name[0] == 'c')
    operand.kind = Operand::Kind::Cache;
  else
    return Invalid(where, ": \"", name.substr(0, 64),
                   "\" is no operand; these are spelled w3, b0, c1 or t");
  return operand;
}

StatusOr<std::vector<Operand>> readOperands(const JsonObject &object, std::string_view key) {
  COMPRESSC_ASSIGN_OR_RETURN(const json *array, object.array(key, maxOperands));
  std::vector<Operand> operands;
  for (const json &value : *array) {
    COMPRESSC_ASSIGN_OR_RETURN(Operand operand, readOperand(value, object.where(key)));
    operands.push_back(operand);
  }
  return operands;
}

StatusOr<Attributes::Value> readAttribute(const json &value, const std::string &where) {
  if (value.is_number_float())
    return Attributes::Value(value.get<double>());
  if (value.is_number()) {
    COMPRESSC_ASSIGN_OR_RETURN(int64_t number, JsonInteger(value, where, INT64_MIN, INT64_MAX));
    return Attributes::Value(number);
  }
  if (value.is_string())
    return Attributes::Value(value.get<std::string>());
  if (!value.is_array())
    return Invalid(where, ": expected a number, a string or a list of numbers");
  if (value.size() > maxAttributeValues)
    return Invalid(where, ": more than ", maxAttributeValues, " values");
  std::vector<double> list;
  list.reserve(value.size());
  for (const json &element : value) {
    if (!element.is_number())
      return Invalid(where, ": a list can hold only numbers");
    list.push_back(element.get<double>());
  }
  return Attributes::Value(std::move(list));
}

StatusOr<Call> readCall(const json &value, std::string where) {
  COMPRESSC_ASSIGN_OR_RETURN(
      JsonObject object,
      JsonObject::From(value, std::move(where), {"kernel", "in", "out", "attributes"}));
  Call call;
  COMPRESSC_ASSIGN_OR_RETURN(call.kernel, object.string("kernel"));
  COMPRESSC_ASSIGN_OR_RETURN(call.inputs, readOperands(object, "in"));
  COMPRESSC_ASSIGN_OR_RETURN(call.outputs, readOperands(object, "out"));
  const json *attributes = object.find("attributes");
  if (!attributes)
    return call;
  if (!attributes->is_object() || attributes->size() > maxAttributes)
    return Invalid(object.where("attributes"), ": expected an object of at most ", maxAttributes);
  for (auto it = attributes->begin(); it != attributes->end(); ++it) {
    COMPRESSC_ASSIGN_OR_RETURN(
        Attributes::Value attribute,
        readAttribute(it.value(), object.where("attributes") + "." + it.key().substr(0, 64)));
    call.attributes.set(it.key(), std::move(attribute));
  }
  return call;
}

StatusOr<int32_t> readBufferIndex(const json &value, std::string where) {
  COMPRESSC_ASSIGN_OR_RETURN(Operand operand, readOperand(value, where));
  if (operand.kind != Operand::Kind::Buffer)
    return Invalid(where, ": only a buffer can be an input or output of an entry point");
  return operand.index;
}

template <typename T, typename Fn>
Status readList(const JsonObject &object, std::string_view key, size_t limit, std::vector<T> &list,
                const Fn &read) {
  COMPRESSC_ASSIGN_OR_RETURN(const json *array, object.array(key, limit));
  list.reserve(array->size());
  for (size_t i = 0; i < array->size(); ++i) {
    COMPRESSC_ASSIGN_OR_RETURN(T element,
                               read((*array)[i], absl::StrCat(object.where(key), "[", i, "]")));
    list.push_back(std::move(element));
  }
  return absl::OkStatus();
}

StatusOr<EntryPoint> readEntry(const json &value, std::string where) {
  COMPRESSC_ASSIGN_OR_RETURN(
      JsonObject object,
      JsonObject::From(value, std::move(where), {"name", "inputs", "outputs", "calls"}));
  EntryPoint entry;
  COMPRESSC_ASSIGN_OR_RETURN(entry.name, object.string("name"));
  COMPRESSC_RETURN_IF_ERROR(
      readList(object, "inputs", maxDeclarations, entry.inputs, readBufferIndex));
  COMPRESSC_RETURN_IF_ERROR(
      readList(object, "outputs", maxDeclarations, entry.outputs, readBufferIndex));
  COMPRESSC_RETURN_IF_ERROR(readList(object, "calls", maxCalls, entry.calls, readCall));
  return entry;
}

std::string writeEntry(const EntryPoint &entry) {
  auto writeBuffers = [](const std::vector<int32_t> &indices) {
    ordered_json array = ordered_json::array();
    for (int32_t index : indices)
      array.push_back(absl::StrCat("b", index));
    return text(array);
  };
  return absl::StrCat("{\"name\":", text(entry.name), ",\"inputs\":", writeBuffers(entry.inputs),
                      ",\"outputs\":", writeBuffers(entry.outputs), ",",
                      lines("calls", entry.calls, [](const Call &c) { return text(writeCall(c)); }),
                      "}");
}

} // namespace

const EntryPoint *Schedule::find(std::string_view name) const {
  for (const EntryPoint &entry : entries)
    if (entry.name == name)
      return &entry;
  return nullptr;
}

std::string SerializeSchedule(const Schedule &schedule) {
  auto weight = [](const WeightDecl &decl) { return text(writeWeight(decl)); };
  auto buffer = [](const BufferDecl &decl) { return text(writeBuffer(decl)); };
  auto cache = [](const CacheDecl &decl) {
    return absl::StrCat("{\"heads\":", decl.heads, ",\"dim\":", decl.dim, "}");
  };
  return absl::StrCat(
      "{\"version\":", formatVersion, ",\"maxTokens\":", schedule.maxTokens,
      ",\"maxSelected\":", schedule.maxSelected, ",\"arenaBytes\":", schedule.arenaBytes, ",\n",
      lines("weights", schedule.weights, weight), ",\n", lines("buffers", schedule.buffers, buffer),
      ",\n", lines("caches", schedule.caches, cache), ",\n",
      lines("entries", schedule.entries, writeEntry), "}\n");
}

std::string ScheduleDigest(const Schedule &schedule) {
  return TextDigest(SerializeSchedule(schedule));
}

StatusOr<Schedule> ScheduleFromJson(const json &value) {
  COMPRESSC_ASSIGN_OR_RETURN(JsonObject object,
                             JsonObject::From(value, "schedule",
                                              {"version", "maxTokens", "maxSelected", "arenaBytes",
                                               "weights", "buffers", "caches", "entries"}));
  COMPRESSC_ASSIGN_OR_RETURN(int64_t version, object.integer("version", 1, INT64_MAX));
  if (version != formatVersion)
    return Invalid("schedule: version ", version, " is not ", formatVersion,
                   "; compile the model again with the compiler of this runtime");
  Schedule schedule;
  COMPRESSC_ASSIGN_OR_RETURN(schedule.maxTokens, object.integer("maxTokens", 0, maxBatchRows));
  COMPRESSC_ASSIGN_OR_RETURN(schedule.maxSelected, object.integer("maxSelected", 0, maxBatchRows));
  COMPRESSC_ASSIGN_OR_RETURN(schedule.arenaBytes, object.integer("arenaBytes", 0, maxTensorBytes));
  COMPRESSC_RETURN_IF_ERROR(
      readList(object, "weights", maxDeclarations, schedule.weights, readWeight));
  COMPRESSC_RETURN_IF_ERROR(
      readList(object, "buffers", maxDeclarations, schedule.buffers, readBuffer));
  COMPRESSC_RETURN_IF_ERROR(
      readList(object, "caches", maxDeclarations, schedule.caches, readCache));
  COMPRESSC_RETURN_IF_ERROR(
      readList(object, "entries", maxDeclarations, schedule.entries, readEntry));
  COMPRESSC_RETURN_IF_ERROR(CheckSchedule(schedule));
  return schedule;
}

StatusOr<Schedule> ParseSchedule(std::string_view text) {
  COMPRESSC_ASSIGN_OR_RETURN(json value, ParseJson(text, "schedule"));
  return ScheduleFromJson(value);
}

} // namespace compressc
