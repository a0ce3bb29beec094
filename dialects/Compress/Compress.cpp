// Verifiers and assembly of the compress dialect.
#include "dialects/Compress/Compress.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/OpImplementation.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;

#include "dialects/Compress/CompressDialect.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/Compress/CompressTypes.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/Compress/CompressOps.cpp.inc"

namespace compressc::compress {

void CompressDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/Compress/CompressTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/Compress/CompressOps.cpp.inc"
      >();
}

//===-- Types --------------------------------------------------------------------------------------===//

static LogicalResult verifyFormat(function_ref<InFlightDiagnostic()> emitError, int64_t columns,
                                  int64_t bits, int64_t group, Type scaleType) {
  if (bits != 2 && bits != 3 && bits != 4 && bits != 8)
    return emitError() << "can't quantise to " << bits << " bits: 2, 3, 4 or 8";
  if (group < 1 || columns % group)
    return emitError() << "group size " << group << " does not divide " << columns
                       << " columns; use a divisor such as " << std::gcd(columns, int64_t(128));
  if (!scaleType.isF16() && !scaleType.isBF16() && !scaleType.isF32())
    return emitError() << "scales are f16, bf16 or f32, not " << scaleType;
  return success();
}

LogicalResult PackedType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t rows,
                                 int64_t columns, int64_t bits, int64_t group, bool,
                                 Type scaleType) {
  if (rows < 1 || columns < 1)
    return emitError() << "a packed weight needs rows and columns";
  return verifyFormat(emitError, columns, bits, group, scaleType);
}

static ParseResult parseShape(AsmParser &parser, SmallVectorImpl<int64_t> &shape) {
  auto location = parser.getCurrentLocation();
  if (parser.parseDimensionList(shape, /*allowDynamic=*/false, /*withTrailingX=*/false))
    return failure();
  if (shape.size() != 2)
    return parser.emitError(location, "expected ROWSxCOLUMNS");
  return success();
}

Type PackedType::parse(AsmParser &parser) {
  SmallVector<int64_t> shape;
  int64_t bits, group;
  StringRef symmetry;
  Type scaleType;
  auto location = parser.getCurrentLocation();
  if (parser.parseLess() || parseShape(parser, shape) || parser.parseComma() ||
      parser.parseKeyword("bits") || parser.parseEqual() || parser.parseInteger(bits) ||
      parser.parseComma() || parser.parseKeyword("group") || parser.parseEqual() ||
      parser.parseInteger(group) || parser.parseComma())
    return {};
  auto symmetryLocation = parser.getCurrentLocation();
  if (parser.parseKeyword(&symmetry))
    return {};
  if (symmetry != "symmetric" && symmetry != "asymmetric")
    return parser.emitError(symmetryLocation, "expected symmetric or asymmetric"), Type();
  if (parser.parseComma() || parser.parseType(scaleType) || parser.parseGreater())
    return {};
  return parser.getChecked<PackedType>(location, parser.getContext(), shape[0], shape[1], bits, group,
                                       symmetry == "symmetric", scaleType);
}

void PackedType::print(AsmPrinter &printer) const {
  printer << "<" << getRows() << "x" << getColumns() << ", bits = " << getBits()
          << ", group = " << getGroup() << ", " << (getSymmetric() ? "symmetric" : "asymmetric") << ", "
          << getScaleType() << ">";
}

LogicalResult BlocksType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t rows,
                                 int64_t columns, StringRef format) {
  int64_t block = llvm::StringSwitch<int64_t>(format)
                      .Cases({"q4_0", "q4_1", "q5_0", "q5_1", "q8_0"}, 32)
                      .Cases({"q4_k", "q5_k", "q6_k"}, 256)
                      .Default(0);
  if (!block)
    return emitError() << "unknown block format '" << format
                       << "': q4_0, q4_1, q5_0, q5_1, q8_0, q4_k, q5_k or q6_k";
  if (rows < 1 || columns < 1 || columns % block)
    return emitError() << format << " blocks need rows, and columns in multiples of " << block
                       << ", not " << rows << "x" << columns;
  return success();
}

