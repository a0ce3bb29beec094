#include "compressc/runtime/safetensors.h"
#include "compressc/runtime/text.h"
#include "output_file.h"

#include "nlohmann/json.hpp"
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <limits>
#include <mutex>
#include <set>
#include <tuple>

namespace compressc {

namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t maxHeaderBytes = 100'000'000;
constexpr size_t maxIndexBytes = 100'000'000;
constexpr size_t maxRank = 32;

struct DTypeRow {
  std::string_view name;
  int bits;
};

// Every type of the format whose size is known; a sub-byte element is stored packed.
constexpr DTypeRow knownTypes[] = {
    {"F64", 64},    {"I64", 64},    {"U64", 64},        {"C64", 64},        {"F32", 32},
    {"I32", 32},    {"U32", 32},    {"F16", 16},        {"BF16", 16},       {"I16", 16},
    {"U16", 16},    {"BOOL", 8},    {"U8", 8},          {"I8", 8},          {"F8_E4M3", 8},
    {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"F6_E2M3", 6},
    {"F6_E3M2", 6}, {"F4", 4},
};

/// 0 for a type that is not known.
int bitsOf(std::string_view dtype) {
  for (const DTypeRow &row : knownTypes)
    if (row.name == dtype)
      return row.bits;
  return 0;
}

bool productOverflows(const std::vector<int64_t> &shape, int64_t &product) {
  product = 1;
  for (int64_t dim : shape)
    if (__builtin_mul_overflow(product, dim, &product))
      return true;
  return false;
}

/// The bytes that `shape` of `dtype` takes; an error text when there is no such number.
StatusOr<int64_t> sizeInBytes(const std::vector<int64_t> &shape, std::string_view dtype) {
  int64_t bits;
  if (productOverflows(shape, bits) || __builtin_mul_overflow(bits, int64_t(bitsOf(dtype)), &bits))
    return Invalid("the shape is too large");
  if (bits % 8 != 0)
    return Invalid("the elements do not fill whole bytes");
  return bits / 8;
}

struct HeaderTensor {
  std::string name, dtype;
  std::vector<int64_t> shape;
  int64_t begin = 0, end = 0;
};

/// Common part of the two JSON readers below. They read events, not a document, because a document
/// hides duplicate names and lets a hostile file take many times its size in memory.
class JsonReader : public nlohmann::json_sax<Json> {
public:
  std::string error;

  bool binary(binary_t &) override { return fail("binary data"); }
  bool parse_error(size_t position, const std::string &,
                   const nlohmann::detail::exception &) override {
    return fail("not valid JSON at byte " + std::to_string(position));
  }

protected:
  bool fail(std::string message) {
    if (error.empty())
      error = std::move(message);
    return false;
  }
};

/// { name: { "dtype": string, "shape": [n...], "data_offsets": [begin, end] }..., "__metadata__"?:
/// {...} }
class HeaderReader : public JsonReader {
public:
  std::vector<HeaderTensor> tensors;

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("true or false"); }
  bool number_float(double, const std::string &text) override { return unexpected(text.c_str()); }
  bool number_integer(int64_t value) override {
    return unexpected(("the negative number " + std::to_string(value)).c_str());
  }

  bool number_unsigned(uint64_t value) override {
    if (place != InShape && place != InOffsets)
      return unexpected("a number");
    if (value > uint64_t(std::numeric_limits<int64_t>::max()))
      return failTensor("a number is too large");
    std::vector<int64_t> &list = place == InShape ? tensors.back().shape : offsets;
    if (list.size() >= (place == InShape ? maxRank : 2))
      return failTensor(place == InShape ? "too many dimensions"
                                         : "'data_offsets' must hold two numbers");
    list.push_back(int64_t(value));
    return true;
  }

