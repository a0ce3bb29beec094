// The small files of a Hugging Face directory, and compressed-tensors' description of packed weights.
#include "compressc/Export/Export.h"
#include "compressc/Transforms/Dataflow.h"
#include "compressc/runtime/safetensors.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using nlohmann::json;

namespace compressc {
namespace {

json group(compress::PackedType type, json targets) {
  return {{"targets", std::move(targets)},
          {"format", "pack-quantized"},
          {"input_activations", nullptr},
          {"output_activations", nullptr},
          {"weights",
           {{"num_bits", type.getBits()},
            {"type", "int"},
            {"symmetric", type.getSymmetric()},
            {"strategy", "group"},
            {"group_size", type.getGroup()},
            {"dynamic", false}}}};
}

/// The embedding tables, as parameters.
llvm::DenseSet<StringAttr> embeddings(ModuleOp module) {
  llvm::DenseSet<StringAttr> tables;
  module.walk([&](lm::EmbeddingOp embedding) {
    if (auto load = RootParam(embedding.getTable()))
      tables.insert(load.getParamAttr().getAttr());
  });
  return tables;
}

bool readsAny(Value weight, const llvm::DenseSet<StringAttr> &parameters) {
  auto load = RootParam(weight);
  return load && parameters.contains(load.getParamAttr().getAttr());
}

} // namespace

HeadLayout FindHeadLayout(ModuleOp module) {
  HeadLayout layout;
  auto tables = embeddings(module);
  for (func::FuncOp function : ModelFunctions(module))
    for (lm::LinearOp head : HeadLinears(function)) {
      layout.tied |= readsAny(head.getWeight(), tables);
      if (head.getInput().getDefiningOp<lm::LinearOp>())
        layout.rank = cast<RankedTensorType>(head.getWeight().getType()).getDimSize(1);
    }
  return layout;
}

std::optional<json> QuantizationConfig(ModuleOp module) {
  // Formats without the shape, and the modules of each.
  llvm::MapVector<Type, std::vector<std::string>> formats;
  std::vector<std::string> plain;
  llvm::DenseSet<StringAttr> tables = embeddings(module);
  llvm::DenseSet<Operation *> deployed;
  for (func::FuncOp function : ModelFunctions(module))
    for (Operation *op : DeployedOps(function))
      deployed.insert(op);
  module.walk([&](lm::LinearOp linear) {
    if (!deployed.contains(linear))
      return;
    std::string name = ModuleName(linear.getWeight());
    // A tied head reads the embedding's parameter; readers know it as lm_head.
    if (readsAny(linear.getWeight(), tables))
      name = "lm_head";
    auto dequantize = linear.getWeight().getDefiningOp<compress::DequantizeOp>();
    if (!dequantize) {
      plain.push_back(name);
      return;
    }
    auto type = cast<compress::PackedType>(dequantize.getInput().getType());
    Type shapeless = compress::PackedType::get(type.getContext(), 1, type.getGroup(), type.getBits(),
                                               type.getGroup(), type.getSymmetric(), type.getScaleType());
    formats[shapeless].push_back(name);
  });
  if (formats.empty())
    return std::nullopt;
  json groups = json::object();
  size_t next = 0;
  for (auto &[type, names] : formats)
    groups["group_" + std::to_string(next++)] =
        group(cast<compress::PackedType>(type), formats.size() == 1 ? json::array({"Linear"}) : json(names));
  return json{{"quant_method", "compressed-tensors"},
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

/// Cuts what the configuration says of each layer down to those that are left.
static void keepLayers(json &config, const std::vector<int64_t> &layers) {
  auto count = config.find("num_hidden_layers");
  if (layers.empty() || count == config.end() || !count->is_number_integer())
    return;
  auto before = count->get<int64_t>();
  if (auto types = config.find("layer_types"); types != config.end() && types->is_array()) {
    json kept = json::array();
    for (int64_t layer : layers)
      if (size_t(layer) < types->size())
        kept.push_back((*types)[size_t(layer)]);
    *types = std::move(kept);
  }
  // Qwen2: the first layer with a window.
  if (auto windows = config.find("max_window_layers"); windows != config.end() && windows->is_number_integer()) {
    auto first = windows->get<int64_t>();
    *windows = llvm::count_if(layers, [&](int64_t layer) { return layer < first; }) + std::max<int64_t>(0, first - before);
  }
  *count = int64_t(layers.size());
}

Status WriteModelFiles(const std::string &directory, const std::map<std::string, std::string> &files,
                       const ConfigChanges &changes) {
  for (const auto &[name, contents] : files) {
    std::string text = contents;
    if (name == "config.json") {
      json config = json::parse(contents, nullptr, false);
      if (!config.is_object())
        return Invalid("config.json is not a JSON object");
      json original = config;
      keepLayers(config, changes.layers);
      if (!changes.head.tied && config.contains("tie_word_embeddings") && config["tie_word_embeddings"] == true)
        config["tie_word_embeddings"] = false;
      if (changes.head.rank)
        config["lm_head_rank"] = changes.head.rank;
      if (changes.quantization)
        config["quantization_config"] = *changes.quantization;
      if (config != original)
        text = config.dump(2) + "\n";
    }
    COMPRESSC_RETURN_IF_ERROR(WriteFileAtomically(directory + "/" + name, text));
  }
  return absl::OkStatus();
}

} // namespace compressc
