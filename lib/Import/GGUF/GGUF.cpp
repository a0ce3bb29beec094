#include "compressc/Import/GGUF.h"
#include "compressc/runtime/text.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

namespace compressc {

namespace {

// The numbers of the format.
enum ValueType : uint32_t {
  U8 = 0,
  I8 = 1,
  U16 = 2,
  I16 = 3,
  U32 = 4,
  I32 = 5,
  F32 = 6,
  Bool = 7,
  String = 8,
  Array = 9,
  U64 = 10,
  I64 = 11,
  F64 = 12,
};

/// Bytes of a value; for a string those of its length, the least that it takes.
int sizeOf(uint32_t type) {
  switch (type) {
  case U8:
  case I8:
  case Bool:
    return 1;
  case U16:
  case I16:
    return 2;
  case U32:
  case I32:
  case F32:
    return 4;
  case U64:
  case I64:
  case F64:
  case String:
    return 8;
  default:
    return 0;
  }
}

constexpr size_t maxKeyBytes = 65535;
constexpr uint64_t maxListItems = uint64_t(1) << 24; // the largest vocabularies have 2^18
constexpr size_t maxTensorNameBytes = 64;
constexpr uint32_t maxDimensions = 4;

struct TensorType {
  uint32_t number;
  std::string_view name;
  std::optional<DType> dtype; // set for the types that can be read
};

constexpr TensorType tensorTypes[] = {
    {0, "F32", DType::F32},
    {1, "F16", DType::F16},
    {2, "Q4_0", DType::Q4_0},
    {3, "Q4_1", DType::Q4_1},
    {6, "Q5_0", DType::Q5_0},
    {7, "Q5_1", DType::Q5_1},
    {8, "Q8_0", DType::Q8_0},
    {9, "Q8_1", {}},
    {10, "Q2_K", {}},
    {11, "Q3_K", {}},
    {12, "Q4_K", DType::Q4_K},
    {13, "Q5_K", DType::Q5_K},
    {14, "Q6_K", DType::Q6_K},
    {15, "Q8_K", {}},
    {16, "IQ2_XXS", {}},
    {17, "IQ2_XS", {}},
    {18, "IQ3_XXS", {}},
    {19, "IQ1_S", {}},
    {20, "IQ4_NL", {}},
    {21, "IQ3_S", {}},
    {22, "IQ2_S", {}},
    {23, "IQ4_XS", {}},
    {24, "I8", {}},
    {25, "I16", {}},
    {26, "I32", {}},
    {27, "I64", {}},
    {28, "F64", {}},
    {29, "IQ1_M", {}},
    {30, "BF16", DType::BF16},
    {34, "TQ1_0", {}},
    {35, "TQ2_0", {}},
    {39, "MXFP4", {}},
};

const TensorType *findTensorType(uint32_t number) {
  for (const TensorType &type : tensorTypes)
    if (type.number == number)
      return &type;
  return nullptr;
}

double shortestDouble(float value) {
  std::array<char, 64> text;
  auto written = std::to_chars(text.data(), text.data() + text.size(), value);
  double wide = value;
  std::from_chars(text.data(), written.ptr, wide);
  return wide;
}

/// Takes values off the front of the file; never reads beyond its end.
class Cursor {
public:
  explicit Cursor(const MappedFile &file) : file(file) {}

  size_t position() const { return offset; }
  size_t remaining() const { return file.size() - offset; }

  template <typename T> StatusOr<T> take() {
    if (remaining() < sizeof(T))
      return truncated();
    T value;
    std::memcpy(&value, file.data() + offset, sizeof(T));
    offset += sizeof(T);
    return value;
  }

  StatusOr<std::string> takeString(size_t limit) {
    COMPRESSC_ASSIGN_OR_RETURN(uint64_t length, take<uint64_t>());
    if (length > remaining())
      return truncated();
    if (length > limit)
      return Invalid("a name of ", length, " bytes, more than ", limit);
    std::string text(reinterpret_cast<const char *>(file.data() + offset), length);
    offset += length;
    return text;
  }