  bool string(std::string &value) override {
    if (place == InMetadata)
      return true;
    if (place != InTensor || field != "dtype")
      return unexpected("a string");
    if (value.empty())
      return failTensor("'dtype' is empty");
    tensors.back().dtype = value;
    field.clear();
    return true;
  }

  bool start_object(size_t) override {
    if (place == Outside)
      place = InHeader;
    else if (place == InHeader)
      place = name == "__metadata__" ? InMetadata : InTensor;
    else
      return unexpected("an object");
    if (place == InTensor) {
      tensors.emplace_back().name = name;
      offsets.clear();
      fields.clear();
    }
    return true;
  }

  bool key(std::string &text) override {
    if (place == InHeader) {
      name = text;
      if (!names.insert(text).second)
        return fail("two entries are named " + Quoted(text));
    } else if (place == InTensor) {
      if (text != "dtype" && text != "shape" && text != "data_offsets")
        return failTensor("unknown field " + Quoted(text));
      if (!fields.insert(text).second)
        return failTensor("field " + Quoted(text) + " stands twice");
      field = text;
    }
    return true;
  }

  bool end_object() override {
    if (place == InTensor) {
      if (fields.size() != 3)
        return failTensor("'dtype', 'shape' or 'data_offsets' is missing");
      tensors.back().begin = offsets[0];
      tensors.back().end = offsets[1];
    }
    place = place == InHeader ? Outside : InHeader;
    return true;
  }

  bool start_array(size_t) override {
    if (place == InTensor && field == "shape")
      place = InShape;
    else if (place == InTensor && field == "data_offsets")
      place = InOffsets;
    else
      return unexpected("a list");
    return true;
  }

  bool end_array() override {
    if (place == InOffsets && offsets.size() != 2)
      return failTensor("'data_offsets' must hold two numbers");
    place = InTensor;
    field.clear();
    return true;
  }

private:
  enum Place { Outside, InHeader, InMetadata, InTensor, InShape, InOffsets };
  Place place = Outside;
  std::string name, field;
  std::set<std::string> names, fields;
  std::vector<int64_t> offsets;

  bool failTensor(const std::string &message) {
    return fail("tensor " + Quoted(name) + ": " + message);
  }
  bool unexpected(const char *what) {
    switch (place) {
    case Outside:
      return fail("not an object");
    case InHeader:
    case InMetadata:
      return fail("the entry " + Quoted(name) + " holds " + what + " where it must not");
    case InTensor:
      return failTensor("field " + Quoted(field) + " must not be " + what);
    case InShape:
      return failTensor(std::string("'shape' must hold integers from 0 on, not ") + what);
    case InOffsets:
      return failTensor(std::string("'data_offsets' must hold integers from 0 on, not ") + what);
    }
    return false;
  }
};

/// The "weight_map" of model.safetensors.index.json; other entries are skipped.
class IndexReader : public JsonReader {
public:
  std::map<std::string, std::string> shardOf;
  bool found = false;

  bool null() override { return value("null"); }
  bool boolean(bool) override { return value("true or false"); }
  bool number_float(double, const std::string &) override { return value("a number"); }
  bool number_integer(int64_t) override { return value("a number"); }
  bool number_unsigned(uint64_t) override { return value("a number"); }
  bool string(std::string &text) override {
    if (!inMap)
      return value("a string");
    if (!shardOf.emplace(name, text).second)
      return fail("tensor " + Quoted(name) + " stands twice in 'weight_map'");
    return true;
  }
  bool start_object(size_t) override {
    if (depth == 1 && name == "weight_map") {
      if (found)
        return fail("'weight_map' stands twice");
      found = inMap = true;
    } else if (!value("an object")) {
      return false;
    }
    ++depth;
    return true;
  }
  bool end_object() override {
    inMap = false;
    --depth;
    return true;
  }
  bool key(std::string &text) override {
    if (depth == 1 || inMap)
      name = text;
    return true;
  }
  bool start_array(size_t) override {
    if (depth == 0)
      return fail("not an object");
    if (!value("a list"))
      return false;
    ++depth;
    return true;
  }
  bool end_array() override {
    --depth;
    return true;
  }

private:
  int64_t depth = 0;
  bool inMap = false;
  std::string name;

