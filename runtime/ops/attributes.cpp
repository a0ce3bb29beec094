#include "compressc/runtime/kernel.h"

#include <algorithm>
#include <new>

namespace compressc {

namespace {

constexpr std::align_val_t alignment{64};

Status missing(std::string_view name) {
  return Invalid("attribute '", std::string(name), "' is missing");
}

Status wrongType(std::string_view name, const char *wanted) {
  return Invalid("attribute '", std::string(name), "' must be ", wanted);
}

const Attributes::Value *find(const std::map<std::string, Attributes::Value> &values,
                              std::string_view name) {
  auto it = values.find(std::string(name));
  return it == values.end() ? nullptr : &it->second;
}

template <typename T>
StatusOr<T> get(const std::map<std::string, Attributes::Value> &values, std::string_view name,
                const char *wanted) {
  const Attributes::Value *value = find(values, name);
  if (!value)
    return missing(name);
  if (const T *typed = std::get_if<T>(value))
    return *typed;
  return wrongType(name, wanted);
}

} // namespace

StatusOr<int64_t> Attributes::getInt(std::string_view name) const {
  return get<int64_t>(values, name, "an integer");
}

StatusOr<double> Attributes::getFloat(std::string_view name) const {
  const Value *value = find(values, name);
  if (value)
    if (const int64_t *integer = std::get_if<int64_t>(value))
      return double(*integer);
  return get<double>(values, name, "a number");
}

StatusOr<std::string> Attributes::getString(std::string_view name) const {
  return get<std::string>(values, name, "a string");
}

StatusOr<std::vector<double>> Attributes::getFloats(std::string_view name) const {
  return get<std::vector<double>>(values, name, "a list of numbers");
}

int64_t Attributes::getIntOr(std::string_view name, int64_t fallback) const {
  return getInt(name).value_or(fallback);
}

double Attributes::getFloatOr(std::string_view name, double fallback) const {
  return getFloat(name).value_or(fallback);
}

std::string Attributes::getStringOr(std::string_view name, std::string_view fallback) const {
  return getString(name).value_or(std::string(fallback));
}

void *Scratch::grow(Block &block, size_t bytes) {
  if (bytes > block.size || !block.data) {
    // Half as much again, so that slowly growing requests do not reallocate each time.
    size_t size = std::max<size_t>(bytes, block.size + block.size / 2);
    size = (std::max<size_t>(size, 1) + 63) / 64 * 64;
    ::operator delete(block.data, alignment);
    block.data = ::operator new(size, alignment);
    block.size = size;
  }
  return block.data;
}

void Scratch::release() {
  ::operator delete(common.data, alignment);
  common = {};
  for (Block &block : perWorker) {
    ::operator delete(block.data, alignment);
    block = {};
  }
}

} // namespace compressc
