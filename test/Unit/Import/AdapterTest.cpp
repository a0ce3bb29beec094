#include "compressc/Import/Adapter.h"
#include "../Core/ScratchDirectory.h"
#include "compressc/runtime/safetensors.h"
#include "dialects/Compress/Compress.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/raw_ostream.h"

#include <nlohmann/json.hpp>

namespace compressc {
namespace {

using json = nlohmann::ordered_json;

/// The adapter of two linears of a model, which a test then spoils.
class AdapterImport : public ScratchDirectory {
protected:
  void SetUp() override {
    context.loadDialect<lm::LMDialect, mlir::func::FuncDialect>();
    model = R"(
      lm.param @table : tensor<6x8xf16>
      lm.param @a.q.weight : tensor<4x8xf16>
      lm.param @a.v.weight key "blk.0.v" : tensor<8x8xf16>
      func.func @forward() -> tensor<6x8xf16> {
        %head = lm.load_param @table as "head.weight" : tensor<6x8xf16>
        return %head : tensor<6x8xf16>
      })";
    config = {{"peft_type", "LORA"}, {"r", 2}, {"lora_alpha", 3}};
    put("a.q", {2, 8}, {4, 2});
    put("a.v", {2, 8}, {8, 2});
  }

  void put(const std::string &name, std::vector<int64_t> a, std::vector<int64_t> b) {
    tensors["base_model.model." + name + ".lora_A.weight"] = {"F32", std::move(a)};
    tensors["base_model.model." + name + ".lora_B.weight"] = {"F32", std::move(b)};
  }
  void drop(const std::string &name) { tensors.erase("base_model.model." + name); }

  StatusOr<std::vector<AdapterUpdate>> import() {
    ScratchDirectory::put("adapter_config.json", config.dump());
    std::vector<SafetensorsWriter::Entry> plan;
    for (const auto &[name, tensor] : tensors) {
      int64_t bytes = tensor.first == "F32" ? 4 : 2;
      for (int64_t size : tensor.second)
        bytes *= size;
      plan.push_back({name, tensor.first, tensor.second, bytes});
    }
    auto writer = SafetensorsWriter::Create(path("adapter_model.safetensors"), plan).value();
    for (const auto &entry : plan)
      EXPECT_TRUE(writer->write(entry.name, std::string(entry.bytes, '\0').data(), entry.bytes).ok());
    EXPECT_TRUE(writer->finish().ok());
    module = mlir::parseSourceString<mlir::ModuleOp>(model, &context);
    return ImportAdapter(*module, directory);
  }

  /// Why the adapter is refused, without the file that is to blame; the module is as it was.
  std::string refusal(const std::string &file = "") {
    auto updates = import();
    EXPECT_FALSE(updates.ok());
    for (auto param : module->getOps<lm::ParamOp>())
      EXPECT_FALSE(param.getFile());
    std::string message(updates.status().message()), start = directory + file;
    EXPECT_EQ(message.substr(0, start.size()), start);
    return message.substr(std::min(start.size(), message.size()));
  }
  std::string refusedConfig() { return refusal("/adapter_config.json: "); }
  std::string refusedTensor() { return refusal("/adapter_model.safetensors: tensor 'base_model.model."); }

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::string model;
  json config;
  std::map<std::string, std::pair<std::string, std::vector<int64_t>>> tensors; // type and shape
};

template <typename T> std::string printed(T value) {
  std::string text;
  llvm::raw_string_ostream(text) << value;
  return text;
}

TEST_F(AdapterImport, FindsParametersAndDeclaresFactors) {
  auto updates = import();
  ASSERT_TRUE(updates.ok()) << updates.status();
  ASSERT_EQ(updates->size(), 2u);
  AdapterUpdate &q = (*updates)[0], &v = (*updates)[1];
  EXPECT_EQ(q.module, "a.q");
  EXPECT_EQ(q.parameter.getSymName(), "a.q.weight");
  EXPECT_EQ(v.parameter.getSymName(), "a.v.weight") << "exported so; the file has a name of its own";
  EXPECT_EQ(q.scale, 1.5);
  EXPECT_EQ(q.a.getFile(), path("adapter_model.safetensors"));
  EXPECT_EQ(q.a.getKey(), llvm::StringRef("base_model.model.a.q.lora_A.weight"));
  EXPECT_EQ(printed(q.a.getType()), "tensor<2x8xf32>");
  EXPECT_EQ(printed(q.b.getType()), "tensor<4x2xf32>");
  for (lm::ParamOp factor : {q.a, q.b, v.a, v.b})
    EXPECT_EQ(factor->getParentOp(), module->getOperation());
}

TEST_F(AdapterImport, AKeyComesBeforeASymbol) {
  model = R"(
    lm.param @a.q.weight key "a.v.weight" : tensor<8x8xf16>
    lm.param @a.v.weight key "a.q.weight" : tensor<4x8xf16>)";
  auto updates = import();
  ASSERT_TRUE(updates.ok()) << updates.status();
  EXPECT_EQ((*updates)[0].module, "a.q");
  EXPECT_EQ((*updates)[0].parameter.getSymName(), "a.v.weight");
  EXPECT_EQ((*updates)[1].parameter.getSymName(), "a.q.weight");
}

