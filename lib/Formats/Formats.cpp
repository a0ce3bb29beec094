#include "compressc/Formats/Formats.h"
#include "absl/strings/strip.h"
#include "compressc/runtime/text.h"

namespace compressc {

#define FORMAT(NAME) const CheckpointFormat &NAME##Format();
#include "Formats.def"
#undef FORMAT

const std::vector<const CheckpointFormat *> &CheckpointFormats() {
  static const std::vector<const CheckpointFormat *> formats = {
#define FORMAT(NAME) &NAME##Format(),
#include "Formats.def"
#undef FORMAT
  };
  return formats;
}

StatusOr<const CheckpointFormat *> FindCheckpointFormat(std::string_view name) {
  std::string known;
  for (const CheckpointFormat *format : CheckpointFormats()) {
    if (format->name() == name)
      return format;
    known += (known.empty() ? "" : ", ") + std::string(format->name());
  }
  return Invalid("--export=", name, ": there is no such format; choose from ", known);
}

const CheckpointFormat &StoreFormat() { return CompressedTensorsFormat(); }

Status WriteWeight(const CheckpointFormat &format, SafetensorsWriter &writer,
                   const std::string &name, const Tensor &weight) {
  for (const FormatEntry &entry : format.entries(name, weight)) {
    const void *data = entry.data;
    std::unique_ptr<uint8_t[]> made;
    if (entry.fill) {
      made = std::make_unique_for_overwrite<uint8_t[]>(size_t(entry.bytes));
      entry.fill(made.get());
      data = made.get();
    }
    COMPRESSC_RETURN_IF_ERROR(writer.write(entry.name, data, entry.bytes));
  }
  return absl::OkStatus();
}

FormatEntry PlainEntry(const std::string &name, const Tensor &tensor) {
  return {{name, std::string(SafetensorsName(tensor.dtype)), tensor.shape, tensor.bytes()},
          tensor.data,
          {}};
}

StatusOr<Tensor> ReadPlainTensor(const std::string &name, const StoredTensor &stored) {
  std::optional<DType> dtype = DTypeFromSafetensors(stored.dtype);
  if (dtype != DType::F32 && dtype != DType::F16 && dtype != DType::BF16)
    return Invalid(stored.file->path(), ": tensor ", Quoted(name), " has type ",
                   Quoted(stored.dtype), "; weights must be F32, F16 or BF16");
  Tensor tensor;
  tensor.dtype = *dtype;
  tensor.shape = stored.shape;
  // Not const because kernels write through some views; this one is only read, and its mapping is
  // read-only.
  tensor.data = const_cast<uint8_t *>(stored.data);
  return tensor;
}

std::string ModuleOfWeight(const std::string &name) {
  absl::string_view module = name;
  absl::ConsumeSuffix(&module, ".weight");
  return std::string(module);
}

Status CheckHeadIsOneLinear(const ModelLayout &model) {
  if (model.headRank)
    return Invalid(
        "the head is factorised, and readers, which know a head of one linear, would fill it "
        "with random numbers; leave svd-factorize out of --passes, or the export");
  return absl::OkStatus();
}

} // namespace compressc
