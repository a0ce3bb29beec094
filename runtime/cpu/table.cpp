#include "kernels.h"
#include <algorithm>
#include <iterator>

namespace compressc {
namespace {

struct Row {
  std::string_view name;
  KernelFunction function;
  bool onDevices = false; // Device has it: the kernel hands its operands on
};

// Sorted by name: FindKernel searches it by halves.
constexpr Row table[] = {
    {"add", &AddKernel, true},
    {"attention", &AttentionKernel, true},
    {"awq_scale", &AwqScaleKernel, true},
    {"clip", &ClipKernel, true},
    {"convert", &ConvertKernel, true},
    {"dequantize", &DequantizeKernel, true},
    {"embedding", &EmbeddingKernel, true},
    {"expand_heads", &ExpandHeadsKernel, true},
    {"gated_activation", &GatedActivationKernel, true},
    {"layer_norm", &LayerNormKernel, true},
    {"linear", &LinearKernel, true},
    {"lora_merge", &LoraMergeKernel},
    {"mul", &MulKernel, true},
    {"observe", &ObserveKernel, true},
    {"observe_cosine", &ObserveCosineKernel, true},
    {"offset", &OffsetKernel},
    {"output_error", &OutputErrorKernel, true},
    {"quantize", &QuantizeKernel, true},
    {"rms_norm", &RmsNormKernel, true},
    {"rotary_embedding", &RotaryEmbeddingKernel, true},
    {"scale_columns", &ScaleColumnsKernel, true},
    {"scale_rows", &ScaleRowsKernel, true},
    {"scale_statistics", &ScaleStatisticsKernel, true},
    {"select_rows", &SelectRowsKernel, true},
    {"svd", &SvdKernel},
    {"transpose", &TransposeKernel, true},
    {"unpermute_rows", &UnpermuteRowsKernel},
};

constexpr bool isSorted() {
  for (size_t i = 1; i < std::size(table); ++i)
    if (!(table[i - 1].name < table[i].name))
      return false;
  return true;
}
static_assert(isSorted(), "the kernel table must be sorted by name");

const Row *findRow(std::string_view name) {
  const Row *row =
      std::lower_bound(std::begin(table), std::end(table), name,
                       [](const Row &row, std::string_view name) { return row.name < name; });
  return row != std::end(table) && row->name == name ? row : nullptr;
}

} // namespace

KernelFunction FindKernel(std::string_view name) {
  const Row *row = findRow(name);
  return row ? row->function : nullptr;
}

bool RunsOnDevices(std::string_view name) {
  const Row *row = findRow(name);
  return row && row->onDevices;
}

std::vector<std::string_view> KernelNames() {
  std::vector<std::string_view> names;
  for (const Row &row : table)
    if (row.function)
      names.push_back(row.name);
  return names;
}

} // namespace compressc