TEST_F(AdapterImport, TwoSymbolsOfOneTensorAreBothAdapted) {
  model += R"(lm.param @again key "a.q.weight" : tensor<4x8xf16>)";
  auto updates = import();
  ASSERT_TRUE(updates.ok()) << updates.status();
  ASSERT_EQ(updates->size(), 3u);
  EXPECT_EQ((*updates)[1].parameter.getSymName(), "again");
  EXPECT_EQ((*updates)[0].a, (*updates)[1].a);
}

TEST_F(AdapterImport, AHeadThatIsTiedIsTheTable) {
  put("head", {2, 8}, {6, 2});
  auto updates = import();
  ASSERT_TRUE(updates.ok()) << updates.status();
  EXPECT_EQ((*updates)[2].parameter.getSymName(), "table");
}

TEST_F(AdapterImport, ScalesOfPatterns) {
  config["use_rslora"] = true;
  config["r"] = 4;
  config["rank_pattern"] = {{"q", 2}, {"a.v", 2}};
  config["alpha_pattern"] = {{"v", 5}, {"a.v", 7}}; // the first that fits, as peft reads them
  auto updates = import();
  ASSERT_TRUE(updates.ok()) << updates.status();
  EXPECT_DOUBLE_EQ((*updates)[0].scale, 3 / std::sqrt(2));
  EXPECT_DOUBLE_EQ((*updates)[1].scale, 5 / std::sqrt(2));
}

//===-- Adapters that are refused -----------------------------------------------------------------------===//

TEST_F(AdapterImport, OfAnotherModel) {
  put("a.k", {2, 8}, {4, 2});
  EXPECT_EQ(refusal(), " adapts a.k, but the model has no parameter a.k.weight; it was trained for another model");
}

TEST_F(AdapterImport, OneParameterUnderTwoNames) {
  model = R"(lm.param @a.q.weight key "a.v.weight" : tensor<8x8xf16>)";
  EXPECT_EQ(refusal(), " adapts a.v, but its parameter @a.q.weight is adapted under another name too");
}

TEST_F(AdapterImport, WhatIsMoreThanTwoFactors) {
  for (auto [key, value, why] :
       {std::tuple("use_dora", json(true), "DoRA rescales the merged weight"),
        std::tuple("lora_bias", json(true), "the adapter has biases of its own"),
        std::tuple("bias", json("all"), "the adapter trained the model's biases"),
        std::tuple("modules_to_save", json({"head"}), "the adapter replaces whole modules"),
        std::tuple("fan_in_fan_out", json(true), "its weights are stored transposed"),
        std::tuple("layer_replication", json({{0, 1}, {0, 1}}), "the adapter's model repeats layers"),
        std::tuple("target_parameters", json({"a.p"}), "the adapter changes bare parameters"),
        std::tuple("trainable_token_indices", json({1}), "the adapter trained embeddings of tokens"),
        std::tuple("alora_invocation_tokens", json({1}), "the adapter acts on some tokens only"),
        std::tuple("use_qalora", json(true), "the adapter's A reads pooled inputs"),
        std::tuple("use_bdlora", json({{"nblocks", 2}}), "the adapter's factors are block-diagonal")}) {
    config[key] = value;
    EXPECT_EQ(refusedConfig(), std::string(key) + " is not supported (" + why +
                                   "); merge it with peft's merge_and_unload and compress the result");
    config.erase(key);
  }
  for (json nothing : {json(), json(false), json(0), json(""), json("none"), json::array(), json::object()}) {
    config["bias"] = nothing;
    EXPECT_TRUE(import().ok()) << nothing;
  }
}