Type BlocksType::parse(AsmParser &parser) {
  SmallVector<int64_t> shape;
  StringRef format;
  auto location = parser.getCurrentLocation();
  if (parser.parseLess() || parseShape(parser, shape) || parser.parseComma() ||
      parser.parseKeyword(&format) || parser.parseGreater())
    return {};
  return parser.getChecked<BlocksType>(location, parser.getContext(), shape[0], shape[1], format);
}

void BlocksType::print(AsmPrinter &printer) const {
  printer << "<" << getRows() << "x" << getColumns() << ", " << getFormat() << ">";
}

LogicalResult StatisticsType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t width) {
  if (width < 1)
    return emitError() << "statistics need at least one column";
  return success();
}

//===-- Operations ---------------------------------------------------------------------------------===//

/// The shape of a plain tensor, packed weight or GGUF blocks.
static SmallVector<int64_t> shapeOf(Value value) {
  return TypeSwitch<Type, SmallVector<int64_t>>(value.getType())
      .Case([](PackedType type) { return SmallVector<int64_t>{type.getRows(), type.getColumns()}; })
      .Case([](BlocksType type) { return SmallVector<int64_t>{type.getRows(), type.getColumns()}; })
      .Case([](RankedTensorType type) { return SmallVector<int64_t>(type.getShape()); })
      .Default([](Type) { return SmallVector<int64_t>(); });
}

static LogicalResult verifySameShape(Operation *op, Value a, Value b) {
  if (shapeOf(a) != shapeOf(b))
    return op->emitOpError() << "changes the shape from " << a.getType() << " to " << b.getType();
  return success();
}

static LogicalResult verifyExtent(Operation *op, int64_t actual, int64_t expected, StringRef what) {
  if (actual != expected)
    return op->emitOpError() << what << " " << expected << " elements, not " << actual;
  return success();
}

/// The shape of a weight [N, K] whose input the statistics describe.
static LogicalResult verifyWeight(Operation *op, Value weight, StatisticsType statistics) {
  SmallVector<int64_t> shape = shapeOf(weight);
  if (shape.size() != 2)
    return op->emitOpError() << "needs weights of rank 2, not " << weight.getType();
  return verifyExtent(op, statistics.getWidth(), shape[1], "needs statistics of");
}

LogicalResult ObserveOp::verify() {
  return verifyExtent(*this, getStatistics().getType().getWidth(), shapeOf(getInput())[1],
                      "makes statistics of");
}

LogicalResult ObserveCosineOp::verify() {
  return verifyExtent(*this, shapeOf(getInfluence())[0], 2, "makes");
}

LogicalResult CalibratedOp::verify() {
  return verifyExtent(*this, getStatistics().getType().getWidth(), shapeOf(getInput())[1],
                      "needs statistics of");
}

LogicalResult ScaleStatisticsOp::verify() {
  return verifyExtent(*this, shapeOf(getScale())[0], getStatistics().getType().getWidth(),
                      "needs a scale of");
}

LogicalResult DequantizeOp::verify() { return verifySameShape(*this, getInput(), getResult()); }
LogicalResult ConvertOp::verify() { return verifySameShape(*this, getInput(), getResult()); }

/// Rows are what the operation works on.
static LogicalResult verifyRows(Operation *op, Value value) {
  if (size_t rank = shapeOf(value).size(); rank != 1 && rank != 2)
    return op->emitOpError() << "needs a vector or a matrix, not " << value.getType();
  return success();
}

LogicalResult UnpermuteRowsOp::verify() {
  if (failed(verifyRows(*this, getInput())))
    return failure();
  int64_t rows = shapeOf(getInput())[0], heads = getHeads();
  if (heads < 1 || rows % (2 * heads))
    return emitOpError() << "can't split " << rows << " rows in " << heads << " heads of even size";
  return success();
}

