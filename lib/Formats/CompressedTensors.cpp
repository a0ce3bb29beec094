// compressed-tensors, pack-quantized. It holds packed weights as the kernels read them, so it is
// the format of OUT/model.
#include "compressc/Formats/Formats.h"
#include <algorithm>

using nlohmann::json;

namespace compressc {
namespace {

json group(const PackedFormat &packed, json targets) {
  return {{"targets", std::move(targets)},
          {"format", "pack-quantized"},
          {"input_activations", nullptr},
          {"output_activations", nullptr},
          {"weights",
           {{"num_bits", packed.bits},
            {"type", "int"},
            {"symmetric", packed.symmetric},
            {"strategy", "group"},
            {"group_size", packed.group},
            {"dynamic", false}}}};
}

class CompressedTensors : public CheckpointFormat {
  std::string_view name() const override { return "compressed-tensors"; }
  std::string_view summary() const override {
    return "pack-quantized, as OUT/model; transformers with compressed-tensors";
  }
  Status check(const ModelLayout &model) const override { return CheckHeadIsOneLinear(model); }

  std::vector<FormatEntry> entries(const std::string &name, const Tensor &weight) const override {
    if (weight.dtype != DType::Packed)
      return {PlainEntry(name, weight)};
    int64_t rows = weight.dim(0), columns = weight.dim(1), groups = columns / weight.packed.group;
    PackedSizes sizes = GetPackedSizes(rows, columns, weight.packed);
    std::string path = ModuleOfWeight(name);
    std::vector<FormatEntry> result;
    auto add = [&](const char *part, std::string_view dtype, std::vector<int64_t> shape,
                   int64_t bytes, const void *data) {
      result.push_back({{path + part, std::string(dtype), std::move(shape), bytes}, data, {}});
    };
    add(".weight_packed", "I32", {rows, sizes.codes / 4 / rows}, sizes.codes, weight.data);
    add(".weight_scale", SafetensorsName(weight.packed.scaleType), {rows, groups}, sizes.scales,
        weight.scales);
    if (!weight.packed.symmetric)
      add(".weight_zero_point", "I32", {sizes.zeros / 4 / groups, groups}, sizes.zeros,
          weight.zeros);
    add(".weight_shape", "I64", {2}, 16, nullptr);
    result.back().fill = [rows, columns](void *output) {
      static_cast<int64_t *>(output)[0] = rows;
      static_cast<int64_t *>(output)[1] = columns;
    };
    return result;
  }

  void configure(json &config, const ModelLayout &model) const override {
    // Kinds of packed weights, and the modules of each.
    std::vector<std::pair<PackedFormat, std::vector<std::string>>> kinds;
    std::vector<std::string> plain;
    for (const ModelLayout::Linear &linear : model.linears) {
      if (!linear.packed) {
        plain.push_back(linear.module);
        continue;
      }
      auto kind = std::find_if(kinds.begin(), kinds.end(),
                               [&](const auto &kind) { return kind.first == *linear.packed; });
      if (kind == kinds.end())
        kind = kinds.insert(kind, {*linear.packed, {}});
      kind->second.push_back(linear.module);
    }
    if (kinds.empty())
      return;
    json groups = json::object();
    for (const auto &[packed, modules] : kinds)
      groups["group_" + std::to_string(groups.size())] =
          group(packed, kinds.size() == 1 ? json::array({"Linear"}) : json(modules));
    config["quantization_config"] = {{"quant_method", "compressed-tensors"},
                                     {"version", "0.20.0"}, // dense bit streams for 3 bits
                                     {"format", "pack-quantized"},
                                     {"quantization_status", "compressed"},
                                     {"global_compression_ratio", nullptr},
                                     {"ignore", plain},
                                     {"kv_cache_scheme", nullptr},
                                     {"sparsity_config", json::object()},
                                     {"transform_config", json::object()},
                                     {"config_groups", groups}};
  }
};

} // namespace

const CheckpointFormat &CompressedTensorsFormat() {
  static const CompressedTensors format;
  return format;
}

} // namespace compressc
