#include "compressc/Import/Import.h"
#include "../Core/ScratchDirectory.h"
#include "dialects/Compress/Compress.h"
#include "dialects/LM/LM.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/raw_ostream.h"

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

namespace compressc {
namespace {

using nlohmann::json;

std::string models(const std::string &name) {
  return std::string(COMPRESSC_TEST_DIR "/Inputs/models/") + name;
}

std::string printed(mlir::ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream, mlir::OpPrintingFlags().printNameLocAsPrefix());
  return text;
}

template <typename Op> std::vector<Op> all(const ImportedModel &model) {
  std::vector<Op> result;
  model.module.get()->walk([&](Op op) { result.push_back(op); });
  return result;
}

std::string typeText(mlir::Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

class Import : public ScratchDirectory {
protected:
  StatusOr<ImportedModel> import(const std::string &from, const ImportOptions &options = {}) {
    return ImportModel(context, from, options);
  }
  ImportedModel imported(const std::string &from, const ImportOptions &options = {}) {
    StatusOr<ImportedModel> model = import(from, options);
    EXPECT_TRUE(model.ok()) << model.status();
    return model.ok() ? std::move(*model) : ImportedModel();
  }
  std::string message(const std::string &from, const ImportOptions &options = {}) {
    return std::string(import(from, options).status().message());
  }
  lm::ParamOp param(const ImportedModel &model, const std::string &name) {
    return mlir::dyn_cast_or_null<lm::ParamOp>(
        mlir::SymbolTable::lookupSymbolIn(*model.module, name));
  }

  mlir::MLIRContext context;
};

/// A checkpoint of one layer with zeros for weights, which a test then spoils.
class TinyCheckpoint : public Import {
protected:
  void SetUp() override {
    Import::SetUp();
    config = {{"architectures", {"LlamaForCausalLM"}},
              {"hidden_size", 8},
              {"intermediate_size", 12},
              {"num_hidden_layers", 1},
              {"num_attention_heads", 2},
              {"num_key_value_heads", 1},
              {"vocab_size", 10},
              {"dtype", "float16"}};
    std::string layer = "model.layers.0.";
    shapes = {{"model.embed_tokens.weight", {10, 8}},
              {layer + "input_layernorm.weight", {8}},
              {layer + "self_attn.q_proj.weight", {8, 8}},
              {layer + "self_attn.k_proj.weight", {4, 8}},
              {layer + "self_attn.v_proj.weight", {4, 8}},
              {layer + "self_attn.o_proj.weight", {8, 8}},
              {layer + "post_attention_layernorm.weight", {8}},
              {layer + "mlp.gate_proj.weight", {12, 8}},
              {layer + "mlp.up_proj.weight", {12, 8}},
              {layer + "mlp.down_proj.weight", {8, 12}},
              {"model.norm.weight", {8}},
              {"lm_head.weight", {10, 8}}};
  }

  static int64_t width(const std::string &dtype) {
    return dtype == "F32" ? 4 : dtype == "F8_E4M3" ? 1 : 2;
  }
  std::string typeOf(const std::string &name) {
    return types.count(name) ? types[name] : std::string("F16");
  }
  void write(const std::string &file, const std::map<std::string, std::vector<int64_t>> &tensors) {
    std::vector<SafetensorsWriter::Entry> plan;
    for (const auto &[name, shape] : tensors) {
      int64_t bytes = width(typeOf(name));
      for (int64_t size : shape)
        bytes *= size;
      plan.push_back({name, typeOf(name), shape, bytes});
    }
    auto writer = SafetensorsWriter::Create(path(file), plan).value();
    for (const auto &entry : plan)
      ASSERT_TRUE(
          writer->write(entry.name, std::string(entry.bytes, '\0').data(), entry.bytes).ok());
    ASSERT_TRUE(writer->finish().ok());
  }
  const std::string &finish() {
    put("config.json", config.dump());
    put("tokenizer.json", "{}");
    write("model.safetensors", shapes);
    return directory;
  }

  json config;
  std::map<std::string, std::vector<int64_t>> shapes;
  std::map<std::string, std::string> types; // where they differ from F16
};

//===-- Every model of the test inputs
//-------------------------------------------------------------===//

struct Expected {
  const char *path;
  size_t layers, params, linears, biases, converts, dequantizes, unpermutes;
  const char *embeddingType, *rope;
};

void PrintTo(const Expected &expected, std::ostream *out) { *out << expected.path; }

class EveryModel : public Import, public testing::WithParamInterface<Expected> {};

TEST_P(EveryModel, BecomesAValidModule) {
  const Expected &expected = GetParam();
  ImportedModel model = imported(models(expected.path));
  ASSERT_TRUE(model.module);
  EXPECT_TRUE(mlir::succeeded(mlir::verify(*model.module)));
  EXPECT_EQ(model.warnings, std::vector<std::string>());
  EXPECT_EQ(all<lm::BlockOp>(model).size(), expected.layers);
  EXPECT_EQ(all<lm::ParamOp>(model).size(), expected.params);
  auto linears = all<lm::LinearOp>(model);
  EXPECT_EQ(linears.size(), expected.linears);
  EXPECT_EQ(size_t(llvm::count_if(linears, [](lm::LinearOp op) { return bool(op.getBias()); })),
            expected.biases);
  EXPECT_EQ(all<compress::ConvertOp>(model).size(), expected.converts);
  EXPECT_EQ(all<compress::DequantizeOp>(model).size(), expected.dequantizes);
  EXPECT_EQ(all<compress::UnpermuteRowsOp>(model).size(), expected.unpermutes);
  EXPECT_EQ(typeText(param(model, "model.embed_tokens.weight").getType()), expected.embeddingType);
  if (expected.rope) {
    std::string rope;
    llvm::raw_string_ostream(rope) << all<lm::RotaryEmbeddingOp>(model)[0].getRope();
    EXPECT_EQ(rope, expected.rope);
  }

  // Every parameter is in the store, as the type says, and is used.
  size_t loads = all<lm::LoadParamOp>(model).size();
  EXPECT_EQ(loads, expected.params + model.config.tiedHead);
  for (lm::ParamOp op : all<lm::ParamOp>(model)) {
    const Tensor *tensor = model.weights->find(op.storeKey());
    ASSERT_NE(tensor, nullptr) << op.storeKey();
    EXPECT_NE(tensor->data, nullptr);
    if (auto type = mlir::dyn_cast<mlir::RankedTensorType>(op.getType()))
      EXPECT_EQ(type.getShape(), llvm::ArrayRef(tensor->shape));
  }

  std::string name = model.module->getOperation()->getAttrOfType<mlir::StringAttr>("lm.name").str();
  EXPECT_EQ(name, model.name);
  std::string last = std::string(expected.path).substr(std::string(expected.path).rfind('/') + 1);
  EXPECT_EQ(name, last.substr(0, last.find(".gguf")));
  for (const char *file : {"config.json", "tokenizer.json", "tokenizer_config.json"})
    EXPECT_EQ(model.files.count(file), 1u) << file;

  // It reads back as itself.
  std::string text = printed(*model.module);
  auto again = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  ASSERT_TRUE(again);
  std::string first, second;
  llvm::raw_string_ostream(first) << *model.module;
  llvm::raw_string_ostream(second) << *again;
  EXPECT_EQ(first, second);
}

INSTANTIATE_TEST_SUITE_P(
    Models, EveryModel,
    testing::Values(Expected{"llama", 2, 20, 15, 0, 21, 0, 0, "tensor<320x64xf32>",
                             "#lm.rope<theta = 1.000000e+04, llama3, factor = 8.000000e+00, low = "
                             "1.000000e+00, high = 4.000000e+00, original_context = 64>"},
                    Expected{"llama-f16", 2, 20, 15, 0, 0, 0, 0, "tensor<320x64xf16>",
                             "#lm.rope<theta = 2.000000e+04, linear, factor = 4.000000e+00>"},
                    Expected{"llama-sharded", 2, 21, 15, 0, 21, 0, 0, "tensor<320x64xf32>",
                             "#lm.rope<theta = 1.000000e+04>"},
                    Expected{"qwen2", 2, 27, 15, 6, 27, 0, 0, "tensor<320x64xf32>",
                             "#lm.rope<theta = 1.000000e+06>"},
                    Expected{"qwen2-bf16", 3, 38, 22, 9, 0, 0, 0, "tensor<320x64xbf16>",
                             "#lm.rope<theta = 1.000000e+06>"},
                    Expected{"qwen2-yarn", 2, 26, 15, 6, 0, 0, 0, "tensor<320x64xbf16>",
                             "#lm.rope<theta = 1.000000e+04, yarn, factor = 4.000000e+00, beta_fast "
                             "= 3.200000e+01, beta_slow = 1.000000e+00, attention_factor = "
                             "1.1386294361119891, original_context = 64>"},
                    Expected{"qwen3", 2, 24, 15, 0, 25, 0, 0, "tensor<320x64xf32>",
                             "#lm.rope<theta = 1.000000e+06>"},
                    Expected{"gguf/llama-f16.gguf", 2, 20, 15, 0, 5, 0, 4, "tensor<320x64xf16>",
                             nullptr},
                    Expected{"gguf/llama-q4_1.gguf", 2, 20, 15, 0, 5, 16, 4,
                             "!compress.blocks<320x64, q8_0>", "#lm.rope<theta = 1.000000e+04>"},
                    Expected{"gguf/qwen2-q4_0.gguf", 2, 27, 15, 6, 11, 13, 0, "tensor<320x64xf16>",
                             "#lm.rope<theta = 1.000000e+06>"},
                    Expected{"gguf/llama-q4_k.gguf", 2, 20, 15, 0, 5, 16, 4,
                             "!compress.blocks<320x256, q6_k>", "#lm.rope<theta = 1.000000e+04>"},
                    Expected{"gguf/qwen2-q5_0.gguf", 2, 27, 15, 6, 11, 16, 0,
                             "!compress.blocks<320x64, q5_1>",
                             "#lm.rope<theta = 1.000000e+04, yarn, factor = 4.000000e+00, beta_fast "
                             "= 3.200000e+01, beta_slow = 1.000000e+00, attention_factor = "
                             "1.1386294361119891, original_context = 64>"},
                    Expected{"gguf/qwen3-q8_0.gguf", 2, 24, 15, 0, 11, 14, 0,
                             "!compress.blocks<320x64, q8_0>", "#lm.rope<theta = 1.000000e+06>"}),
    [](const auto &info) {
      std::string name = info.param.path;
      for (char &c : name)
        c = isalnum(c) ? c : '_';
      return name;
    });

//===-- The module
//----------------------------------------------------------------------------------===//

TEST_F(Import, ABlockReadsAsTheModelIsDrawn) {
  std::string text = printed(*imported(models("gguf/llama-q4_1.gguf")).module);
  size_t begin = text.find("    %hidden1 = lm.block 0"), end = text.find("    %hidden2 =");
  ASSERT_NE(end, std::string::npos);
  std::string block = text.substr(begin, end - begin);
  const char *lines[] = {
      "%hidden1 = lm.block 0 (%x = %hidden0) :",
      "%q_proj_stored = lm.load_param @model.layers.0.self_attn.q_proj.weight : "
      "!compress.blocks<64x64, q4_1>",
      "%q_proj_paired = compress.dequantize %q_proj_stored",
      "%q_proj = compress.unpermute_rows %q_proj_paired heads 4 : tensor<64x64xf16>",
      "%q = lm.linear %attention_input, %q_proj :",
      "%k_proj = compress.unpermute_rows %k_proj_paired heads 2 : tensor<32x64xf16>",
      "%v = lm.linear %attention_input, %v_proj",
      "%q_rotated = lm.rotary_embedding %q, %batch head_dim 16",
      "lm.attention %q_rotated, %k_rotated, %v, %cache, %batch heads 4 kv_heads 2 scale "
      "2.500000e-01 :",
      "%o = lm.linear %attended, %o_proj",
      "%middle = arith.addf %x, %o",
      "%mlp_input = lm.rms_norm %middle, %post_attention_layernorm epsilon 1.000000e-05",
      "%gate = lm.linear %mlp_input, %gate_proj",
      "silu %gate, %up",
      "%down = lm.linear %gated, %down_proj",
      "%result = arith.addf %middle, %down",
      "lm.yield %result"};
  size_t place = 0;
  for (const char *line : lines) {
    size_t found = block.find(line, place);
    ASSERT_NE(found, std::string::npos) << line << "\nis not, or not in order, in\n" << block;
    place = found;
  }
  EXPECT_NE(text.find("lm.param @model.layers.1.mlp.up_proj.weight key \"blk.1.ffn_up.weight\" : "
                      "!compress.blocks<128x64, q4_1>"),
            std::string::npos);
}

TEST_F(Import, TheTiedHeadIsAUseOfTheEmbedding) {
  ImportedModel model = imported(models("llama-f16"));
  auto loads = all<lm::LoadParamOp>(model);
  EXPECT_EQ(loads.front().exportName(), "model.embed_tokens.weight");
  EXPECT_EQ(loads.back().getParam(), "model.embed_tokens.weight");
  EXPECT_EQ(loads.back().exportName(), "lm_head.weight");
  EXPECT_FALSE(param(model, "lm_head.weight"));
}

TEST_F(Import, RowsAreSelectedBeforeTheLastNorm) {
  ImportedModel model = imported(models("llama-f16"));
  auto norm = all<lm::RMSNormOp>(model).back();
  EXPECT_TRUE(norm.getInput().getDefiningOp<lm::SelectRowsOp>());
}

TEST_F(Import, HeadNormsComeBeforeTheRotation) {
  ImportedModel model = imported(models("qwen3"));
  for (lm::RotaryEmbeddingOp op : all<lm::RotaryEmbeddingOp>(model)) {
    auto norm = op.getInput().getDefiningOp<lm::RMSNormOp>();
    ASSERT_TRUE(norm);
    EXPECT_EQ(mlir::cast<mlir::RankedTensorType>(norm.getWeight().getType()).getDimSize(0), 32);
  }
}

/// GGUF stores divisors of the frequencies: the parameters that come out of them may be others,
/// what they mean may not.
TEST_F(Import, GGUFRopeScalingMeansTheSame) {
  ImportedModel model = imported(models("llama")), gguf = imported(models("gguf/llama-f16.gguf"));
  auto expected = all<lm::RotaryEmbeddingOp>(model)[0].getRope().frequencies(16);
  auto actual = all<lm::RotaryEmbeddingOp>(gguf)[0].getRope().frequencies(16);
  ASSERT_EQ(actual.size(), 8u);
  for (size_t i = 0; i < 8; ++i)
    EXPECT_NEAR(actual[i] / expected[i], 1, 1e-6) << i;
}

TEST_F(Import, WeightTypes) {
  auto typeWith = [&](const std::string &name, const std::string &dtype) {
    ImportedModel model = imported(models(name), {dtype, false});
    auto type = model.module->getOperation()->getAttrOfType<mlir::TypeAttr>("lm.checkpoint_type");
    for (lm::LinearOp op : all<lm::LinearOp>(model))
      EXPECT_EQ(mlir::cast<mlir::RankedTensorType>(op.getWeight().getType()).getElementType(),
                type.getValue());
    json config = json::parse(model.files["config.json"]);
    std::string key = config.contains("dtype") ? "dtype" : "torch_dtype";
    EXPECT_EQ(config[key], type.getValue().isF16()    ? "float16"
                           : type.getValue().isBF16() ? "bfloat16"
                                                      : "float32");
    EXPECT_EQ(model.config.dtype, config[key].get<std::string>());
    return typeText(type.getValue());
  };
  EXPECT_EQ(typeWith("llama", "auto"), "f16");
  EXPECT_EQ(typeWith("llama-f16", "auto"), "f16");
  EXPECT_EQ(typeWith("qwen2-bf16", "auto"), "bf16");
  EXPECT_EQ(typeWith("gguf/qwen2-q4_0.gguf", "auto"), "f16");
  EXPECT_EQ(typeWith("qwen2-bf16", "f16"), "f16");
  EXPECT_EQ(typeWith("llama-f16", "bf16"), "bf16");
  EXPECT_EQ(typeWith("gguf/llama-q4_1.gguf", "f32"), "f32");
  EXPECT_EQ(message(models("llama"), {"int8", false}),
            "unknown weight type 'int8': auto, f16, bf16 or f32");
  EXPECT_EQ(message(models("llama"), {"q8_0", false}),
            "unknown weight type 'q8_0': auto, f16, bf16 or f32");
}

/// Against transformers: test/Inputs/make_yarn_golden.py.
TEST_F(TinyCheckpoint, YarnHasTheFrequenciesOfTheReference) {
  std::ifstream file(COMPRESSC_TEST_DIR "/Inputs/yarn.golden.json");
  json golden = json::parse(file, nullptr, false);
  ASSERT_TRUE(golden.is_array());
  EXPECT_EQ(golden.size(), 9u);
  for (json &expected : golden) {
    SCOPED_TRACE(expected["rope_parameters"].dump());
    for (const char *key : {"head_dim", "max_position_embeddings", "rope_parameters"})
      config[key] = expected[key];
    ImportedModel model = imported(put("config.json", config.dump()), {"auto", true});
    mlir::NamedAttrList attributes;
    all<lm::RotaryEmbeddingOp>(model)[0].getKernelAttributes(attributes);
    auto frequencies = mlir::cast<mlir::ArrayAttr>(attributes.get("frequencies"));
    ASSERT_EQ(frequencies.size(), expected["frequencies"].size());
    for (size_t i = 0; i < frequencies.size(); ++i) {
      double value = expected["frequencies"][i].get<double>();
      EXPECT_NEAR(mlir::cast<mlir::FloatAttr>(frequencies[i]).getValueAsDouble() / value, 1, 5e-7);
    }
    auto factor = mlir::dyn_cast_or_null<mlir::FloatAttr>(attributes.get("attention_factor"));
    EXPECT_DOUBLE_EQ(factor ? factor.getValueAsDouble() : 1,
                     expected["attention_factor"].get<double>());
  }
}

TEST_F(TinyCheckpoint, WindowsAreAttributesOfTheirLayers) {
  config["architectures"] = {"Qwen3ForCausalLM"};
  config["num_hidden_layers"] = 2;
  config["use_sliding_window"] = true;
  config["sliding_window"] = 5;
  config["max_window_layers"] = 1;
  ImportedModel model = imported(put("config.json", config.dump()), {"auto", true});
  auto attentions = all<lm::AttentionOp>(model);
  ASSERT_EQ(attentions.size(), 2u);
  EXPECT_FALSE(attentions[0].getSlidingWindow());
  EXPECT_EQ(attentions[1].getSlidingWindow(), 5u);
}

//===-- Splats
//--------------------------------------------------------------------------------------===//

TEST_F(TinyCheckpoint, ASplatNeedsTheConfigurationAlone) {
  config["dtype"] = "bfloat16";
  std::string file = put("config.json", config.dump());
  for (const std::string &from : {directory, file}) {
    ImportedModel model = imported(from, {"auto", true});
    EXPECT_FALSE(model.weights);
    EXPECT_EQ(model.warnings, std::vector<std::string>());
    for (lm::ParamOp op : all<lm::ParamOp>(model)) {
      ASSERT_TRUE(op.getSplat());
      EXPECT_TRUE(op.getSplat()->isZero());
    }
    EXPECT_EQ(typeText(param(model, "model.norm.weight").getType()), "tensor<8xbf16>");
    EXPECT_EQ(model.files.size(), 1u);
    EXPECT_EQ("/" + model.name, directory.substr(directory.rfind('/')));
  }
}

TEST_F(TinyCheckpoint, AHubCacheNamesTheModel) {
  std::string snapshot = path("models--Qwen--Qwen3-8B/snapshots/0123abcd");
  std::filesystem::create_directories(snapshot);
  put("models--Qwen--Qwen3-8B/snapshots/0123abcd/config.json", config.dump());
  EXPECT_EQ(imported(snapshot, {"auto", true}).name, "Qwen3-8B");
  EXPECT_EQ(imported(snapshot + "/", {"auto", true}).name, "Qwen3-8B");
}

//===-- Checkpoints that are wrong
//--------------------------------------------------------------------===//

TEST_F(TinyCheckpoint, IsGoodBeforeItIsSpoiled) {
  ImportedModel model = imported(finish());
  EXPECT_EQ(model.warnings, std::vector<std::string>());
  EXPECT_EQ(all<lm::ParamOp>(model).size(), shapes.size());
  EXPECT_EQ(model.weights->keys().size(), shapes.size());
}

TEST_F(TinyCheckpoint, MissingTensor) {
  shapes.erase("model.layers.0.mlp.up_proj.weight");
  EXPECT_EQ(message(finish()), directory + ": the tensor 'model.layers.0.mlp.up_proj.weight' is "
                                           "missing, which the configuration asks for");
}

TEST_F(TinyCheckpoint, OtherShape) {
  shapes["model.layers.0.self_attn.k_proj.weight"] = {8, 4};
  EXPECT_EQ(message(finish()),
            directory + ": tensor 'model.layers.0.self_attn.k_proj.weight' has shape [8, 4], but "
                        "the configuration asks for [4, 8]");
}

TEST_F(TinyCheckpoint, OtherRank) {
  shapes["model.norm.weight"] = {1, 8};
  EXPECT_EQ(message(finish()), directory + ": tensor 'model.norm.weight' has shape [1, 8], but the "
                                           "configuration asks for [8]");
}

TEST_F(TinyCheckpoint, UnsupportedTypeIsAnErrorForWhoAsks) {
  types["model.layers.0.mlp.up_proj.weight"] = "F8_E4M3";
  std::string expected = finish() +
                         "/model.safetensors: tensor 'model.layers.0.mlp.up_proj.weight' "
                         "has type 'F8_E4M3'; weights must be F32, F16 or BF16";
  EXPECT_EQ(message(directory), expected);
  auto store = WeightStore::OpenDirectory(directory).value();
  EXPECT_EQ(store->find("model.layers.0.mlp.up_proj.weight"), nullptr);
  EXPECT_EQ(store->get("model.layers.0.mlp.up_proj.weight").status().message(), expected);
  EXPECT_NE(store->find("model.layers.0.mlp.gate_proj.weight"), nullptr);
  EXPECT_EQ(store->get("nothing").status().message(), directory + ": there is no tensor 'nothing'");
}

TEST_F(TinyCheckpoint, MissingShard) {
  finish();
  std::filesystem::remove(path("model.safetensors"));
  json map;
  std::map<std::string, std::vector<int64_t>> first = shapes;
  first.erase("lm_head.weight");
  for (const auto &[name, shape] : first)
    map[name] = "model-00001-of-00002.safetensors";
  map["lm_head.weight"] = "model-00002-of-00002.safetensors";
  put("model.safetensors.index.json", json{{"weight_map", map}}.dump());
  write("model-00001-of-00002.safetensors", first);
  EXPECT_EQ(message(directory),
            path("model.safetensors.index.json") +
                ": the shard 'model-00002-of-00002.safetensors' of tensor 'lm_head.weight' is "
                "missing: download it again");
  write("model-00002-of-00002.safetensors", {{"lm_head.weight", shapes["lm_head.weight"]}});
  EXPECT_EQ(all<lm::ParamOp>(imported(directory)).size(), shapes.size());
}

TEST_F(TinyCheckpoint, UnusedTensorsAreNamedInAWarning) {
  config["tie_word_embeddings"] = true; // lm_head.weight is a copy of the table then
  shapes["model.layers.0.self_attn.rotary_emb.inv_freq"] = {2};
  EXPECT_EQ(imported(finish()).warnings, std::vector<std::string>());
  for (int i = 0; i < 7; ++i)
    shapes["extra." + std::to_string(i)] = {1};
  EXPECT_EQ(imported(finish()).warnings,
            std::vector<std::string>{directory +
                                     ": 7 tensors are not used: 'extra.0', 'extra.1', "
                                     "'extra.2', 'extra.3', 'extra.4', 'extra.5', ..."});
}

TEST_F(TinyCheckpoint, AMissingTokenizerIsAWarning) {
  finish();
  std::filesystem::remove(path("tokenizer.json"));
  EXPECT_EQ(imported(directory).warnings,
            std::vector<std::string>{
                directory + ": there is no tokenizer.json: the compiled model will not read text"});
}

TEST_F(TinyCheckpoint, MixedTypesFollowTheLarger16BitPart) {
  types = {{"model.norm.weight", "F32"},
           {"lm_head.weight", "F32"},
           {"model.embed_tokens.weight", "F32"}};
  for (const auto &[name, shape] : shapes)
    if (name.find("mlp") != std::string::npos)
      types[name] = "BF16";
  ImportedModel model = imported(finish());
  EXPECT_EQ(model.config.dtype, "bfloat16") << "288 elements against 208 of f16";
  EXPECT_EQ(all<compress::ConvertOp>(model).size(), shapes.size() - 3);
}

TEST_F(TinyCheckpoint, GenerationConfigIsCarriedAndWidensTheEnd) {
  put("generation_config.json", R"({"eos_token_id": [2, 5]})");
  ImportedModel model = imported(finish());
  EXPECT_EQ(model.config.endTokens, (std::vector<int32_t>{2, 5}));
  EXPECT_EQ(model.files.count("generation_config.json"), 1u);
  put("generation_config.json", "?");
  EXPECT_EQ(message(directory), directory + "/generation_config.json: not valid JSON");
}

TEST_F(TinyCheckpoint, PathsThatAreNoCheckpoint) {
  EXPECT_EQ(message(path("nowhere")), path("nowhere") + ": there is no such file or directory");
  EXPECT_EQ(message(directory), directory + ": there is no config.json; give a Hugging Face model "
                                            "directory or a .gguf file");
  EXPECT_EQ(message(put("config.json", config.dump())),
            path("config.json") + ": neither a GGUF file nor a directory; give the directory that "
                                  "holds config.json and the safetensors files");
  EXPECT_EQ(message(directory), directory + ": there is no safetensors file in this directory");
  EXPECT_NE(message(put("bad.gguf", "GGUF")).find(path("bad.gguf")), std::string::npos);
}

TEST_F(Import, AGGUFFileIsKnownByItsContents) {
  std::filesystem::copy(models("gguf/llama-f16.gguf"), path("weights.bin"));
  EXPECT_EQ(imported(path("weights.bin")).name, "weights");
}

TEST_F(Import, AVectorInBlocksIsRefused) {
  std::filesystem::copy(models("gguf/llama-f16.gguf"), path("bad.gguf"));
  std::string bytes = get("bad.gguf"), name = "blk.0.attn_norm.weight";
  size_t type = bytes.find(name) + name.size() + sizeof(uint32_t) + sizeof(uint64_t);
  ASSERT_EQ(bytes[type], 0) << "F32";
  bytes[type] = 8; // Q8_0, whose two blocks fit in the same bytes
  EXPECT_EQ(message(put("bad.gguf", bytes)),
            path("bad.gguf") + ": tensor 'blk.0.attn_norm.weight' is a vector in q8_0 blocks; "
                               "vectors must be F32, F16 or BF16");
}

} // namespace
} // namespace compressc