  bool value(const char *what) {
    if (inMap)
      return fail("'weight_map' gives " + Quoted(name) + " " + what + " instead of a file name");
    if (depth == 0 && std::string_view(what) != "an object")
      return fail("not an object");
    if (depth == 1 && name == "weight_map")
      return fail("'weight_map' is not an object");
    return true;
  }
};

/// Buffers must follow each other without a gap from the first to the last byte of the data.
Status checkCoverage(const std::string &path, const std::vector<HeaderTensor> &tensors,
                     int64_t dataBytes) {
  std::vector<const HeaderTensor *> order;
  order.reserve(tensors.size());
  for (const HeaderTensor &tensor : tensors)
    order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const HeaderTensor *a, const HeaderTensor *b) {
    return std::tie(a->begin, a->end, a->name) < std::tie(b->begin, b->end, b->name);
  });
  int64_t position = 0;
  for (const HeaderTensor *tensor : order) {
    if (tensor->begin != position)
      return Invalid(path, ": tensor ", Quoted(tensor->name), ": its data begins at ",
                     tensor->begin, " but the data before it ends at ", position,
                     tensor->begin < position ? " (overlap)" : " (hole)");
    position = tensor->end;
  }
  if (position != dataBytes)
    return Invalid(path, ": the tensors end at ", position, " but the file holds ", dataBytes,
                   " bytes of data");
  return absl::OkStatus();
}

Status addTensors(const std::shared_ptr<MappedFile> &file,
                  std::map<std::string, StoredTensor> &entries) {
  const std::string &path = file->path();
  if (file->size() < 8)
    return Invalid(path, ": truncated: too short for a safetensors file");
  uint64_t headerBytes;
  std::memcpy(&headerBytes, file->data(), 8);
  if (headerBytes > maxHeaderBytes)
    return Invalid(path, ": not a safetensors file: its header would be ", headerBytes,
                   " bytes long, more than ", maxHeaderBytes);
  if (headerBytes > file->size() - 8)
    return Invalid(path, ": truncated: the header of ", headerBytes,
                   " bytes goes beyond the end of the file");
  auto header = reinterpret_cast<const char *>(file->data() + 8);
  // The JSON reader would take a NUL for the end and skip a byte order mark.
  if (headerBytes == 0 || header[0] != '{' || std::memchr(header, 0, headerBytes))
    return Invalid(path, ": the header is not a JSON object");
  HeaderReader reader;
  if (!Json::sax_parse(header, header + headerBytes, &reader))
    return Invalid(path, ": header: ", reader.error);

  int64_t dataBytes = int64_t(file->size() - 8 - headerBytes);
  const uint8_t *data = file->data() + 8 + headerBytes;
  for (const HeaderTensor &tensor : reader.tensors) {
    std::string where = path + ": tensor " + Quoted(tensor.name);
    if (tensor.begin > tensor.end)
      return Invalid(where, ": its data ends at ", tensor.end, ", before it begins at ",
                     tensor.begin);
    if (tensor.end > dataBytes)
      return Invalid(where, ": its data ends at ", tensor.end, ", beyond the ", dataBytes,
                     " bytes of data (truncated file?)");
    int64_t elements;
    if (productOverflows(tensor.shape, elements))
      return Invalid(where, ": the shape is too large");
    if (bitsOf(tensor.dtype) != 0) {
      StatusOr<int64_t> bytes = sizeInBytes(tensor.shape, tensor.dtype);
      if (!bytes.ok())
        return WithContext(bytes.status(), where);
      if (*bytes != tensor.end - tensor.begin)
        return Invalid(where, ": its shape takes ", *bytes, " bytes as ", tensor.dtype,
                       " but its data has ", tensor.end - tensor.begin);
    }
  }
  COMPRESSC_RETURN_IF_ERROR(checkCoverage(path, reader.tensors, dataBytes));

  for (HeaderTensor &tensor : reader.tensors) {
    StoredTensor stored{std::move(tensor.dtype), std::move(tensor.shape), data + tensor.begin,
                        tensor.end - tensor.begin, file};
    auto [it, inserted] = entries.try_emplace(tensor.name, std::move(stored));
    if (!inserted)
      return Invalid(path, ": tensor ", Quoted(tensor.name), " is also in ",
                     it->second.file->path());
  }
  return absl::OkStatus();
}

