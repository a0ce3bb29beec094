// Verifiers, assembly and canonicalisation of the lm dialect.
#include "dialects/LM/LM.h"
#include "dialects/LM/RopeFrequencies.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/TypeSwitch.h"
#include <algorithm>
#include <cmath>

using namespace mlir;

#include "dialects/Exec/KernelOp.cpp.inc"
#include "dialects/LM/LMDialect.cpp.inc"
#include "dialects/LM/LMEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/LM/LMAttributes.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/LM/LMTypes.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/LM/LMOps.cpp.inc"

namespace compressc::lm {

void LMDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/LM/LMAttributes.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/LM/LMTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/LM/LMOps.cpp.inc"
      >();
}

//===-- Types and attributes ----------------------------------------------------------------------===//

LogicalResult CacheType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t heads,
                                int64_t dim) {
  if (heads < 1 || dim < 1)
    return emitError() << "a cache needs at least one head and one column, not " << heads << " x "
                       << dim;
  return success();
}

LogicalResult RopeAttr::verify(function_ref<InFlightDiagnostic()> emitError, APFloat thetaValue,
                               StringRef scaling, APFloat factorValue, APFloat lowValue,
                               APFloat highValue, int64_t context, APFloat fastValue,
                               APFloat slowValue, APFloat attentionValue, bool fractional) {
  double theta = thetaValue.convertToDouble(), factor = factorValue.convertToDouble();
  double low = lowValue.convertToDouble(), high = highValue.convertToDouble();
  double fast = fastValue.convertToDouble(), slow = slowValue.convertToDouble();
  double attention = attentionValue.convertToDouble();
  bool llama3 = scaling == "llama3", yarn = scaling == "yarn";
  if (!(theta > 0) || !std::isfinite(theta))
    return emitError() << "rope theta must be a positive number";
  if (scaling != "default" && scaling != "linear" && !llama3 && !yarn)
    return emitError() << "unknown rope scaling '" << scaling
                       << "': default, linear, llama3 or yarn";
  if (!(factor > 0))
    return emitError() << "rope factor must be positive";
  // Not printed, so it would be lost.
  if (scaling == "default" && factor != 1)
    return emitError() << "rope without scaling has no factor";
  if (!llama3 && (low != 1 || high != 1))
    return emitError() << "only llama3 rope has low and high";
  if (!yarn && (fast != 1 || slow != 1 || attention != 1 || fractional))
    return emitError() << "only yarn rope has beta_fast, beta_slow, attention_factor and fractional";
  if (!llama3 && !yarn && context != 0)
    return emitError() << "only llama3 and yarn rope have an original_context";
  if (yarn && (theta == 1 || !(slow > 0) || !(fast >= slow) || !std::isfinite(fast) || context < 1))
    return emitError() << "yarn rope needs 0 < beta_slow <= beta_fast, an original_context and a "
                          "theta other than 1";
  if (!(attention > 0) || !std::isfinite(attention))
    return emitError() << "rope attention_factor must be a positive number";
  if (llama3 && (!(low > 0) || !(high > low) || context < 1))
    return emitError() << "llama3 rope needs 0 < low < high and an original_context";
  return success();
}

Attribute RopeAttr::parse(AsmParser &parser, Type) {
  double theta = 0, factor = 1, low = 1, high = 1, fast = 1, slow = 1, attention = 1;
  int64_t context = 0;
  bool fractional = false;
  std::string scaling = "default";
  auto location = parser.getCurrentLocation();
  if (parser.parseLess() || parser.parseKeyword("theta") || parser.parseEqual() ||
      parser.parseFloat(theta))
    return {};
  while (succeeded(parser.parseOptionalComma())) {
    StringRef word;
    if (parser.parseKeyword(&word))
      return {};
    if (word == "fractional") {
      fractional = true;
      continue;
    }
    if (parser.parseOptionalEqual()) {
      scaling = word.str();
      continue;
    }
    double *number = llvm::StringSwitch<double *>(word)
                         .Case("factor", &factor)
                         .Case("low", &low)
                         .Case("high", &high)
                         .Case("beta_fast", &fast)
                         .Case("beta_slow", &slow)
                         .Case("attention_factor", &attention)
                         .Default(nullptr);
    if (number ? failed(parser.parseFloat(*number))
               : word == "original_context" ? failed(parser.parseInteger(context)) : true) {
      parser.emitError(parser.getCurrentLocation(), "unknown or bad rope field '") << word << "'";
      return {};
    }
  }
  if (parser.parseGreater())
    return {};
  return parser.getChecked<RopeAttr>(location, parser.getContext(), APFloat(theta), scaling,
                                     APFloat(factor), APFloat(low), APFloat(high), context,
                                     APFloat(fast), APFloat(slow), APFloat(attention), fractional);
}

