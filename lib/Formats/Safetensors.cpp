// Plain tensors. Packed weights become the values that they stand for, in the type of their scales:
// any program reads that, and nothing is left of the smaller size.
#include "PackedView.h"
#include "compressc/Formats/Formats.h"

namespace compressc {
namespace {

void fillValues(const Tensor &weight, void *output) {
  PackedView view(weight);
  int64_t rows = weight.dim(0), columns = weight.dim(1);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column) {
      float value = view.value(row, column);
      int64_t at = row * columns + column;
      if (weight.packed.scaleType == DType::F32)
        static_cast<float *>(output)[at] = value;
      else
        static_cast<uint16_t *>(output)[at] =
            weight.packed.scaleType == DType::F16 ? FloatToHalf(value) : FloatToBFloat16(value);
    }
}

class Safetensors : public CheckpointFormat {
  std::string_view name() const override { return "safetensors"; }
  std::string_view summary() const override {
    return "plain tensors, packed weights dequantised to the checkpoint's type; any program reads "
           "it";
  }
  Status check(const ModelLayout &model) const override { return CheckHeadIsOneLinear(model); }
  std::vector<FormatEntry> entries(const std::string &name, const Tensor &weight) const override {
    if (weight.dtype != DType::Packed)
      return {PlainEntry(name, weight)};
    Tensor values;
    values.dtype = weight.packed.scaleType;
    values.shape = weight.shape;
    FormatEntry entry = PlainEntry(name, values);
    entry.fill = [weight](void *output) { fillValues(weight, output); };
    return {entry};
  }
  void configure(nlohmann::json &, const ModelLayout &) const override {}
};

} // namespace

const CheckpointFormat &SafetensorsFormat() {
  static const Safetensors format;
  return format;
}

} // namespace compressc