/// A shard must lie beside its index.
bool isPlainFileName(const std::string &name) {
  return !name.empty() && name != "." && name != ".." && name.size() <= 255 &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
}

bool isFile(const std::string &path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error);
}

StatusOr<std::vector<std::string>> safetensorsFiles(const std::string &directory) {
  std::error_code error;
  std::vector<std::string> paths;
  std::filesystem::directory_iterator it(directory, error), end;
  for (; !error && it != end; it.increment(error))
    if (it->path().extension() == ".safetensors" && isFile(it->path().string()))
      paths.push_back(it->path().string());
  if (error)
    return IOError(directory, ": cannot list: ", error.message());
  std::sort(paths.begin(), paths.end());
  return paths;
}

} // namespace

StatusOr<SafetensorsReader> SafetensorsReader::OpenFile(const std::string &path) {
  COMPRESSC_ASSIGN_OR_RETURN(std::shared_ptr<MappedFile> file, MappedFile::Open(path));
  return FromMapped(std::move(file));
}

StatusOr<SafetensorsReader> SafetensorsReader::FromMapped(std::shared_ptr<MappedFile> file) {
  SafetensorsReader reader;
  COMPRESSC_RETURN_IF_ERROR(addTensors(file, reader.entries));
  reader.totalFileBytes = int64_t(file->size());
  return reader;
}

StatusOr<SafetensorsReader> SafetensorsReader::OpenDirectory(const std::string &directory) {
  std::string single = directory + "/model.safetensors";
  if (isFile(single))
    return OpenFile(single);

  SafetensorsReader reader;
  std::string indexPath = directory + "/model.safetensors.index.json";
  if (!isFile(indexPath)) {
    COMPRESSC_ASSIGN_OR_RETURN(std::vector<std::string> paths, safetensorsFiles(directory));
    if (paths.empty())
      return Invalid(directory, ": there is no safetensors file in this directory");
    for (const std::string &path : paths) {
      COMPRESSC_ASSIGN_OR_RETURN(std::shared_ptr<MappedFile> file, MappedFile::Open(path));
      COMPRESSC_RETURN_IF_ERROR(addTensors(file, reader.entries));
      reader.totalFileBytes += int64_t(file->size());
    }
    return reader;
  }

  COMPRESSC_ASSIGN_OR_RETURN(std::string text, ReadFile(indexPath, maxIndexBytes));
  IndexReader index;
  // As in a header, a NUL would end the JSON early.
  if (text.find('\0') != std::string::npos || !Json::sax_parse(text, &index))
    return Invalid(indexPath, ": ", index.error.empty() ? "not valid JSON" : index.error);
  if (!index.found || index.shardOf.empty())
    return Invalid(indexPath, ": 'weight_map' is missing or empty");

  std::map<std::string, std::map<std::string, StoredTensor>> shards;
  for (const auto &[name, shard] : index.shardOf) {
    auto [it, isNew] = shards.try_emplace(shard);
    if (isNew) {
      if (!isPlainFileName(shard))
        return Invalid(indexPath, ": tensor ", Quoted(name), ": the shard ", Quoted(shard),
                       " must be the name of a file in the same directory");
      std::string path = directory + "/" + shard;
      if (!isFile(path))
        return Invalid(indexPath, ": the shard ", Quoted(shard), " of tensor ", Quoted(name),
                       " is missing: download it again");
      COMPRESSC_ASSIGN_OR_RETURN(std::shared_ptr<MappedFile> file, MappedFile::Open(path));
      COMPRESSC_RETURN_IF_ERROR(addTensors(file, it->second));
      reader.totalFileBytes += int64_t(file->size());
    }
    auto tensor = it->second.find(name);
    if (tensor == it->second.end())
      return Invalid(indexPath, ": tensor ", Quoted(name), " is not in its shard ", Quoted(shard));
    reader.entries.emplace(name, tensor->second);
  }
  return reader;
}