void RopeAttr::print(AsmPrinter &printer) const {
  printer << "<theta = ";
  printer.printFloat(getTheta());
  if (getScaling() != "default") {
    printer << ", " << getScaling() << ", factor = ";
    printer.printFloat(getFactor());
  }
  if (getScaling() == "llama3") {
    printer << ", low = ";
    printer.printFloat(getLowFrequency());
    printer << ", high = ";
    printer.printFloat(getHighFrequency());
  }
  if (getScaling() == "yarn") {
    printer << ", beta_fast = ";
    printer.printFloat(getBetaFast());
    printer << ", beta_slow = ";
    printer.printFloat(getBetaSlow());
    printer << ", attention_factor = ";
    printer.printFloat(getAttentionFactor());
    if (getFractional())
      printer << ", fractional";
  }
  if (getOriginalContext())
    printer << ", original_context = " << getOriginalContext();
  printer << ">";
}

/// The pairs of heads of `dim` that turn beta_fast and beta_slow times within the original context:
/// those before the first keep their frequencies under yarn, those after the second are divided.
static std::pair<double, double> yarnRange(RopeAttr rope, int64_t dim) {
  auto pairTurning = [&](double times) {
    return double(dim) * std::log(double(rope.getOriginalContext()) / (times * 2 * M_PI)) /
           (2 * std::log(rope.getTheta().convertToDouble()));
  };
  double first = pairTurning(rope.getBetaFast().convertToDouble());
  double last = pairTurning(rope.getBetaSlow().convertToDouble());
  if (!rope.getFractional()) {
    first = std::floor(first);
    last = std::ceil(last);
  }
  first = std::max(first, 0.0);
  last = std::min(last, double(dim - 1));
  return {first, first == last ? last + 0.001 : last};
}

SmallVector<double> RopeAttr::frequencies(int64_t dim) const {
  double theta = getTheta().convertToDouble(), factor = getFactor().convertToDouble();
  if (getScaling() != "yarn")
    return llvm::to_vector(ropeFrequencies(theta, getScaling(), factor, getLowFrequency().convertToDouble(),
                                           getHighFrequency().convertToDouble(), getOriginalContext(), dim));
  SmallVector<double> result;
  auto [first, last] = yarnRange(*this, dim);
  for (int64_t i = 0; i < dim / 2; ++i) {
    float period = std::pow(float(theta), float(2 * i) / float(dim)), inverse = 1.0f / period;
    float ramp = float(std::clamp((double(i) - first) / (last - first), 0.0, 1.0));
    result.push_back(1.0f / (float(factor) * period) * ramp + inverse * (1 - ramp));
  }
  return result;
}

//===-- Operations ---------------------------------------------------------------------------------===//

LogicalResult LoadParamOp::verifySymbolUses(SymbolTableCollection &tables) {
  auto param = tables.lookupNearestSymbolFrom<ParamOp>(*this, getParamAttr());
  if (!param)
    return emitOpError() << "there is no lm.param @" << getParam();
  if (param.getType() != getValue().getType())
    return emitOpError() << "@" << getParam() << " has type " << param.getType();
  return success();
}

static int64_t columns(Value value) { return cast<RankedTensorType>(value.getType()).getDimSize(1); }

/// The static shape of a weight, or failure with a message when its rank is another.
static FailureOr<ArrayRef<int64_t>> weightShape(Operation *op, Value weight, unsigned rank,
                                                StringRef what) {
  auto type = dyn_cast<RankedTensorType>(weight.getType());
  if (!type || !type.hasStaticShape() || type.getRank() != rank)
    return op->emitOpError() << what << " must be a static tensor of rank " << rank << ", not "
                             << weight.getType();
  return type.getShape();
}

