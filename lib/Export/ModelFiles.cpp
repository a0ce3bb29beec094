// The small files of a Hugging Face directory, and what formats must know to write one.
#include "compressc/Conversion/ToSchedule.h"
#include "compressc/Export/Export.h"
#include "compressc/Transforms/Dataflow.h"

using namespace mlir;
using nlohmann::json;

namespace compressc {
namespace {

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

ModelLayout DescribeModel(ModuleOp module) {
  ModelLayout layout;
  auto tables = embeddings(module);
  llvm::DenseSet<Operation *> deployed, heads;
  for (func::FuncOp function : ModelFunctions(module)) {
    for (Operation *op : DeployedOps(function))
      deployed.insert(op);
    for (lm::LinearOp head : HeadLinears(function)) {
      heads.insert(head);
      layout.tiedHead |= readsAny(head.getWeight(), tables);
      if (head.getInput().getDefiningOp<lm::LinearOp>())
        layout.headRank = cast<RankedTensorType>(head.getWeight().getType()).getDimSize(1);
    }
  }
  module.walk([&](lm::LinearOp op) {
    if (!deployed.contains(op))
      return;
    Value weight = op.getWeight();
    auto type = cast<RankedTensorType>(weight.getType());
    ModelLayout::Linear linear{
        ModuleName(weight), type.getDimSize(0), type.getDimSize(1), {}, heads.contains(op)};
    // A tied head reads the embedding's parameter; readers know it as lm_head.
    if (readsAny(weight, tables))
      linear.module = "lm_head";
    // What a GGUF file holds in blocks is dequantised too, but stored as plain.
    auto dequantize = weight.getDefiningOp<compress::DequantizeOp>();
    if (dequantize && isa<compress::PackedType>(dequantize.getInput().getType()))
      linear.packed = ToStorageType(dequantize.getInput().getType())->packed;
    layout.linears.push_back(std::move(linear));
  });
  return layout;
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

Status WriteModelFiles(const std::string &directory,
                       const std::map<std::string, std::string> &files,
                       const CheckpointFormat &format, const ModelLayout &model,
                       const std::vector<int64_t> &layers) {
  for (const auto &[name, contents] : files) {
    std::string text = contents;
    if (name == "config.json") {
      json config = json::parse(contents, nullptr, false);
      if (!config.is_object())
        return Invalid("config.json is not a JSON object");
      json original = config;
      keepLayers(config, layers);
      if (!model.tiedHead && config.contains("tie_word_embeddings") && config["tie_word_embeddings"] == true)
        config["tie_word_embeddings"] = false;
      if (model.headRank)
        config["lm_head_rank"] = model.headRank;
      format.configure(config, model);
      if (config != original)
        text = config.dump(2) + "\n";
    }
    COMPRESSC_RETURN_IF_ERROR(WriteFileAtomically(directory + "/" + name, text));
  }
  return absl::OkStatus();
}

} // namespace compressc