const StoredTensor *SafetensorsReader::find(const std::string &name) const {
  auto it = entries.find(name);
  return it == entries.end() ? nullptr : &it->second;
}

std::string_view SafetensorsName(DType dtype) {
  switch (dtype) {
  case DType::F32:
    return "F32";
  case DType::F16:
    return "F16";
  case DType::BF16:
    return "BF16";
  case DType::I32:
    return "I32";
  case DType::I64:
    return "I64";
  case DType::U8:
    return "U8";
  default:
    return {};
  }
}

std::optional<DType> DTypeFromSafetensors(std::string_view name) {
  for (DType dtype : {DType::F32, DType::F16, DType::BF16, DType::I32, DType::I64, DType::U8})
    if (SafetensorsName(dtype) == name)
      return dtype;
  return std::nullopt;
}

struct SafetensorsWriter::Impl {
  struct Slot {
    int64_t offset, bytes;
    bool written = false;
  };
  Status layOut(const std::string &path, std::vector<Entry> plan,
                const std::map<std::string, std::string> &metadata);

  std::unique_ptr<OutputFile> file;
  std::string text; // the header
  std::map<std::string, Slot> slots;
  int64_t fileBytes = 0;
  bool finished = false;
  std::mutex mutex; // guards the `written` marks; the bytes themselves go to disjoint ranges
};