LogicalResult EmbeddingOp::verify() {
  auto table = weightShape(*this, getTable(), 2, "the table");
  if (failed(table))
    return failure();
  if (columns(getResult()) != (*table)[1])
    return emitOpError() << "the table has " << (*table)[1] << " columns, the result "
                         << columns(getResult());
  return success();
}

LogicalResult RMSNormOp::verify() {
  auto weight = weightShape(*this, getWeight(), 1, "the weight");
  if (failed(weight))
    return failure();
  if ((*weight)[0] == 0 || columns(getInput()) % (*weight)[0] != 0)
    return emitOpError() << "the weight's " << (*weight)[0] << " columns don't divide the input's "
                         << columns(getInput());
  if (!(getEpsilon().convertToDouble() >= 0))
    return emitOpError() << "epsilon must not be negative";
  return success();
}

LogicalResult LayerNormOp::verify() {
  for (Value operand : {getWeight(), getBias()}) {
    if (!operand)
      continue;
    auto shape = weightShape(*this, operand, 1, operand == getBias() ? "the bias" : "the weight");
    if (failed(shape))
      return failure();
    if (columns(getInput()) != (*shape)[0])
      return emitOpError() << "the input has " << columns(getInput()) << " columns, its "
                           << (operand == getBias() ? "bias " : "weight ") << (*shape)[0];
  }
  if (!(getEpsilon().convertToDouble() >= 0))
    return emitOpError() << "epsilon must not be negative";
  return success();
}

/// What is stored in bf16 must be what the operation would round its input to.
static LogicalResult verifyNarrow(Operation *op, Value input, std::optional<Compute> compute, bool normalised) {
  if (!cast<RankedTensorType>(input.getType()).getElementType().isBF16() || (RoundsToBFloat16(compute) && !normalised))
    return success();
  return op->emitOpError() << "reads bf16 rows: that takes compute bf16 or fp8 and no norm";
}

LogicalResult LinearOp::verify() {
  if (failed(verifyNarrow(*this, getInput(), getCompute(), false)))
    return failure();
  auto weight = weightShape(*this, getWeight(), 2, "the weight");
  if (failed(weight))
    return failure();
  if (columns(getInput()) != (*weight)[1])
    return emitOpError() << "the input has " << columns(getInput()) << " columns, the weight "
                         << (*weight)[1];
  if (columns(getResult()) != (*weight)[0])
    return emitOpError() << "the weight has " << (*weight)[0] << " rows, the result "
                         << columns(getResult()) << " columns";
  if (getBias()) {
    auto bias = weightShape(*this, getBias(), 1, "the bias");
    if (failed(bias))
      return failure();
    if ((*bias)[0] != (*weight)[0])
      return emitOpError() << "the weight has " << (*weight)[0] << " rows, the bias " << (*bias)[0];
  }
  return success();
}

LogicalResult RotaryEmbeddingOp::verify() {
  int64_t dim = getHeadDim();
  if (dim < 2 || dim % 2 || columns(getInput()) % dim)
    return emitOpError() << "head_dim " << dim << " must be even and divide the input's "
                         << columns(getInput()) << " columns";
  if (bool(getNorm()) != bool(getEpsilon()))
    return emitOpError() << "a norm and an epsilon go together";
  if (!getNorm())
    return success();
  auto weight = weightShape(*this, getNorm(), 1, "the norm");
  if (failed(weight))
    return failure();
  if ((*weight)[0] != dim)
    return emitOpError() << "the norm has " << (*weight)[0] << " columns, a head " << dim;
  if (!(getEpsilon()->convertToDouble() >= 0))
    return emitOpError() << "epsilon must not be negative";
  return success();
}

