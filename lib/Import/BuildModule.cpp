#include "BuildModule.h"
#include "dialects/Compress/Compress.h"
#include "dialects/LM/LM.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Location.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;

namespace compressc {

namespace {

/// Values carry their names as locations: the printer can use them, and diagnostics point with
/// them.
class ModuleBuilder : public GraphBuilder {
public:
  ModuleBuilder(MLIRContext &context, const ModuleSource &source)
      : source(source), builder(&context), declarations(&context) {
    checkpointType = typeOf(source.checkpointType);
  }

  StatusOr<BuiltModule> build();

  GraphValue weight(const WeightName &name, const std::vector<int64_t> &shape,
                    std::string_view valueName, const WeightForm &form,
                    std::string_view alias) override;

  GraphValue embedding(GraphValue table, double scale, std::string_view name) override {
    return handle(lm::EmbeddingOp::create(builder, named(name), rows(columns(table)), tokens,
                                          valueOf(table),
                                          scale == 1 ? FloatAttr() : builder.getF64FloatAttr(scale)));
  }
  GraphValue rmsNorm(GraphValue x, GraphValue weight, double epsilon,
                     std::string_view name) override {
    return handle(lm::RMSNormOp::create(builder, named(name), valueOf(x), valueOf(weight),
                                        APFloat(epsilon)));
  }
  GraphValue linear(GraphValue x, GraphValue weight, GraphValue bias,
                    std::string_view name) override {
    int64_t outputs = cast<RankedTensorType>(valueOf(weight).getType()).getDimSize(0);
    return handle(lm::LinearOp::create(builder, named(name), rows(outputs), valueOf(x),
                                       valueOf(weight), valueOf(bias)));
  }
  GraphValue rotate(GraphValue x, int64_t headDim, const RopeConfig &rope,
                    std::string_view name) override {
    auto attribute = lm::RopeAttr::get(builder.getContext(), rope.theta, rope.scaling, rope.factor,
                                       rope.lowFrequency, rope.highFrequency, rope.originalContext,
                                       rope.betaFast, rope.betaSlow, rope.attentionFactor,
                                       rope.fractional);
    return handle(lm::RotaryEmbeddingOp::create(builder, named(name), valueOf(x), batch, headDim,
                                                attribute));
  }
  GraphValue attention(GraphValue query, GraphValue key, GraphValue value,
                       const Attention &attention, std::string_view name) override {
    auto type = lm::CacheType::get(builder.getContext(), attention.kvHeads, attention.headDim);
    Value cache = lm::CacheOp::create(builder, named("cache"), type), queries = valueOf(query);
    auto op = lm::AttentionOp::create(builder, named(name), queries.getType(), queries,
                                      valueOf(key), valueOf(value), cache, batch, attention.heads,
                                      attention.kvHeads, attention.scale, attention.window);
    return handle(op.getResult());
  }
  GraphValue gated(std::string_view activation, GraphValue gate, GraphValue up,
                   std::string_view name) override {
    return handle(lm::GatedActivationOp::create(builder, named(name),
                                                *lm::symbolizeActivation(activation),
                                                valueOf(gate), valueOf(up)));
  }
  GraphValue add(GraphValue left, GraphValue right, std::string_view name) override {
    return handle(
        arith::AddFOp::create(builder, named(name), valueOf(left), valueOf(right)).getResult());
  }
  GraphValue selectRows(GraphValue x, std::string_view name) override {
    Value input = valueOf(x);
    return handle(lm::SelectRowsOp::create(builder, named(name), input.getType(), input, batch));
  }
  GraphValue block(int64_t layer, GraphValue hidden,
                   const std::function<GraphValue(GraphValue)> &body) override;

private:
  static Value valueOf(GraphValue value) { return Value::getFromOpaquePointer(value.value); }
  static GraphValue handle(Value value) { return {value.getAsOpaquePointer()}; }
  static int64_t columns(GraphValue matrix) {
    return cast<RankedTensorType>(valueOf(matrix).getType()).getDimSize(1);
  }
  Type typeOf(DType dtype) {
    return dtype == DType::F16    ? Type(builder.getF16Type())
           : dtype == DType::BF16 ? Type(builder.getBF16Type())
                                  : Type(builder.getF32Type());
  }
  RankedTensorType rows(int64_t columns) {
    return RankedTensorType::get({ShapedType::kDynamic, columns}, builder.getF32Type());
  }
  Location named(const Twine &name) { return NameLoc::get(builder.getStringAttr(name)); }

  struct Bound {
    StoredWeight stored;
    lm::ParamOp op;
  };
  const Bound &declare(const WeightName &name, const std::vector<int64_t> &shape);

  Value offset(Value value, double amount, Type element, const Twine &name) {
    auto type = cast<RankedTensorType>(value.getType()).clone(element);
    return compress::OffsetOp::create(builder, named(name), type, value, APFloat(amount));
  }