LogicalResult TransposeOp::verify() {
  RankedTensorType input = cast<RankedTensorType>(getInput().getType()),
                   result = cast<RankedTensorType>(getResult().getType());
  if (input.getRank() != 2 || result.getRank() != 2)
    return emitOpError() << "needs matrices, not " << input << " and " << result;
  if (input.getElementType() != result.getElementType() || input.getDimSize(0) != result.getDimSize(1) ||
      input.getDimSize(1) != result.getDimSize(0))
    return emitOpError() << "turns " << input << " into " << result;
  return success();
}

LogicalResult ScaleColumnsOp::verify() {
  SmallVector<int64_t> shape = shapeOf(getWeight());
  if (shape.size() != 2)
    return emitOpError() << "needs a weight of rank 2";
  if (failed(verifySameShape(*this, getWeight(), getResult())))
    return failure();
  return verifyExtent(*this, shapeOf(getScale())[0], shape[1], "needs a scale of");
}

LogicalResult ScaleRowsOp::verify() {
  if (failed(verifyRows(*this, getWeight())) || failed(verifySameShape(*this, getWeight(), getResult())))
    return failure();
  return verifyExtent(*this, shapeOf(getScale())[0], shapeOf(getWeight())[0], "needs a scale of");
}

LogicalResult LoraMergeOp::verify() {
  SmallVector<int64_t> weight = shapeOf(getWeight()), a = shapeOf(getA()), b = shapeOf(getB());
  if (weight.size() != 2 || a.size() != 2 || b.size() != 2 || a[1] != weight[1] || b[0] != weight[0] || a[0] != b[1])
    return emitOpError() << "can't add the product of " << getB().getType() << " and " << getA().getType() << " to "
                         << getWeight().getType();
  if (!std::isfinite(getScale().convertToDouble()))
    return emitOpError() << "needs a finite scale";
  if (failed(verifySameShape(*this, getWeight(), getResult())))
    return failure();
  return verifyExtent(*this, shapeOf(getChange())[0], 1, "makes a change of");
}

LogicalResult ExpandHeadsOp::verify() {
  int64_t size = shapeOf(getInput())[0], repeat = getRepeat(), headDim = getHeadDim();
  if (headDim < 1 || size % headDim)
    return emitOpError() << "heads of " << headDim << " columns don't divide " << size;
  if (repeat < 1)
    return emitOpError() << "can't repeat a head " << repeat << " times";
  return verifyExtent(*this, shapeOf(getResult())[0], size * repeat, "makes");
}

LogicalResult AWQScaleOp::verify() {
  int64_t width = getStatistics().getType().getWidth(), repeat = getRepeat(), headDim = getHeadDim();
  if (getWeights().empty())
    return emitOpError() << "needs at least one weight";
  for (Value weight : getWeights())
    if (failed(verifyWeight(*this, weight, getStatistics().getType())))
      return failure();
  if (failed(verifyFormat([&] { return emitOpError(); }, width, getBits(), getGroup(), getScaleType())))
    return failure();
  StringRef grid = getGrid();
  if (grid != "all" && grid != "duo" && grid != "plain")
    return emitOpError() << "unknown grid '" << grid << "': all, duo or plain";
  if (repeat < 1 || (repeat > 1 && (headDim < 1 || width % repeat || width / repeat % headDim)))
    return emitOpError() << "heads of " << headDim << " columns repeated " << repeat
                         << " times don't divide " << width;
  if (failed(verifyExtent(*this, shapeOf(getScale())[0], width / repeat, "makes a scale of")))
    return failure();
  return verifyExtent(*this, shapeOf(getChoice())[0], 4, "makes a choice of");
}

LogicalResult ClipOp::verify() {
  if (failed(verifyWeight(*this, getWeight(), getStatistics().getType())) ||
      failed(verifySameShape(*this, getWeight(), getResult())) ||
      failed(verifyFormat([&] { return emitOpError(); }, shapeOf(getWeight())[1], getBits(),
                          getGroup(), getScaleType())))
    return failure();
  return verifyExtent(*this, shapeOf(getChoice())[0], 2, "makes a choice of");
}