LogicalResult AttentionOp::verify() {
  int64_t heads = getNumHeads(), kvHeads = getNumKvHeads();
  if (heads < 1 || kvHeads < 1 || heads % kvHeads)
    return emitOpError() << heads << " heads can't share " << kvHeads << " key/value heads";
  CacheType cache = getCache().getType();
  if (cache.getHeads() != kvHeads)
    return emitOpError() << "the cache has " << cache.getHeads() << " heads, not " << kvHeads;
  if (columns(getQuery()) != heads * cache.getDim())
    return emitOpError() << "the query has " << columns(getQuery()) << " columns, not " << heads
                         << " x " << cache.getDim();
  for (Value operand : {getKey(), getValue()})
    if (columns(operand) != kvHeads * cache.getDim())
      return emitOpError() << "key and value must have " << kvHeads << " x " << cache.getDim()
                           << " columns, not " << columns(operand);
  if (columns(getResult()) != columns(getQuery()))
    return emitOpError() << "the result must have the query's columns";
  if (getSlidingWindow() && int64_t(*getSlidingWindow()) < 1)
    return emitOpError() << "a window must hold at least one position";
  if (getRope() && cache.getDim() % 2)
    return emitOpError() << "rope takes heads of an even number of columns, not " << cache.getDim();
  size_t norms = getNorms().size();
  if (bool(getEpsilon()) != (norms > 0))
    return emitOpError() << "norms and an epsilon go together";
  if (norms == 0)
    return success();
  if (norms != 2 || !getRope())
    return emitOpError() << "takes two norms, of query and key, and only with a rope; it has " << norms;
  for (Value norm : getNorms()) {
    auto weight = weightShape(*this, norm, 1, "a norm");
    if (failed(weight))
      return failure();
    if ((*weight)[0] != cache.getDim())
      return emitOpError() << "a norm has " << (*weight)[0] << " columns, a head " << cache.getDim();
  }
  if (!(getEpsilon()->convertToDouble() >= 0))
    return emitOpError() << "epsilon must not be negative";
  return success();
}

LogicalResult SelectRowsOp::verify() {
  if (columns(getInput()) != columns(getResult()))
    return emitOpError() << "the result must have the input's columns";
  return success();
}

LogicalResult FusedLinearOp::verify() {
  if (failed(verifyNarrow(*this, getInput(), getCompute(), bool(getNorm()))))
    return failure();
  for (Value result : getResults())
    if (!getGate() && cast<RankedTensorType>(result.getType()).getElementType().isBF16())
      return emitOpError() << "gives bf16 rows: only gated linears do";
  size_t count = getWeights().size();
  if (count == 0 || count > 32)
    return emitOpError() << "needs 1 to 32 weights, not " << count;
  int64_t width = columns(getInput()), biased = getBiased();
  SmallVector<int64_t> outputs;
  for (Value operand : getWeights()) {
    auto weight = weightShape(*this, operand, 2, "a weight");
    if (failed(weight))
      return failure();
    if ((*weight)[1] != width)
      return emitOpError() << "the input has " << width << " columns, a weight " << (*weight)[1];
    outputs.push_back((*weight)[0]);
  }
  if (biased < 0 || biased >> count || size_t(llvm::popcount(uint64_t(biased))) != getBiases().size())
    return emitOpError() << "biased = " << biased << " does not name the " << getBiases().size()
                         << " biases of " << count << " weights";
  auto next = getBiases().begin();
  for (size_t i = 0; i < count; ++i) {
    if (!(biased >> i & 1))
      continue;
    auto bias = weightShape(*this, *next++, 1, "a bias");
    if (failed(bias))
      return failure();
    if ((*bias)[0] != outputs[i])
      return emitOpError() << "weight " << i << " has " << outputs[i] << " rows, its bias " << (*bias)[0];
  }
  if (bool(getNorm()) != getEpsilon().has_value())
    return emitOpError() << "norm and epsilon go together";
  if (getNorm()) {
    auto norm = weightShape(*this, getNorm(), 1, "the norm");
    if (failed(norm))
      return failure();
    if ((*norm)[0] != width)
      return emitOpError() << "the input has " << width << " columns, the norm " << (*norm)[0];
    if (!(getEpsilon()->convertToDouble() >= 0))
      return emitOpError() << "epsilon must not be negative";
  }
  if (getGate() && (count != 2 || outputs[0] != outputs[1] || getResidual()))
    return emitOpError() << "gate needs two weights of one shape and no residual";
  if (getGate())
    outputs.pop_back();
  if (getResidual() && (count != 1 || columns(getResidual()) != outputs[0]))
    return emitOpError() << "add needs one weight, whose rows are the residual's columns";
  if (getAnswers() && (count != 1 || getResidual()))
    return emitOpError() << "answers needs one weight and no residual";
  if (outputs.size() != getNumResults())
    return emitOpError() << "has " << getNumResults() << " results instead of " << outputs.size();
  for (auto [result, size] : llvm::zip(getResults(), outputs))
    if (columns(result) != size)
      return emitOpError() << "a weight has " << size << " rows, its result " << columns(result) << " columns";
  return success();
}

