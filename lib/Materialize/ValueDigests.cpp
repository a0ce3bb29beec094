#include "ValueDigests.h"
#include "compressc/Transforms/Dataflow.h"
#include "compressc/runtime/kernel.h"
#include "dialects/Compress/Compress.h"
#include "dialects/LM/LM.h"

using namespace mlir;

namespace compressc {

Value LookThrough(Value value) {
  while (true) {
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      auto block = dyn_cast<lm::BlockOp>(argument.getOwner()->getParentOp());
      if (!block)
        return value;
      value = block.getInputs()[argument.getArgNumber()];
    } else if (auto block = value.getDefiningOp<lm::BlockOp>()) {
      value = block.yield().getValues()[cast<OpResult>(value).getResultNumber()];
    } else if (auto calibrated = value.getDefiningOp<compress::CalibratedOp>()) {
      value = calibrated.getInput();
    } else {
      return value;
    }
  }
}

template <typename T> static std::string printed(T item) {
  std::string text;
  llvm::raw_string_ostream(text) << item;
  return text;
}

static Digest contentsOf(const Tensor &tensor) {
  return Hasher().add(std::string_view(tensor.as<char>(), size_t(tensor.bytes()))).finish();
}

StatusOr<Digest> ValueDigests::parameter(StringRef symbol) {
  if (auto found = parameters.find(symbol); found != parameters.end())
    return found->second;
  auto param = cast<lm::ParamOp>(SymbolTable::lookupSymbolIn(module, symbol));
  Hasher hasher;
  hasher.add("param").add(printed(param.getType()));
  if (auto splat = param.getSplatAttr())
    return parameters[symbol] = hasher.add(printed(Attribute(splat))).finish();
  if (!weights)
    return Invalid("parameter ", symbol.str(), " has no weights: the model was imported without them");
  COMPRESSC_ASSIGN_OR_RETURN(const Tensor *tensor, weights->get(param.storeKey()));
  auto read = contents.find(tensor);
  return parameters[symbol] = hasher.add(read != contents.end() ? read->second : contentsOf(*tensor)).finish();
}

void ValueDigests::readParameters(ArrayRef<Value> values, ThreadPool &pool) {
  llvm::SetVector<const Tensor *> tensors;
  llvm::DenseSet<Value> seen;
  SmallVector<Value> work(values);
  while (!work.empty()) {
    Value value = LookThrough(work.pop_back_val());
    Operation *op = value.getDefiningOp();
    if (!op || !seen.insert(value).second)
      continue;
    if (auto load = dyn_cast<lm::LoadParamOp>(op); load && weights)
      if (auto param = SymbolTable::lookupNearestSymbolFrom<lm::ParamOp>(load, load.getParamAttr()))
        if (const Tensor *tensor = weights->find(param.storeKey()))
          tensors.insert(tensor);
    llvm::append_range(work, op->getOperands());
  }
  std::vector<Digest> digests(tensors.size());
  pool.parallelFor(int64_t(tensors.size()), [&](int64_t i, int) { digests[size_t(i)] = contentsOf(*tensors[size_t(i)]); });
  for (auto [tensor, digest] : llvm::zip(tensors, digests))
    contents[tensor] = digest;
}

StatusOr<Digest> ValueDigests::get(Value value) {
  // Depth first without recursion: a deep model is a long chain.
  SmallVector<Value> work{LookThrough(value)};
  while (!work.empty()) {
    Value current = work.back();
    size_t before = work.size();
    Operation *op = current.getDefiningOp();
    if (op && !known.contains(current))
      for (Value operand : op->getOperands())
        if (Value inner = LookThrough(operand); !known.contains(inner))
          work.push_back(inner);
    if (work.size() > before)
      continue;
    work.pop_back();
    if (!known.contains(current)) {
      COMPRESSC_ASSIGN_OR_RETURN(Digest digest, compute(current));
      known[current] = digest;
    }
  }
  return known[LookThrough(value)];
}

/// The operands are known.
StatusOr<Digest> ValueDigests::compute(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value)) // of the function: tokens or their batch
    return Hasher().add(environment).add(tokens).add(printed(argument.getType())).finish();
  Operation *op = value.getDefiningOp();
  Hasher hasher;
  hasher.add(environment).add(std::string_view(op->getName().getStringRef()));
  if (auto load = dyn_cast<lm::LoadParamOp>(op)) {
    COMPRESSC_ASSIGN_OR_RETURN(Digest content, parameter(load.getParam()));
    return hasher.add(content).finish();
  }
  if (shares > 1 && IsObservation(op))
    hasher.add(uint64_t(shares));
  hasher.add(printed(Attribute(op->getAttrDictionary())));
  hasher.add(uint64_t(cast<OpResult>(value).getResultNumber()));
  for (Type type : op->getResultTypes())
    hasher.add(printed(type));
  for (Value operand : op->getOperands())
    hasher.add(known[LookThrough(operand)]);
  return hasher.finish();
}

StatusOr<Digest> ProgramDigest() {
  COMPRESSC_ASSIGN_OR_RETURN(auto program, MappedFile::Open("/proc/self/exe"));
  std::string_view bytes(reinterpret_cast<const char *>(program->data()), program->size());
  return Hasher().add(bytes).add(InstructionSet()).finish();
}

} // namespace compressc