SafetensorsWriter::SafetensorsWriter(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
SafetensorsWriter::~SafetensorsWriter() = default;

/// Checks the plan and gives every tensor its place; `text` becomes the header.
Status SafetensorsWriter::Impl::layOut(const std::string &path, std::vector<Entry> plan,
                                       const std::map<std::string, std::string> &metadata) {
  for (const Entry &entry : plan) {
    std::string where = path + ": tensor " + Quoted(entry.name);
    if (bitsOf(entry.dtype) == 0)
      return Invalid(where, ": unknown dtype ", Quoted(entry.dtype));
    if (std::any_of(entry.shape.begin(), entry.shape.end(), [](int64_t dim) { return dim < 0; }))
      return Invalid(where, ": negative dimension");
    StatusOr<int64_t> bytes = sizeInBytes(entry.shape, entry.dtype);
    if (!bytes.ok())
      return WithContext(bytes.status(), where);
    if (*bytes != entry.bytes)
      return Invalid(where, ": its shape takes ", *bytes, " bytes as ", entry.dtype, ", not ",
                     entry.bytes);
    if (entry.name == "__metadata__" || !IsUtf8(entry.name))
      return Invalid(where, ": not a name that safetensors can hold");
  }
  std::sort(plan.begin(), plan.end(), [](const Entry &a, const Entry &b) {
    return std::make_pair(-bitsOf(a.dtype), std::string_view(a.name)) <
           std::make_pair(-bitsOf(b.dtype), std::string_view(b.name));
  });

  Json header = Json::object();
  if (!metadata.empty()) {
    Json &texts = header["__metadata__"] = Json::object();
    for (const auto &[key, value] : metadata) {
      if (!IsUtf8(key) || !IsUtf8(value))
        return Invalid(path, ": metadata ", Quoted(key), " is not UTF-8");
      texts[key] = value;
    }
  }
  text = header.dump();
  text.pop_back(); // the object goes on
  int64_t offset = 0;
  for (const Entry &entry : plan) {
    int64_t end;
    if (__builtin_add_overflow(offset, entry.bytes, &end))
      return Invalid(path, ": the tensors are too large for one file");
    if (!slots.emplace(entry.name, Slot{offset, entry.bytes}).second)
      return Invalid(path, ": two tensors are named ", Quoted(entry.name));
    Json fields = Json::object();
    fields["dtype"] = entry.dtype;
    fields["shape"] = entry.shape;
    fields["data_offsets"] = {offset, end};
    if (text.size() > 1)
      text += ',';
    text += Json(entry.name).dump() + ":" + fields.dump();
    offset = end;
  }
  text += '}';
  text.append((8 - text.size() % 8) % 8, ' ');
  if (text.size() > maxHeaderBytes)
    return Invalid(path, ": the names of the tensors take more than ", maxHeaderBytes, " bytes");

  int64_t dataStart = int64_t(8 + text.size());
  if (__builtin_add_overflow(dataStart, offset, &fileBytes))
    return Invalid(path, ": the tensors are too large for one file");
  for (auto &[name, slot] : slots)
    slot.offset += dataStart;
  return absl::OkStatus();
}

StatusOr<int64_t> SafetensorsWriter::FileBytes(const std::string &path, std::vector<Entry> plan,
                                               std::map<std::string, std::string> metadata) {
  Impl impl;
  COMPRESSC_RETURN_IF_ERROR(impl.layOut(path, std::move(plan), metadata));
  return impl.fileBytes;
}

StatusOr<std::unique_ptr<SafetensorsWriter>>
SafetensorsWriter::Create(const std::string &path, std::vector<Entry> plan,
                          std::map<std::string, std::string> metadata) {
  auto impl = std::make_unique<Impl>();
  COMPRESSC_RETURN_IF_ERROR(impl->layOut(path, std::move(plan), metadata));
  uint64_t headerBytes = impl->text.size();
  COMPRESSC_ASSIGN_OR_RETURN(impl->file, OutputFile::Create(path, impl->fileBytes));
  COMPRESSC_RETURN_IF_ERROR(impl->file->writeAt(0, &headerBytes, 8));
  COMPRESSC_RETURN_IF_ERROR(impl->file->writeAt(8, impl->text.data(), int64_t(headerBytes)));
  return std::unique_ptr<SafetensorsWriter>(new SafetensorsWriter(std::move(impl)));
}

Status SafetensorsWriter::write(const std::string &name, const void *data, int64_t bytes) {
  std::string where = impl->file->path() + ": tensor " + Quoted(name);
  auto it = impl->slots.find(name);
  if (it == impl->slots.end())
    return Invalid(where, " was not planned");
  Impl::Slot &slot = it->second;
  if (bytes != slot.bytes)
    return Invalid(where, ": ", bytes, " bytes were given, ", slot.bytes, " were planned");
  {
    std::lock_guard lock(impl->mutex);
    if (impl->finished || slot.written)
      return Invalid(where, impl->finished ? " comes after the end" : " is written twice");
    slot.written = true;
  }
  return impl->file->writeAt(slot.offset, data, bytes);
}

Status SafetensorsWriter::finish() {
  std::lock_guard lock(impl->mutex);
  if (impl->finished)
    return Invalid(impl->file->path(), ": finished twice");
  for (const auto &[name, slot] : impl->slots)
    if (!slot.written)
      return Invalid(impl->file->path(), ": tensor ", Quoted(name), " was never written");
  COMPRESSC_RETURN_IF_ERROR(impl->file->commit());
  impl->finished = true;
  return absl::OkStatus();
}

int64_t SafetensorsWriter::fileBytes() const { return impl->fileBytes; }

} // namespace compressc