StringRef FusedLinearOp::getKernelName() { return "linear"; }
void FusedLinearOp::getKernelAttributes(NamedAttrList &attributes) {
  Builder builder(getContext());
  if (getWeights().size() > 1)
    attributes.set("weights", builder.getI64IntegerAttr(getWeights().size()));
  if (getBiased())
    attributes.set("biases", getBiasedAttr());
  if (getNorm()) {
    attributes.set("prologue", builder.getStringAttr("rms_norm"));
    attributes.set("epsilon", getEpsilonAttr());
  }
  if (getGate())
    attributes.set("epilogue", builder.getStringAttr((stringifyActivation(*getGate()) + "_mul").str()));
  if (getResidual())
    attributes.set("epilogue", builder.getStringAttr("add"));
  if (auto compute = getCompute())
    attributes.set("compute", builder.getStringAttr(stringifyCompute(*compute)));
  if (getAnswers())
    attributes.set("answers", builder.getI64IntegerAttr(1));
}


void LinearOp::getKernelAttributes(NamedAttrList &attributes) {
  if (auto compute = getCompute())
    attributes.set("compute", StringAttr::get(getContext(), stringifyCompute(*compute)));
  if (getAnswers())
    attributes.set("answers", Builder(getContext()).getI64IntegerAttr(1));
}

static void setRotation(NamedAttrList &attributes, RopeAttr rope, int64_t dim, FloatAttr epsilon) {
  Builder builder(rope.getContext());
  attributes.set("frequencies", builder.getF64ArrayAttr(rope.frequencies(dim)));
  if (epsilon)
    attributes.set("epsilon", epsilon);
  if (double factor = rope.getAttentionFactor().convertToDouble(); factor != 1)
    attributes.set("attention_factor", builder.getF64FloatAttr(factor));
}

void RotaryEmbeddingOp::getKernelAttributes(NamedAttrList &attributes) {
  if (getSelected())
    attributes.set("selected", Builder(getContext()).getI64IntegerAttr(1));
  attributes.set("head_dim", getHeadDimAttr());
  setRotation(attributes, getRope(), getHeadDim(), getEpsilonAttr());
}

void AttentionOp::getKernelAttributes(NamedAttrList &attributes) {
  for (NamedAttribute attribute : (*this)->getAttrs())
    attributes.push_back(attribute);
  if (getSelected())
    attributes.set(getSelectedAttrName(), Builder(getContext()).getI64IntegerAttr(1));
  if (auto rope = getRope()) {
    attributes.erase(getRopeAttrName());
    setRotation(attributes, *rope, getCache().getType().getDim(), getEpsilonAttr());
  }
}

void GatedActivationOp::getKernelAttributes(NamedAttrList &attributes) {
  attributes.set("kind", StringAttr::get(getContext(), stringifyActivation(getKind())));
}

//===-- Block --------------------------------------------------------------------------------------===//

void BlockOp::build(OpBuilder &builder, OperationState &state, int64_t layer, ValueRange inputs,
                    TypeRange results) {
  OpBuilder::InsertionGuard guard(builder);
  state.addAttribute("layer", builder.getI64IntegerAttr(layer));
  state.addOperands(inputs);
  state.addTypes(results);
  Block *body = builder.createBlock(state.addRegion());
  for (Value input : inputs)
    body->addArgument(input.getType(), state.location);
}

ParseResult BlockOp::parse(OpAsmParser &parser, OperationState &state) {
  SmallVector<OpAsmParser::Argument> arguments;
  SmallVector<OpAsmParser::UnresolvedOperand> operands;
  IntegerAttr layer;
  FunctionType type;
  auto location = parser.getCurrentLocation();
  if (parser.parseAttribute(layer, parser.getBuilder().getI64Type(), "layer", state.attributes) ||
      parser.parseAssignmentList(arguments, operands) || parser.parseColonType(type))
    return failure();
  if (type.getNumInputs() != operands.size())
    return parser.emitError(location, "the block has ")
           << operands.size() << " inputs and " << type.getNumInputs() << " input types";
  for (auto [argument, input] : llvm::zip(arguments, type.getInputs()))
    argument.type = input;
  Region *body = state.addRegion();
  if (parser.resolveOperands(operands, type.getInputs(), location, state.operands) ||
      parser.parseRegion(*body, arguments) || parser.parseOptionalAttrDict(state.attributes))
    return failure();
  state.addTypes(type.getResults());
  BlockOp::ensureTerminator(*body, parser.getBuilder(), state.location);
  return success();
}

