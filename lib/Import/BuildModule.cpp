#include "BuildModule.h"
#include "dialects/Compress/Compress.h"
#include "dialects/LM/LM.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Location.h"
#include "llvm/ADT/StringMap.h"
#include <cmath>

using namespace mlir;

namespace compressc {

namespace {

/// Values carry their names as locations: the printer can use them, and diagnostics point with
/// them.
class ModuleBuilder {
public:
  ModuleBuilder(MLIRContext &context, const ModuleSource &source)
      : source(source), config(source.config), builder(&context) {
    rope = lm::RopeAttr::get(&context, config.rope.theta, config.rope.scaling, config.rope.factor,
                             config.rope.lowFrequency, config.rope.highFrequency,
                             config.rope.originalContext, config.rope.betaFast,
                             config.rope.betaSlow, config.rope.attentionFactor,
                             config.rope.fractional);
    checkpointType = typeOf(source.checkpointType);
  }

  OwningOpRef<ModuleOp> build();

private:
  Type typeOf(DType dtype);
  RankedTensorType rows(int64_t columns) {
    return RankedTensorType::get({ShapedType::kDynamic, columns}, builder.getF32Type());
  }
  Location named(const Twine &name) { return NameLoc::get(builder.getStringAttr(name)); }

  void addParam(const Parameter &parameter);
  Value weight(const std::string &name, StringRef valueName, StringRef alias = {});
  Value norm(const std::string &module, StringRef weightName, Value input, StringRef name);
  Value linear(const std::string &module, StringRef weightName, Value input, bool bias,
               StringRef name);
  Value attention(const std::string &module, int64_t layer, Value input);
  Value mlp(const std::string &module, Value input);
  Value block(int64_t layer, Value hidden);
  Value head(Value hidden);

