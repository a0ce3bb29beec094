// AutoAWQ's "gemm": four bits, 16-bit scales, outputs along the words.
#include "compressc/Formats/Formats.h"
#include <algorithm>

using nlohmann::json;

namespace compressc {
namespace {

/// Nibble i of word c belongs to output 8c + outputOf[i].
constexpr int outputOf[8] = {0, 2, 4, 6, 1, 3, 5, 7};
/// Inputs whose words are made at a time: what a cache line holds of a row's codes.
constexpr int64_t tile = 128;

/// [K, N/8] from codes that lie along the inputs of each output.
void fillCodes(const Tensor &weight, uint32_t *output) {
  int64_t rows = weight.dim(0), columns = weight.dim(1), words = (columns + 7) / 8;
  const uint32_t *codes = weight.as<uint32_t>();
  for (int64_t first = 0; first < columns; first += tile)
    for (int64_t c = 0; c < rows / 8; ++c)
      for (int64_t k = first; k < std::min(columns, first + tile); ++k) {
        uint32_t word = 0;
        for (int i = 0; i < 8; ++i)
          word |= (codes[(8 * c + outputOf[i]) * words + k / 8] >> (4 * (k % 8)) & 15) << (4 * i);
        output[k * (rows / 8) + c] = word;
      }
}

/// [K/g, N/8] from words [N/8, K/g] that hold eight outputs in order. A symmetric weight has zeros
/// of 8.
void fillZeros(const Tensor &weight, uint32_t *output) {
  int64_t words = weight.dim(0) / 8, groups = weight.dim(1) / weight.packed.group;
  const uint32_t *zeros = static_cast<const uint32_t *>(weight.zeros);
  for (int64_t group = 0; group < groups; ++group)
    for (int64_t c = 0; c < words; ++c) {
      uint32_t ordered = weight.packed.symmetric ? 0x88888888 : zeros[c * groups + group], word = 0;
      for (int i = 0; i < 8; ++i)
        word |= (ordered >> (4 * outputOf[i]) & 15) << (4 * i);
      output[group * words + c] = word;
    }
}

/// [K/g, N] from [N, K/g].
void fillScales(const Tensor &weight, uint16_t *output) {
  int64_t rows = weight.dim(0), groups = weight.dim(1) / weight.packed.group;
  const uint16_t *scales = static_cast<const uint16_t *>(weight.scales);
  for (int64_t group = 0; group < groups; ++group)
    for (int64_t row = 0; row < rows; ++row)
      output[group * rows + row] = scales[row * groups + group];
}

class AutoAWQ : public CheckpointFormat {
  std::string_view name() const override { return "autoawq"; }
  std::string_view summary() const override {
    return "AutoAWQ gemm: 4 bits, f16; transformers with gptqmodel";
  }
  std::optional<DType> dtype() const override { return DType::F16; }

  Status check(const ModelLayout &model) const override {
    COMPRESSC_RETURN_IF_ERROR(CheckHeadIsOneLinear(model));
    const ModelLayout::Linear *first = nullptr;
    for (const ModelLayout::Linear &linear : model.linears) {
      if (!linear.packed)
        continue;
      const PackedFormat &packed = *linear.packed;
      if (linear.head)
        return Invalid(linear.module,
                       ": readers want a head that is not quantised; leave head=true out "
                       "of --passes");
      if (packed.bits != 4)
        return Invalid(linear.module, ": ", packed.bits,
                       " bits; the format has 4: quantise with bits=4, or ignore this module");
      if (packed.scaleType != DType::F16)
        return Invalid(linear.module, ": scales are ", DTypeName(packed.scaleType),
                       "; the format has f16: give --dtype=f16 or leave --dtype out");
      if (linear.rows % 8 != 0)
        return Invalid(linear.module, ": ", linear.rows,
                       " outputs; the format packs eight in a word: ignore this module");
      if (packed.group != 16 && packed.group != 32 && packed.group != 64 && packed.group != 128)
        return Invalid(linear.module, ": groups of ", packed.group,
                       "; readers have kernels for 16, 32, 64 and 128: choose such a group-size");
      if (first && first->packed->group != packed.group)
        return Invalid(linear.module, ": groups of ", packed.group, ", but of ",
                       first->packed->group, " in ", first->module,
                       "; the format has one size: quantise with one group-size");
      if (!first)
        first = &linear;
    }
    if (!first)
      return Invalid("no linear is quantised; give --passes='awq{bits=4}' or the like");
    return absl::OkStatus();
  }

  std::vector<FormatEntry> entries(const std::string &name, const Tensor &weight) const override {
    if (weight.dtype != DType::Packed)
      return {PlainEntry(name, weight)};
    int64_t rows = weight.dim(0), columns = weight.dim(1), groups = columns / weight.packed.group;
    std::string path = ModuleOfWeight(name);
    return {
        {{path + ".qweight", "I32", {columns, rows / 8}, columns * rows / 2},
         nullptr,
         [weight](void *output) { fillCodes(weight, static_cast<uint32_t *>(output)); }},
        {{path + ".qzeros", "I32", {groups, rows / 8}, groups * rows / 2},
         nullptr,
         [weight](void *output) { fillZeros(weight, static_cast<uint32_t *>(output)); }},
        {{path + ".scales", "F16", {groups, rows}, groups * rows * 2},
         nullptr,
         [weight](void *output) { fillScales(weight, static_cast<uint16_t *>(output)); }},
    };
  }

  void configure(json &config, const ModelLayout &model) const override {
    json plain = json::array();
    int64_t group = 0;
    for (const ModelLayout::Linear &linear : model.linears)
      if (linear.packed)
        group = linear.packed->group;
      else
        plain.push_back(linear.module);
    config["quantization_config"] = {{"quant_method", "awq"}, {"bits", 4},
                                     {"group_size", group},   {"zero_point", true},
                                     {"version", "gemm"},     {"modules_to_not_convert", plain}};
  }
};

} // namespace

const CheckpointFormat &AutoAWQFormat() {
  static const AutoAWQ format;
  return format;
}

} // namespace compressc
