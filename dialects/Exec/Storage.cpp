#include "dialects/Exec/Storage.h"
#include "dialects/Compress/Compress.h"
#include "dialects/Exec/KernelOp.h"
#include "dialects/LM/LM.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace compressc {

static std::optional<DType> toDType(Type type) {
  if (type.isF32())
    return DType::F32;
  if (type.isF16())
    return DType::F16;
  if (type.isBF16())
    return DType::BF16;
  if (type.isInteger(32))
    return DType::I32;
  return std::nullopt;
}

std::optional<StorageType> ToStorageType(Type type) {
  return TypeSwitch<Type, std::optional<StorageType>>(type)
      .Case([](RankedTensorType tensor) -> std::optional<StorageType> {
        auto dtype = toDType(tensor.getElementType());
        if (!dtype)
          return std::nullopt;
        StorageType storage{*dtype, {}, {}};
        for (int64_t dim : tensor.getShape())
          storage.shape.push_back(ShapedType::isDynamic(dim) ? -1 : dim);
        return storage;
      })
      .Case([](compress::PackedType packed) -> std::optional<StorageType> {
        PackedFormat format{int(packed.getBits()), packed.getGroup(), packed.getSymmetric(),
                            *toDType(packed.getScaleType())};
        return StorageType{DType::Packed, {packed.getRows(), packed.getColumns()}, format};
      })
      .Case([](compress::BlocksType blocks) -> std::optional<StorageType> {
        return StorageType{*DTypeFromName({blocks.getFormat().data(), blocks.getFormat().size()}),
                           {blocks.getRows(), blocks.getColumns()},
                           {}};
      })
      .Case([](compress::StatisticsType statistics) -> std::optional<StorageType> {
        return StorageType{DType::Statistics, {statistics.getWidth()}, {}};
      })
      .Default([](Type) { return std::nullopt; });
}

Attributes ToAttributes(DictionaryAttr constants) {
  Attributes result;
  for (NamedAttribute constant : constants) {
    std::string name = constant.getName().str();
    TypeSwitch<Attribute>(constant.getValue())
        .Case([&](IntegerAttr value) { result.set(name, value.getInt()); })
        .Case([&](FloatAttr value) { result.set(name, value.getValueAsDouble()); })
        .Case([&](StringAttr value) { result.set(name, value.str()); })
        .Case([&](ArrayAttr values) {
          std::vector<double> numbers;
          for (auto value : values.getAsRange<FloatAttr>())
            numbers.push_back(value.getValueAsDouble());
          result.set(name, std::move(numbers));
        });
  }
  return result;
}

const KernelRow *KernelRowOf(Operation *op) {
  auto kernel = dyn_cast<exec::KernelOpInterface>(op);
  return kernel ? FindKernelRow(std::string_view(kernel.getKernelName())) : nullptr;
}

const OperandRow *KernelOperandOf(OpOperand &operand) {
  Operation *op = operand.getOwner();
  const KernelRow *row = KernelRowOf(op);
  if (!row || isa<lm::BatchType>(operand.get().getType()))
    return nullptr;
  size_t index = 0, count = 0;
  for (OpOperand &other : op->getOpOperands()) {
    if (isa<lm::BatchType>(other.get().getType()))
      continue;
    if (&other == &operand)
      index = count;
    ++count;
  }
  NamedAttrList constants;
  cast<exec::KernelOpInterface>(op).getKernelAttributes(constants);
  auto layout = OperandLayout::Inputs(*row, count, ToAttributes(constants.getDictionary(op->getContext())));
  return layout.ok() ? &layout->of(index) : nullptr;
}

} // namespace compressc