LogicalResult QuantizeOp::verify() { return verifySameShape(*this, getWeight(), getResult()); }

LogicalResult SVDOp::verify() {
  SmallVector<int64_t> shape = shapeOf(getWeight()), left = shapeOf(getLeft()), right = shapeOf(getRight());
  if (shape.size() != 2)
    return emitOpError() << "needs weights of rank 2, not " << getWeight().getType();
  if (getStatistics() && failed(verifyWeight(*this, getWeight(), getStatistics().getType())))
    return failure();
  int64_t rank = right[0];
  if (left != SmallVector<int64_t>{shape[0], rank} || right[1] != shape[1])
    return emitOpError() << "can't write " << getWeight().getType() << " as " << getLeft().getType() << " times "
                         << getRight().getType();
  if (rank < 1 || rank > std::min(shape[0], shape[1]))
    return emitOpError() << "has rank " << rank << "; a weight of " << shape[0] << "x" << shape[1] << " has 1 to "
                         << std::min(shape[0], shape[1]);
  if (double damping = getDamping().convertToDouble(); !(damping >= 0 && damping <= 1))
    return emitOpError() << "needs a damping from 0 to 1, not " << damping;
  return verifyExtent(*this, shapeOf(getChoice())[0], 4, "makes a choice of");
}

LogicalResult OutputErrorOp::verify() {
  if (failed(verifyWeight(*this, getWeight(), getStatistics().getType())) ||
      failed(verifySameShape(*this, getWeight(), getApproximation())))
    return failure();
  return verifyExtent(*this, shapeOf(getError())[0], 1, "makes");
}

LogicalResult ChooseOp::verify() {
  size_t candidates = getCandidates().size();
  if (getScores().size() != candidates || getChosen().size() != candidates)
    return emitOpError() << "has " << candidates << " candidates, but " << getScores().size() << " scores and "
                         << getChosen().size() << " flags";
  if (int64_t(getCount()) < 1 || getCount() > candidates)
    return emitOpError() << "can't pick " << int64_t(getCount()) << " of " << candidates << " candidates";
  for (Value score : getScores())
    if (shapeOf(score)[0] < 1)
      return emitOpError() << "needs scores of one element or more";
  return success();
}

LogicalResult RemarkOp::verify() {
  return verifyExtent(*this, shapeOf(getValues())[0], getFields().size(), "names");
}

OpFoldResult ConvertOp::fold(FoldAdaptor) {
  return getInput().getType() == getResult().getType() ? getInput() : OpFoldResult();
}


/// Kernels take types by name and booleans as 0 or 1.
static void plainAttributes(Operation *op, NamedAttrList &attributes) {
  Builder builder(op->getContext());
  for (NamedAttribute attribute : op->getAttrs()) {
    if (auto type = dyn_cast<TypeAttr>(attribute.getValue())) {
      std::string name;
      llvm::raw_string_ostream(name) << type.getValue();
      attributes.set(attribute.getName(), builder.getStringAttr(name));
    } else if (auto flag = dyn_cast<BoolAttr>(attribute.getValue())) {
      attributes.set(attribute.getName(), builder.getI64IntegerAttr(flag.getValue()));
    } else {
      attributes.set(attribute.getName(), attribute.getValue());
    }
  }
}

void AWQScaleOp::getKernelAttributes(NamedAttrList &attributes) { plainAttributes(*this, attributes); }
void ClipOp::getKernelAttributes(NamedAttrList &attributes) { plainAttributes(*this, attributes); }
void ScaleRowsOp::getKernelAttributes(NamedAttrList &attributes) {
  attributes.set("inverse", Builder(getContext()).getI64IntegerAttr(getInverse()));
}

} // namespace compressc::compress