  const ModuleSource &source;
  const ModelConfig &config;
  OpBuilder builder;
  lm::RopeAttr rope;
  Type checkpointType;
  Value batch;
  struct Bound {
    const Parameter *parameter;
    lm::ParamOp op;
  };
  llvm::StringMap<Bound> params;
};

Type ModuleBuilder::typeOf(DType dtype) {
  return dtype == DType::F16    ? Type(builder.getF16Type())
         : dtype == DType::BF16 ? Type(builder.getBF16Type())
                                : Type(builder.getF32Type());
}

void ModuleBuilder::addParam(const Parameter &parameter) {
  Type type = RankedTensorType::get(parameter.shape, checkpointType);
  StringAttr key;
  FloatAttr splat;
  if (const Tensor *stored = parameter.stored) {
    if (DTypeSize(stored->dtype))
      type = RankedTensorType::get(stored->shape, typeOf(stored->dtype));
    else
      type = compress::BlocksType::get(builder.getContext(), parameter.shape[0], parameter.shape[1],
                                       DTypeName(stored->dtype));
    if (parameter.key != parameter.name)
      key = builder.getStringAttr(parameter.key);
  } else {
    splat = builder.getF64FloatAttr(0);
  }
  auto op = lm::ParamOp::create(builder, builder.getUnknownLoc(), parameter.name, StringAttr(), key, splat, type);
  params.try_emplace(parameter.name, Bound{&parameter, op});
}

/// A parameter as a value of the checkpoint's type, rows in Hugging Face's order.
Value ModuleBuilder::weight(const std::string &name, StringRef valueName, StringRef alias) {
  auto [parameter, op] = params.find(name)->second;
  auto type = RankedTensorType::get(parameter->shape, checkpointType);
  // The last operation of the chain has the plain name.
  Location last = named(valueName);
  Location converted = parameter->pairedHeads  ? named(valueName + "_paired")
                       : parameter->transposed ? named(valueName + "_transposed")
                                               : last;
  RankedTensorType convertedType =
      parameter->transposed ? RankedTensorType::get(parameter->stored->shape, checkpointType) : type;
  Location loaded = op.getType() == convertedType ? converted : named(valueName + "_stored");

  Value value =
      lm::LoadParamOp::create(builder, loaded, op.getType(), op.getSymName(),
                              alias.empty() ? StringAttr() : builder.getStringAttr(alias));
  if (isa<compress::BlocksType>(op.getType()))
    value = compress::DequantizeOp::create(builder, converted, type, value);
  else if (op.getType() != convertedType)
    value = compress::ConvertOp::create(builder, converted, convertedType, value);
  if (parameter->transposed)
    value = compress::TransposeOp::create(builder, last, type, value);
  if (parameter->pairedHeads)
    value = compress::UnpermuteRowsOp::create(builder, last, type, value, parameter->pairedHeads);
  return value;
}

Value ModuleBuilder::norm(const std::string &module, StringRef weightName, Value input,
                          StringRef name) {
  Value scale = weight(module + ".weight", weightName);
  return lm::RMSNormOp::create(builder, named(name), input, scale, APFloat(config.normEpsilon));
}

Value ModuleBuilder::linear(const std::string &module, StringRef weightName, Value input,
                            bool hasBias, StringRef name) {
  Value matrix = weight(module + ".weight", weightName);
  Value bias = hasBias ? weight(module + ".bias", (weightName + "_bias").str()) : Value();
  int64_t outputs = cast<RankedTensorType>(matrix.getType()).getDimSize(0);
  return lm::LinearOp::create(builder, named(name), rows(outputs), input, matrix, bias);
}

Value ModuleBuilder::attention(const std::string &module, int64_t layer, Value input) {
  Value query = linear(module + "q_proj", "q_proj", input, config.inputBias, "q");
  Value key = linear(module + "k_proj", "k_proj", input, config.inputBias, "k");
  Value value = linear(module + "v_proj", "v_proj", input, config.inputBias, "v");
  if (config.headNorms) {
    query = norm(module + "q_norm", "q_norm", query, "q_normed");
    key = norm(module + "k_norm", "k_norm", key, "k_normed");
  }
  query = lm::RotaryEmbeddingOp::create(builder, named("q_rotated"), query, batch, config.headDim,
                                        rope);
  key =
      lm::RotaryEmbeddingOp::create(builder, named("k_rotated"), key, batch, config.headDim, rope);

  auto cacheType = lm::CacheType::get(builder.getContext(), config.kvHeads, config.headDim);
  Value cache = lm::CacheOp::create(builder, named("cache"), cacheType);
  auto attended = lm::AttentionOp::create(builder, named("attended"), query.getType(), query, key, value, cache, batch,
                                          config.heads, config.kvHeads, 1 / std::sqrt(double(config.headDim)),
                                          config.windows[layer]);
  return linear(module + "o_proj", "o_proj", attended.getResult(), config.outputBias, "o");
}

Value ModuleBuilder::mlp(const std::string &module, Value input) {
  Value gate = linear(module + "gate_proj", "gate_proj", input, config.mlpBias, "gate");
  Value up = linear(module + "up_proj", "up_proj", input, config.mlpBias, "up");
  Value gated = lm::GatedActivationOp::create(
      builder, named("gated"), *lm::symbolizeActivation(config.activation), gate, up);
  return linear(module + "down_proj", "down_proj", gated, config.mlpBias, "down");
}

Value ModuleBuilder::block(int64_t layer, Value hidden) {
  std::string prefix = absl::StrCat("model.layers.", layer, ".");
  auto op = lm::BlockOp::create(builder, named("hidden" + Twine(layer + 1)), layer, hidden,
                                hidden.getType());
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(&op.getBody().front());
  Value input = op.getBody().getArgument(0);
  input.setLoc(named("x"));

  Value normed = norm(prefix + "input_layernorm", "input_layernorm", input, "attention_input");
  Value attended = attention(prefix + "self_attn.", layer, normed);
  Value middle = arith::AddFOp::create(builder, named("middle"), input, attended);
  normed =
      norm(prefix + "post_attention_layernorm", "post_attention_layernorm", middle, "mlp_input");
  Value result =
      arith::AddFOp::create(builder, named("result"), middle, mlp(prefix + "mlp.", normed));
  lm::YieldOp::create(builder, op.getLoc(), result);
  return op.getResult(0);
}

/// Rows are selected before the norm, which is row-wise: fewer rows, the same values.
Value ModuleBuilder::head(Value hidden) {
  Value selected =
      lm::SelectRowsOp::create(builder, named("selected"), hidden.getType(), hidden, batch);
  Value normed = norm("model.norm", "norm", selected, "normed");
  if (config.headRank)
    return linear("lm_head.1", "lm_head_1", linear("lm_head.0", "lm_head_0", normed, false, "projected"), false,
                  "logits");
  Value matrix = config.tiedHead ? weight("model.embed_tokens.weight", "lm_head", "lm_head.weight")
                                 : weight("lm_head.weight", "lm_head");
  return lm::LinearOp::create(builder, named("logits"), rows(config.vocabularySize), normed, matrix,
                              Value());
}

OwningOpRef<ModuleOp> ModuleBuilder::build() {
  OwningOpRef<ModuleOp> module = ModuleOp::create(builder.getUnknownLoc());
  (*module)->setAttr("lm.checkpoint_type", TypeAttr::get(checkpointType));
  (*module)->setAttr("lm.name", builder.getStringAttr(source.name));
  builder.setInsertionPointToEnd(module->getBody());
  for (const Parameter &parameter : source.parameters)
    addParam(parameter);

  auto tokensType = RankedTensorType::get({ShapedType::kDynamic}, builder.getI32Type());
  auto batchType = lm::BatchType::get(builder.getContext());
  auto function = func::FuncOp::create(
      builder, builder.getUnknownLoc(), "forward",
      builder.getFunctionType({tokensType, batchType}, {rows(config.vocabularySize)}));
  Block *body = function.addEntryBlock();
  Value tokens = body->getArgument(0);
  batch = body->getArgument(1);
  tokens.setLoc(named("tokens"));
  batch.setLoc(named("batch"));

  builder.setInsertionPointToStart(body);
  Value table = weight("model.embed_tokens.weight", "embed_tokens");
  Value hidden =
      lm::EmbeddingOp::create(builder, named("hidden0"), rows(config.hiddenSize), tokens, table);
  for (int64_t layer = 0; layer < config.layers; ++layer)
    hidden = block(layer, hidden);
  func::ReturnOp::create(builder, builder.getUnknownLoc(), head(hidden));
  return module;
}

} // namespace

OwningOpRef<ModuleOp> BuildModule(MLIRContext &context, const ModuleSource &source) {
  context.loadDialect<arith::ArithDialect, func::FuncDialect, lm::LMDialect,
                      compress::CompressDialect>();
  return ModuleBuilder(context, source).build();
}

} // namespace compressc