  static Status truncated() { return Invalid("truncated: the file ends too early"); }

private:
  const MappedFile &file;
  size_t offset = 0;
};

template <typename T> StatusOr<int64_t> takeInteger(Cursor &cursor) {
  COMPRESSC_ASSIGN_OR_RETURN(T value, cursor.take<T>());
  if constexpr (std::is_same_v<T, uint64_t>)
    if (value > uint64_t(std::numeric_limits<int64_t>::max()))
      return Invalid("the integer ", value, " is too large");
  return int64_t(value);
}

StatusOr<int64_t> takeInteger(Cursor &cursor, uint32_t type) {
  switch (type) {
  case U8:
    return takeInteger<uint8_t>(cursor);
  case I8:
    return takeInteger<int8_t>(cursor);
  case U16:
    return takeInteger<uint16_t>(cursor);
  case I16:
    return takeInteger<int16_t>(cursor);
  case U32:
    return takeInteger<uint32_t>(cursor);
  case I32:
    return takeInteger<int32_t>(cursor);
  case U64:
    return takeInteger<uint64_t>(cursor);
  default:
    return takeInteger<int64_t>(cursor);
  }
}

StatusOr<bool> takeBool(Cursor &cursor) {
  COMPRESSC_ASSIGN_OR_RETURN(uint8_t value, cursor.take<uint8_t>());
  if (value > 1)
    return Invalid("a truth value of ", int(value));
  return value == 1;
}

StatusOr<double> takeFloat(Cursor &cursor, uint32_t type) {
  if (type == F64)
    return cursor.take<double>();
  COMPRESSC_ASSIGN_OR_RETURN(float value, cursor.take<float>());
  return shortestDouble(value);
}

template <typename T, typename Take>
StatusOr<GGUFValue> takeItems(uint64_t count, const Take &take) {
  std::vector<T> items;
  items.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    COMPRESSC_ASSIGN_OR_RETURN(auto item, take());
    items.push_back(std::move(item));
  }
  return GGUFValue(std::move(items));
}

StatusOr<GGUFValue> takeArray(Cursor &cursor) {
  COMPRESSC_ASSIGN_OR_RETURN(uint32_t type, cursor.take<uint32_t>());
  COMPRESSC_ASSIGN_OR_RETURN(uint64_t count, cursor.take<uint64_t>());
  if (type == Array)
    return Invalid("a list of lists");
  int size = sizeOf(type);
  if (size == 0)
    return Invalid("unknown value type ", type);
  // Before anything is allocated: the items must fit the rest of the file.
  if (count > cursor.remaining() / size)
    return Cursor::truncated();
  if (count > maxListItems)
    return Invalid("a list of ", count, " items, more than ", maxListItems);
  switch (type) {
  case String:
    return takeItems<std::string>(count, [&] { return cursor.takeString(SIZE_MAX); });
  case F32:
  case F64:
    return takeItems<double>(count, [&] { return takeFloat(cursor, type); });
  case Bool:
    return takeItems<int64_t>(count, [&] { return takeBool(cursor); });
  default:
    return takeItems<int64_t>(count, [&] { return takeInteger(cursor, type); });
  }
}

StatusOr<GGUFValue> takeValue(Cursor &cursor) {
  COMPRESSC_ASSIGN_OR_RETURN(uint32_t type, cursor.take<uint32_t>());
  if (type == Array)
    return takeArray(cursor);
  if (sizeOf(type) == 0)
    return Invalid("unknown value type ", type);
  if (type == String) {
    COMPRESSC_ASSIGN_OR_RETURN(std::string text, cursor.takeString(SIZE_MAX));
    return GGUFValue(std::move(text));
  }
  if (type == Bool) {
    COMPRESSC_ASSIGN_OR_RETURN(bool value, takeBool(cursor));
    return GGUFValue(value);
  }
  if (type == F32 || type == F64) {
    COMPRESSC_ASSIGN_OR_RETURN(double value, takeFloat(cursor, type));
    return GGUFValue(value);
  }
  COMPRESSC_ASSIGN_OR_RETURN(int64_t value, takeInteger(cursor, type));
  return GGUFValue(value);
}

/// A tensor's entry; its offset still counts from the start of the data.
struct TensorInfo {
  GGUFTensor tensor;
  uint64_t offset = 0;
};

StatusOr<std::vector<int64_t>> takeShape(Cursor &cursor) {
  COMPRESSC_ASSIGN_OR_RETURN(uint32_t rank, cursor.take<uint32_t>());
  if (rank == 0 || rank > maxDimensions)
    return Invalid(rank, " dimensions; 1 to ", maxDimensions, " are possible");
  std::vector<int64_t> shape(rank);
  int64_t elements = 1;
  for (uint32_t i = 0; i < rank; ++i) {
    COMPRESSC_ASSIGN_OR_RETURN(uint64_t dim, cursor.take<uint64_t>());
    if (dim == 0)
      return Invalid("a dimension is 0");
    if (dim > uint64_t(std::numeric_limits<int64_t>::max()) ||
        __builtin_mul_overflow(elements, int64_t(dim), &elements))
      return Invalid("the shape is too large");
    shape[rank - 1 - i] = int64_t(dim); // the file begins with the innermost
  }
  return shape;
}

Status setSize(GGUFTensor &tensor) {
  const TensorType *type = findTensorType(tensor.type);
  if (!type || !type->dtype)
    return absl::OkStatus(); // its size is not known; using it is an error later
  BlockInfo block = DTypeBlock(*type->dtype);
  if (tensor.shape.back() % block.elements != 0)
    return Invalid("rows of ", tensor.shape.back(), " elements are not whole blocks of ",
                   block.elements);
  int64_t blocks = 1;
  for (int64_t dim : tensor.shape)
    blocks *= dim; // checked when the shape was read
  blocks /= block.elements;
  if (__builtin_mul_overflow(blocks, block.bytes, &tensor.bytes))
    return Invalid("the shape is too large");
  return absl::OkStatus();
}

StatusOr<TensorInfo> takeTensor(Cursor &cursor, std::string name, uint64_t alignment) {
  TensorInfo info;
  info.tensor.name = std::move(name);
  COMPRESSC_ASSIGN_OR_RETURN(info.tensor.shape, takeShape(cursor));
  COMPRESSC_ASSIGN_OR_RETURN(info.tensor.type, cursor.take<uint32_t>());
  COMPRESSC_ASSIGN_OR_RETURN(info.offset, cursor.take<uint64_t>());
  if (info.offset % alignment != 0)
    return Invalid("its data begins at ", info.offset, ", which is not a multiple of ", alignment);
  COMPRESSC_RETURN_IF_ERROR(setSize(info.tensor));
  return info;
}

Status checkNoOverlap(std::vector<const GGUFTensor *> order) {
  std::sort(order.begin(), order.end(),
            [](const GGUFTensor *a, const GGUFTensor *b) { return a->data < b->data; });
  for (size_t i = 1; i < order.size(); ++i)
    if (order[i - 1]->data + order[i - 1]->bytes > order[i]->data)
      return Invalid("tensors ", Quoted(order[i - 1]->name), " and ", Quoted(order[i]->name),
                     " overlap");
  return absl::OkStatus();
}

StatusOr<uint64_t> alignmentOf(const std::map<std::string, GGUFValue> &values) {
  auto it = values.find("general.alignment");
  if (it == values.end())
    return 32;
  const int64_t *value = std::get_if<int64_t>(&it->second);
  if (!value || *value < 1 || *value > (int64_t(1) << 30) || !std::has_single_bit(uint64_t(*value)))
    return Invalid("general.alignment must be a power of two");
  return uint64_t(*value);
}

struct Contents {
  std::map<std::string, GGUFValue> values;
  std::vector<GGUFTensor> tensors;
  std::map<std::string, size_t> indexOf;
};

StatusOr<Contents> readContents(const MappedFile &file) {
  Cursor cursor(file);
  COMPRESSC_ASSIGN_OR_RETURN(auto magic, (cursor.take<std::array<char, 4>>()));
  if (std::string_view(magic.data(), 4) != "GGUF")
    return Invalid("not a GGUF file");
  COMPRESSC_ASSIGN_OR_RETURN(uint32_t version, cursor.take<uint32_t>());
  if (version != 3)
    return Invalid("GGUF version ", version,
                   "; only version 3, little-endian, is read: convert the file again");
  COMPRESSC_ASSIGN_OR_RETURN(uint64_t tensorCount, cursor.take<uint64_t>());
  COMPRESSC_ASSIGN_OR_RETURN(uint64_t valueCount, cursor.take<uint64_t>());
  // The least that one entry takes bounds how many there can be.
  constexpr uint64_t leastValue = 8 + 4 + 1, leastTensor = 8 + 4 + 8 + 4 + 8;
  if (valueCount > cursor.remaining() / leastValue ||
      tensorCount > cursor.remaining() / leastTensor)
    return Invalid("truncated: the file is too short for ", valueCount, " values and ", tensorCount,
                   " tensors");

  Contents contents;
  for (uint64_t i = 0; i < valueCount; ++i) {
    StatusOr<std::string> key = cursor.takeString(maxKeyBytes);
    if (!key.ok())
      return WithContext(key.status(), absl::StrCat("metadata entry ", i));
    StatusOr<GGUFValue> value = takeValue(cursor);
    if (!value.ok())
      return WithContext(value.status(), "metadata " + Quoted(*key));
    if (!contents.values.emplace(*key, *std::move(value)).second)
      return Invalid("metadata ", Quoted(*key), " stands twice");
  }
  COMPRESSC_ASSIGN_OR_RETURN(uint64_t alignment, alignmentOf(contents.values));

  std::vector<TensorInfo> infos;
  infos.reserve(tensorCount);
  for (uint64_t i = 0; i < tensorCount; ++i) {
    StatusOr<std::string> name = cursor.takeString(maxTensorNameBytes);
    if (!name.ok())
      return WithContext(name.status(), absl::StrCat("tensor ", i));
    if (!contents.indexOf.emplace(*name, i).second)
      return Invalid("two tensors are named ", Quoted(*name));
    StatusOr<TensorInfo> info = takeTensor(cursor, *name, alignment);
    if (!info.ok())
      return WithContext(info.status(), "tensor " + Quoted(*name));
    infos.push_back(*std::move(info));
  }

  uint64_t dataStart = (cursor.position() + alignment - 1) / alignment * alignment;
  uint64_t dataBytes = dataStart < file.size() ? file.size() - dataStart : 0;
  std::vector<const GGUFTensor *> sized;
  contents.tensors.reserve(infos.size());
  for (TensorInfo &info : infos) {
    GGUFTensor &tensor = contents.tensors.emplace_back(std::move(info.tensor));
    if (info.offset > dataBytes || uint64_t(tensor.bytes) > dataBytes - info.offset)
      return Invalid("tensor ", Quoted(tensor.name), ": its ", tensor.bytes, " bytes from ",
                     info.offset, " on go beyond the ", dataBytes,
                     " bytes of data (truncated file?)");
    tensor.data = file.data() + dataStart + info.offset;
    if (tensor.bytes > 0)
      sized.push_back(&tensor);
  }
  COMPRESSC_RETURN_IF_ERROR(checkNoOverlap(std::move(sized)));
  return contents;
}

template <typename T>
StatusOr<T> get(const GGUFFile &file, const std::string &key, const char *wanted) {
  auto it = file.metadata().find(key);
  if (it == file.metadata().end())
    return Invalid(file.path(), ": metadata ", Quoted(key), " is missing");
  if (const T *value = std::get_if<T>(&it->second))
    return *value;
  return Invalid(file.path(), ": metadata ", Quoted(key), " must be ", wanted);
}

} // namespace