void BlockOp::print(OpAsmPrinter &printer) {
  printer << " " << int64_t(getLayer()) << " (";
  llvm::interleaveComma(llvm::zip(getBody().getArguments(), getInputs()), printer,
                        [&](auto pair) { printer << std::get<0>(pair) << " = " << std::get<1>(pair); });
  printer << ") : ";
  printer.printFunctionalType(getInputs().getTypes(), getResultTypes());
  printer << " ";
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false, /*printBlockTerminators=*/true);
  printer.printOptionalAttrDict((*this)->getAttrs(), {"layer"});
}

LogicalResult BlockOp::verify() {
  if (int64_t(getLayer()) < 0)
    return emitOpError() << "the layer number must not be negative";
  return success();
}

LogicalResult BlockOp::verifyRegions() {
  Block &body = getBody().front();
  if (body.getArgumentTypes() != getInputs().getTypes())
    return emitOpError() << "arguments and inputs differ in type";
  if (yield().getValues().getTypes() != getResultTypes())
    return emitOpError() << "yields " << yield().getValues().getTypes() << " but its results are "
                         << getResultTypes();
  return success();
}

YieldOp BlockOp::yield() { return cast<YieldOp>(getBody().front().getTerminator()); }

namespace {

/// Rebuilds a block with fewer results and arguments: unused ones go, passed-through values are used
/// directly.
struct SimplifyBlock : OpRewritePattern<BlockOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(BlockOp op, PatternRewriter &rewriter) const override {
    Block &body = op.getBody().front();
    SmallVector<Value> yielded(op.yield().getValues());
    bool changed = false;
    // A result that only passes a value through.
    for (auto [result, value] : llvm::zip(op.getResults(), yielded)) {
      if (result.use_empty())
        continue;
      Value outer;
      if (auto argument = dyn_cast<BlockArgument>(value); argument && argument.getOwner() == &body)
        outer = op.getInputs()[argument.getArgNumber()];
      else if (!op->isAncestor(value.getParentRegion()->getParentOp()))
        outer = value;
      if (outer) {
        rewriter.replaceAllUsesWith(result, outer);
        changed = true;
      }
    }
    llvm::BitVector deadResults(op.getNumResults()), deadArguments(body.getNumArguments());
    for (OpResult result : op.getResults())
      if (result.use_empty())
        deadResults.set(result.getResultNumber());
    for (BlockArgument argument : body.getArguments())
      if (llvm::all_of(argument.getUses(), [&](OpOperand &use) {
            return use.getOwner() == op.yield() && deadResults.test(use.getOperandNumber());
          }))
        deadArguments.set(argument.getArgNumber());
    if (deadResults.none() && deadArguments.none())
      return success(changed);

    SmallVector<Value> inputs, kept;
    SmallVector<Type> types;
    for (auto [index, input] : llvm::enumerate(op.getInputs()))
      if (!deadArguments.test(index))
        inputs.push_back(input);
    for (auto [index, value] : llvm::enumerate(yielded))
      if (!deadResults.test(index)) {
        kept.push_back(value);
        types.push_back(value.getType());
      }
    rewriter.modifyOpInPlace(op.yield(), [&] { op.yield().getValuesMutable().assign(kept); });
    rewriter.modifyOpInPlace(op, [&] { body.eraseArguments(deadArguments); });
    auto smaller = BlockOp::create(rewriter, op.getLoc(), op.getLayer(), inputs, types);
    smaller.getBody().takeBody(op.getBody());
    unsigned next = 0;
    for (OpResult result : op.getResults())
      if (!deadResults.test(result.getResultNumber()))
        rewriter.replaceAllUsesWith(result, smaller.getResult(next++));
    // The region was taken, so the old operation needs a body to be erased with.
    rewriter.eraseOp(op);
    return success();
  }
};

} // namespace

void BlockOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<SimplifyBlock>(context);
}

} // namespace compressc::lm