  const ModuleSource &source;
  OpBuilder builder, declarations;
  Type checkpointType;
  Value tokens, batch;
  llvm::StringMap<Bound> params;
  BuiltModule built;
  Status status; // of the first weight that could not be bound
};

const ModuleBuilder::Bound &ModuleBuilder::declare(const WeightName &name,
                                                   const std::vector<int64_t> &shape) {
  auto [it, isNew] = params.try_emplace(name.huggingFace);
  Bound &bound = it->second;
  if (!isNew)
    return bound;
  if (source.bind && status.ok()) {
    StatusOr<StoredWeight> stored = source.bind(name, shape);
    status = stored.status();
    if (stored.ok()) {
      built.keys.insert(stored->key);
      bound.stored = *std::move(stored);
    }
  }
  Type type = RankedTensorType::get(shape, checkpointType);
  StringAttr key;
  FloatAttr splat;
  if (const Tensor *tensor = bound.stored.tensor) {
    if (DTypeSize(tensor->dtype))
      type = RankedTensorType::get(tensor->shape, typeOf(tensor->dtype));
    else
      type = compress::BlocksType::get(builder.getContext(), shape[0], shape[1],
                                       DTypeName(tensor->dtype));
    if (bound.stored.key != name.huggingFace)
      key = builder.getStringAttr(bound.stored.key);
  } else {
    splat = builder.getF64FloatAttr(0);
  }
  bound.op = lm::ParamOp::create(declarations, builder.getUnknownLoc(), name.huggingFace,
                                 StringAttr(), key, splat, type);
  return bound;
}

GraphValue ModuleBuilder::weight(const WeightName &name, const std::vector<int64_t> &shape,
                                 std::string_view valueName, const WeightForm &form,
                                 std::string_view alias) {
  Bound bound = declare(name, shape);
  bool transposed = bound.stored.transposed;
  int64_t pairedHeads = source.gguf ? form.ggufPairedHeads : 0;
  auto type = RankedTensorType::get(shape, checkpointType);
  std::string label(valueName);
  // The last operation of the chain has the plain name.
  Location last = named(label);
  Location converted = pairedHeads  ? named(label + "_paired")
                       : transposed ? named(label + "_transposed")
                                    : last;
  RankedTensorType convertedType =
      transposed ? RankedTensorType::get(bound.stored.tensor->shape, checkpointType) : type;
  Type stored = bound.op.getType();
  bool plain = stored == convertedType && !form.added;
  Location loaded = plain ? converted : named(label + "_stored");

  Value value = lm::LoadParamOp::create(
      builder, loaded, stored, bound.op.getSymName(),
      alias.empty() ? StringAttr() : builder.getStringAttr(StringRef(alias)));
  if (form.added) {
    // GGUF holds the sum: back to what checkpoints hold.
    if (source.gguf)
      value = offset(value, -form.added, checkpointType, label + "_difference");
    else if (stored != type)
      value = compress::ConvertOp::create(builder, named(label + "_converted"), type, value);
    return handle(offset(value, form.added, builder.getF32Type(), label));
  }
  if (isa<compress::BlocksType>(stored))
    value = compress::DequantizeOp::create(builder, converted, type, value);
  else if (stored != convertedType)
    value = compress::ConvertOp::create(builder, converted, convertedType, value);
  if (transposed)
    value = compress::TransposeOp::create(builder, last, type, value);
  if (pairedHeads)
    value = compress::UnpermuteRowsOp::create(builder, last, type, value, pairedHeads);
  return handle(value);
}

GraphValue ModuleBuilder::block(int64_t layer, GraphValue hidden,
                                const std::function<GraphValue(GraphValue)> &body) {
  Value value = valueOf(hidden);
  auto op = lm::BlockOp::create(builder, named("hidden" + Twine(layer + 1)), layer, value,
                                value.getType());
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(&op.getBody().front());
  Value input = op.getBody().getArgument(0);
  input.setLoc(named("x"));
  lm::YieldOp::create(builder, op.getLoc(), valueOf(body(handle(input))));
  return handle(op.getResult(0));
}

StatusOr<BuiltModule> ModuleBuilder::build() {
  built.module = ModuleOp::create(builder.getUnknownLoc());
  ModuleOp module = *built.module;
  module->setAttr("lm.checkpoint_type", TypeAttr::get(checkpointType));
  module->setAttr("lm.name", builder.getStringAttr(source.name));
  builder.setInsertionPointToEnd(module.getBody());

  auto tokensType = RankedTensorType::get({ShapedType::kDynamic}, builder.getI32Type());
  auto batchType = lm::BatchType::get(builder.getContext());
  auto function = func::FuncOp::create(
      builder, builder.getUnknownLoc(), "forward",
      builder.getFunctionType({tokensType, batchType},
                              {rows(source.model.common().vocabularySize)}));
  declarations.setInsertionPoint(function);
  Block *body = function.addEntryBlock();
  tokens = body->getArgument(0);
  batch = body->getArgument(1);
  tokens.setLoc(named("tokens"));
  batch.setLoc(named("batch"));

  builder.setInsertionPointToStart(body);
  GraphValue logits = source.model.build(*this);
  func::ReturnOp::create(builder, builder.getUnknownLoc(), valueOf(logits));
  COMPRESSC_RETURN_IF_ERROR(status);
  return std::move(built);
}

} // namespace

StatusOr<BuiltModule> BuildModule(MLIRContext &context, const ModuleSource &source) {
  context.loadDialect<arith::ArithDialect, func::FuncDialect, lm::LMDialect,
                      compress::CompressDialect>();
  return ModuleBuilder(context, source).build();
}

} // namespace compressc