StatusOr<GGUFFile> GGUFFile::Open(const std::string &path) {
  GGUFFile result;
  COMPRESSC_ASSIGN_OR_RETURN(result.file, MappedFile::Open(path));
  StatusOr<Contents> contents = readContents(*result.file);
  if (!contents.ok())
    return WithContext(contents.status(), path);
  result.values = std::move(contents->values);
  result.entries = std::move(contents->tensors);
  result.indexOf = std::move(contents->indexOf);
  return result;
}

StatusOr<bool> GGUFFile::getBool(const std::string &key) const {
  return get<bool>(*this, key, "true or false");
}

StatusOr<int64_t> GGUFFile::getInt(const std::string &key) const {
  return get<int64_t>(*this, key, "an integer");
}

StatusOr<double> GGUFFile::getFloat(const std::string &key) const {
  if (auto it = values.find(key); it != values.end())
    if (const int64_t *integer = std::get_if<int64_t>(&it->second))
      return double(*integer);
  COMPRESSC_ASSIGN_OR_RETURN(double value, get<double>(*this, key, "a number"));
  if (!std::isfinite(value))
    return Invalid(path(), ": metadata ", Quoted(key), " is not a finite number");
  return value;
}

StatusOr<std::string> GGUFFile::getString(const std::string &key) const {
  return get<std::string>(*this, key, "a string");
}

StatusOr<std::vector<int64_t>> GGUFFile::getInts(const std::string &key) const {
  return get<std::vector<int64_t>>(*this, key, "a list of integers");
}

StatusOr<std::vector<double>> GGUFFile::getFloats(const std::string &key) const {
  return get<std::vector<double>>(*this, key, "a list of numbers");
}

StatusOr<std::vector<std::string>> GGUFFile::getStrings(const std::string &key) const {
  return get<std::vector<std::string>>(*this, key, "a list of strings");
}

const GGUFTensor *GGUFFile::find(const std::string &name) const {
  auto it = indexOf.find(name);
  return it == indexOf.end() ? nullptr : &entries[it->second];
}

StatusOr<DType> GGUFFile::dtype(const GGUFTensor &tensor) const {
  const TensorType *type = findTensorType(tensor.type);
  if (type && type->dtype)
    return *type->dtype;
  return Invalid(path(), ": tensor ", Quoted(tensor.name), " is of type ",
                 type ? std::string(type->name) : absl::StrCat("number ", tensor.type),
                 "; F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K and Q6_K can be read: use a "
                 "file of these");
}

} // namespace compressc