TEST_F(AdapterImport, OtherKinds) {
  for (json type : {json("IA3"), json()}) {
    config["peft_type"] = type;
    EXPECT_EQ(refusedConfig(), "peft_type must be LORA; other adapters can't be merged here");
  }
  config = json::array();
  EXPECT_EQ(refusedConfig(), "expected an object at the top");
}

TEST_F(AdapterImport, ABaseThatInitialisationChanged) {
  config["init_lora_weights"] = "pissa";
  EXPECT_EQ(refusedConfig(), "init_lora_weights 'pissa' is not supported (it changes the base weights); convert the "
                             "adapter with peft first");
  for (json start : {json(true), json("gaussian"), json("orthogonal"), json("eva")}) {
    config["init_lora_weights"] = start;
    EXPECT_TRUE(import().ok()) << start;
  }
}

TEST_F(AdapterImport, Ranks) {
  config["r"] = 8;
  EXPECT_EQ(refusedConfig(), "rank 8 for 'a.q', but its tensors have rank 2");
  for (json rank : {json(), json("2"), json(0), json(-2)}) {
    config["r"] = rank;
    EXPECT_EQ(refusedConfig(), "r of 'a.q' must be a positive number");
  }
  config["r"] = 2;
  config["alpha_pattern"] = {{"v", "3"}};
  EXPECT_EQ(refusedConfig(), "lora_alpha of 'a.v' must be a positive number");
  config["alpha_pattern"] = {{".*v", 3}};
  EXPECT_EQ(refusedConfig(), "alpha_pattern: '.*v' is a regular expression; only the ends of names are read");
}

TEST_F(AdapterImport, AFactorAlone) {
  drop("a.q.lora_A.weight");
  EXPECT_EQ(refusedTensor(), "a.q.lora_B.weight' has no lora_A beside it");
  drop("a.q.lora_B.weight");
  EXPECT_TRUE(import().ok());
  drop("a.v.lora_B.weight");
  EXPECT_EQ(refusedTensor(), "a.v.lora_A.weight' has no lora_B beside it");
  tensors.clear();
  EXPECT_EQ(refusal("/adapter_model.safetensors: "), "has no LoRA factors");
}

TEST_F(AdapterImport, TensorsThatAreNoFactors) {
  std::string name = "base_model.model.table.lora_embedding_A";
  tensors[name] = {"F32", {2, 6}};
  EXPECT_EQ(refusedTensor(), "table.lora_embedding_A' adapts an embedding, which is not supported; merge it with "
                             "peft's merge_and_unload");
  tensors.erase(name);
  tensors["base_model.model.a.q.lora_magnitude_vector"] = {"F32", {4}};
  EXPECT_EQ(refusedTensor(), "a.q.lora_magnitude_vector' is not a LoRA factor (base_model.model.MODULE.lora_A.weight "
                             "or lora_B.weight)");
}

TEST_F(AdapterImport, TypesOfFactors) {
  std::string a = "base_model.model.a.q.lora_A.weight", b = "base_model.model.a.q.lora_B.weight";
  std::string expected = "a.q.lora_A.weight' and its lora_B must both be F32, F16 or BF16";
  tensors[b].first = "F16";
  EXPECT_EQ(refusedTensor(), expected);
  tensors[a].first = tensors[b].first = "I16";
  EXPECT_EQ(refusedTensor(), expected);
  tensors[a].first = tensors[b].first = "BF16";
  auto updates = import();
  ASSERT_TRUE(updates.ok()) << updates.status();
  EXPECT_EQ(printed((*updates)[0].a.getType()), "tensor<2x8xbf16>");
}

TEST_F(AdapterImport, ShapesOfFactors) {
  std::string expected = "a.q.lora_A.weight' and its lora_B must be matrices [rank, columns] and [rows, rank]";
  for (auto [a, b] : {std::pair(std::vector<int64_t>{2, 8}, std::vector<int64_t>{4, 3}),
                      std::pair(std::vector<int64_t>{2, 8}, std::vector<int64_t>{8}),
                      std::pair(std::vector<int64_t>{2, 2, 4}, std::vector<int64_t>{4, 2}),
                      std::pair(std::vector<int64_t>{0, 8}, std::vector<int64_t>{4, 0})}) {
    put("a.q", a, b);
    EXPECT_EQ(refusedTensor(), expected);
  }
}

} // namespace
} // namespace compressc
