// Lower functions of lm and compress operations to exec programs.
#include "ArenaPlanner.h"
#include "compressc/Conversion/Passes.h"
#include "compressc/Conversion/ToSchedule.h"
#include "compressc/Transforms/Dataflow.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace compressc {
#define GEN_PASS_DEF_LOWERTOEXEC
#include "compressc/Conversion/Passes.h.inc"

namespace {

class Lowering {
public:
  Lowering(func::FuncOp function, const LoweringOptions &options)
      : function(function), options(options), builder(function.getContext()) {
    // Weights and the entry point keep their names.
    for (Operation &op : function->getParentOp()->getRegion(0).front())
      if (auto symbol = dyn_cast<SymbolOpInterface>(op))
        taken.insert(symbol.getName());
  }

  FailureOr<exec::ProgramOp> run() {
    builder.setInsertionPointAfter(function);
    program = exec::ProgramOp::create(builder, function.getLoc(), function.getSymName(), options.maxTokens,
                                      options.maxSelected, 0);
    program.getBody().emplaceBlock();
    declarations = OpBuilder::atBlockEnd(&program.getBody().front());
    SmallVector<Attribute> inputs;
    for (BlockArgument argument : function.getArguments())
      if (Type type = argument.getType(); !isa<lm::BatchType>(type) && !ToStorageType(type)) {
        program.erase();
        return function.emitError() << "an argument of type " << type << " can't be lowered";
      }
    for (BlockArgument argument : function.getArguments())
      if (Attribute input = declareArgument(argument))
        inputs.push_back(input);
    entry = exec::EntryOp::create(declarations, function.getLoc(), function.getSymName(),
                                  builder.getArrayAttr(inputs), builder.getArrayAttr({}));
    entry.getBody().emplaceBlock();
    calls = OpBuilder::atBlockEnd(&entry.getBody().front());
    declarations.setInsertionPoint(entry);
    if (failed(lowerBody(function.getBody().front()))) {
      program.erase();
      return failure();
    }
    plan();
    return program;
  }

private:
  /// What a value is in the program.
  struct Place {
    FlatSymbolRefAttr symbol;
    exec::RowCount rows = exec::RowCount::fixed;
  };

  FlatSymbolRefAttr reference(StringRef name) { return FlatSymbolRefAttr::get(builder.getContext(), name); }
  std::string fresh(StringRef prefix) {
    std::string name;
    do
      name = (prefix + Twine(counters[prefix]++)).str();
    while (taken.contains(name));
    return name;
  }

  Attribute declareArgument(BlockArgument argument) {
    auto tensor = dyn_cast<RankedTensorType>(argument.getType());
    if (isa<lm::BatchType>(argument.getType()))
      return {};
    if (tensor && tensor.getElementType().isInteger(32)) {
      std::string name = taken.contains("tokens") ? fresh("tokens") : "tokens";
      exec::TokensOp::create(declarations, argument.getLoc(), name);
      places[argument] = {reference(name), exec::RowCount::tokens};
      return {};
    }
    auto rows = tensor && !tensor.hasStaticShape() ? exec::RowCount::tokens : exec::RowCount::fixed;
    auto buffer = exec::BufferOp::create(declarations, argument.getLoc(), fresh("in"), exec::Role::input,
                                         rows, IntegerAttr(), argument.getType());
    places[argument] = {reference(buffer.getSymName()), rows};
    return places[argument].symbol;
  }

  LogicalResult lowerBody(Block &body) {
    for (Operation &op : body)
      if (failed(lower(&op)))
        return failure();
    return success();
  }

  LogicalResult lower(Operation *op) {
    if (auto block = dyn_cast<lm::BlockOp>(op)) {
      for (auto [argument, input] : llvm::zip(block.getBody().getArguments(), block.getInputs()))
        places[argument] = places.lookup(input);
      layer = builder.getI64IntegerAttr(block.getLayer());
      if (failed(lowerBody(block.getBody().front())))
        return failure();
      layer = {};
      for (auto [result, value] : llvm::zip(block.getResults(), block.yield().getValues()))
        places[result] = places.lookup(value);
      return success();
    }
    if (isa<lm::YieldOp>(op))
      return success();
    if (auto calibrated = dyn_cast<compress::CalibratedOp>(op)) {
      places[calibrated.getResult()] = places.lookup(calibrated.getInput());
      return success();
    }
    if (auto load = dyn_cast<lm::LoadParamOp>(op)) {
      bool summed = llvm::all_of(load->getUsers(), [&](Operation *user) { return sumOnLoad(user); });
      return summed && !load->use_empty() ? success() : lowerLoad(load);
    }
    if (auto load = sumOnLoad(op))
      return lowerLoad(load, cast<compress::OffsetOp>(op));
    if (auto cache = dyn_cast<lm::CacheOp>(op)) {
      auto type = cache.getCache().getType();
      auto slot = exec::CacheOp::create(declarations, op->getLoc(), fresh("c"), type.getHeads(), type.getDim());
      places[cache.getCache()] = {reference(slot.getSymName())};
      return success();
    }
    if (auto results = dyn_cast<func::ReturnOp>(op)) {
      SmallVector<Attribute> outputs;
      for (Value value : results.getOperands()) {
        if (!ToStorageType(value.getType()))
          return op->emitError() << "a value of type " << value.getType() << " can't be returned";
        outputs.push_back(places.lookup(value).symbol);
      }
      entry.setOutputsAttr(builder.getArrayAttr(outputs));
      return success();
    }
    if (isa<arith::AddFOp, arith::MulFOp>(op))
      return lowerCall(op, op->getName().stripDialect().drop_back(), {});
    if (auto dequantize = dyn_cast<compress::DequantizeOp>(op); dequantize && readInPlace(dequantize)) {
      places[dequantize.getResult()] = places.lookup(dequantize.getInput());
      return success();
    }
    if (auto kernel = dyn_cast<exec::KernelOpInterface>(op)) {
      NamedAttrList constants;
      kernel.getKernelAttributes(constants);
      if (isa<compress::CompressDialect>(op->getDialect()))
        if (std::string name = namedAfter(op); !name.empty())
          constants.set("name", builder.getStringAttr(name));
      return lowerCall(op, kernel.getKernelName(), constants);
    }
    return op->emitError("can't be lowered to a kernel call");
  }

  /// The parameter that a message about this weight expression should name.
  static std::string namedAfter(Operation *op) {
    for (Value operand : op->getOperands())
      if (std::string name = ExportName(operand); !name.empty())
        return name;
    return {};
  }

  static bool readInPlace(compress::DequantizeOp op) {
    return isa<compress::PackedType>(op.getInput().getType()) &&
           llvm::all_of(op->getUses(), [](OpOperand &use) {
             const OperandRow *operand = KernelOperandOf(use);
             return operand && operand->types & types::packed;
           });
  }

  /// The parameter that this operation adds a number to, where that is done when the model is loaded.
  lm::LoadParamOp sumOnLoad(Operation *op) {
    auto offset = dyn_cast<compress::OffsetOp>(op);
    return offset && options.sumOnLoad && offset.getType().getElementType().isF32()
               ? offset.getInput().getDefiningOp<lm::LoadParamOp>()
               : lm::LoadParamOp();
  }

  LogicalResult lowerLoad(lm::LoadParamOp load, compress::OffsetOp offset = {}) {
    auto param = SymbolTable::lookupNearestSymbolFrom<lm::ParamOp>(load, load.getParamAttr());
    if (!ToStorageType(param.getType()))
      return load.emitError() << "a parameter of type " << param.getType() << " can't be loaded";
    if (!weights.contains(param)) {
      std::string stored = param.storeKey();
      StringRef key = stored;
      if (isa<compress::PackedType>(param.getType()))
        key.consume_back(".weight");
      exec::WeightOp::create(declarations, param.getLoc(), builder.getStringAttr(param.getSymName()),
                             builder.getStringAttr(key), offset ? offset.getAmountAttr() : FloatAttr(),
                             offset ? param.getTypeAttr() : TypeAttr(),
                             offset ? TypeAttr::get(offset.getType()) : param.getTypeAttr());
      weights.insert(param);
    }
    places[offset ? offset.getResult() : load.getValue()] = {reference(param.getSymName())};
    return success();
  }

  LogicalResult lowerCall(Operation *op, StringRef kernel, NamedAttrList constants) {
    const KernelRow *row = FindKernelRow(std::string_view(kernel));
    if (!row)
      return op->emitError() << "the runtime has no kernel " << kernel;
    SmallVector<Attribute> inputs, outputs, overwritable;
    Place cache;
    exec::RowCount rows = exec::RowCount::fixed;
    for (Value operand : op->getOperands()) {
      if (isa<lm::BatchType>(operand.getType()))
        continue;
      auto place = places.find(operand);
      if (place == places.end())
        return op->emitError() << "operand of type " << operand.getType() << " has no place in the schedule";
      inputs.push_back(place->second.symbol);
      rows = std::max(rows, place->second.rows);
      if (isa<lm::CacheType>(operand.getType()))
        cache = place->second;
    }
    DictionaryAttr dictionary = constants.getDictionary(builder.getContext());
    auto layout = OperandLayout::Inputs(*row, inputs.size(), ToAttributes(dictionary));
    if (!layout.ok())
      return op->emitError() << std::string(layout.status().message());
    for (auto [index, input] : llvm::enumerate(inputs))
      if (row->overwrites & layout->bitOf(index))
        overwritable.push_back(input);
    if (row->selects)
      rows = exec::RowCount::selected;
    for (OpResult result : op->getResults()) {
      if (isa<lm::CacheType>(result.getType())) {
        places[result] = cache; // updated in place
        continue;
      }
      auto tensor = dyn_cast<RankedTensorType>(result.getType());
      Place place{reference(fresh(row->accumulates ? "s" : "b")),
                  tensor && !tensor.hasStaticShape() ? rows : exec::RowCount::fixed};
      auto buffer = exec::BufferOp::create(
          declarations, op->getLoc(), place.symbol.getValue(),
          row->accumulates ? exec::Role::state : exec::Role::temporary, place.rows,
          builder.getI64IntegerAttr(0), result.getType());
      buffers[place.symbol.getAttr()] = buffer;
      places[result] = place;
      outputs.push_back(place.symbol);
    }
    auto call = exec::CallOp::create(calls, op->getLoc(), builder.getStringAttr(kernel), builder.getArrayAttr(inputs),
                                     builder.getArrayAttr(outputs), dictionary, layer);
    if (!overwritable.empty())
      overwrites.push_back({call, overwritable});
    return success();
  }

  int64_t bytesOf(exec::BufferOp buffer) {
    StorageType storage = *ToStorageType(buffer.getType());
    Tensor tensor;
    tensor.dtype = storage.dtype;
    tensor.packed = storage.packed;
    for (int64_t dim : storage.shape)
      tensor.shape.push_back(dim >= 0 ? dim
                             : buffer.getRows() == exec::RowCount::tokens ? options.maxTokens
                                                                          : options.maxSelected);
    return tensor.bytes();
  }

  /// Lifetimes from the order of the calls; states and outputs live to the end, states from the start.
  void plan() {
    llvm::MapVector<StringAttr, Lifetime> lifetimes;
    for (auto &[name, buffer] : buffers) {
      bool state = buffer.getRole() == exec::Role::state;
      lifetimes[name] = {state && !options.statesInArena ? 0 : bytesOf(buffer), state ? 0 : INT64_MAX, 0, 0};
    }
    int64_t index = 0;
    llvm::DenseMap<Operation *, int64_t> order;
    for (auto call : entry.getBody().getOps<exec::CallOp>()) {
      for (ArrayAttr names : {call.getInputs(), call.getOutputs()})
        for (auto name : names.getAsRange<FlatSymbolRefAttr>())
          if (auto found = lifetimes.find(name.getAttr()); found != lifetimes.end()) {
            found->second.begin = std::min(found->second.begin, index);
            found->second.end = index;
          }
      order[call] = index++;
    }
    for (auto name : entry.getOutputs().getAsRange<FlatSymbolRefAttr>())
      if (auto found = lifetimes.find(name.getAttr()); found != lifetimes.end())
        found->second.end = index;
    for (auto &[name, lifetime] : lifetimes)
      if (!options.reuseBuffers || buffers[name].getRole() == exec::Role::state)
        lifetime.end = index;

    llvm::DenseMap<Attribute, Attribute> renamed;
    if (options.reuseBuffers)
      for (auto &[call, operands] : overwrites)
        overwrite(call, operands, order[call], lifetimes, renamed);
    std::vector<Lifetime> plan;
    for (auto &[name, lifetime] : lifetimes)
      if (!renamed.contains(FlatSymbolRefAttr::get(name)))
        plan.push_back(lifetime);
    program.setArena(PlanArena(plan));

    // Buffers of one type in one place are one buffer.
    auto planned = plan.begin();
    llvm::DenseMap<std::pair<Attribute, int64_t>, Attribute> first;
    for (auto &[name, lifetime] : lifetimes) {
      auto symbol = FlatSymbolRefAttr::get(name);
      if (renamed.contains(symbol))
        continue;
      exec::BufferOp buffer = buffers[name];
      buffer.setOffset((planned++)->offset);
      if (!options.reuseBuffers || buffer.getRole() == exec::Role::state)
        continue;
      auto kind = builder.getArrayAttr({buffer.getTypeAttr(), buffer.getRowsAttr()});
      auto [same, isNew] = first.try_emplace({kind, int64_t(*buffer.getOffset())}, symbol);
      if (!isNew)
        renamed[symbol] = same->second;
    }
    rename(renamed);
  }

  /// Lets the call write its first result over an operand that nothing reads later.
  void overwrite(exec::CallOp call, ArrayRef<Attribute> operands, int64_t index,
                 llvm::MapVector<StringAttr, Lifetime> &lifetimes, llvm::DenseMap<Attribute, Attribute> &renamed) {
    auto output = cast<FlatSymbolRefAttr>(call.getOutputs()[0]);
    exec::BufferOp result = buffers[output.getAttr()];
    for (Attribute operand : operands) {
      auto input = cast<FlatSymbolRefAttr>(operand);
      int64_t reads = llvm::count(call.getInputs(), operand);
      while (Attribute other = renamed.lookup(input))
        input = cast<FlatSymbolRefAttr>(other);
      auto found = lifetimes.find(input.getAttr());
      if (found == lifetimes.end() || found->second.end != index || reads != 1)
        continue;
      exec::BufferOp buffer = buffers[input.getAttr()];
      if (buffer.getRole() != exec::Role::temporary || buffer.getType() != result.getType() ||
          buffer.getRows() != result.getRows())
        continue;
      found->second.end = lifetimes[output.getAttr()].end;
      renamed[output] = input;
      return;
    }
  }

  void rename(const llvm::DenseMap<Attribute, Attribute> &renamed) {
    auto mapped = [&](ArrayAttr names) {
      SmallVector<Attribute> result;
      for (Attribute name : names) {
        while (Attribute other = renamed.lookup(name))
          name = other;
        result.push_back(name);
      }
      return builder.getArrayAttr(result);
    };
    for (auto call : entry.getBody().getOps<exec::CallOp>()) {
      call.setInputsAttr(mapped(call.getInputs()));
      call.setOutputsAttr(mapped(call.getOutputs()));
    }
    entry.setOutputsAttr(mapped(entry.getOutputs()));
    for (auto [from, to] : renamed)
      buffers[cast<FlatSymbolRefAttr>(from).getAttr()].erase();
  }

  func::FuncOp function;
  const LoweringOptions &options;
  OpBuilder builder, declarations{builder}, calls{builder};
  exec::ProgramOp program;
  exec::EntryOp entry;
  llvm::DenseMap<Value, Place> places;
  llvm::DenseSet<Operation *> weights;
  llvm::MapVector<StringAttr, exec::BufferOp> buffers;
  std::vector<std::pair<exec::CallOp, SmallVector<Attribute>>> overwrites; // calls that may write over operands
  IntegerAttr layer;                                                       // of the calls being lowered
  llvm::StringMap<int> counters;
  llvm::StringSet<> taken;
};

struct LowerToExecPass : impl::LowerToExecBase<LowerToExecPass> {
  using LowerToExecBase::LowerToExecBase;

  void runOnOperation() override {
    if (maxTokens < 1 || maxSelected < 1 || maxTokens > (1 << 24) || maxSelected > maxTokens) {
      getOperation().emitError("lower-to-exec: max-tokens must be 1 to 16777216 and max-selected 1 to max-tokens");
      return signalPassFailure();
    }
    for (auto function : llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>())) {
      if (function.isExternal())
        continue;
      // A program is a symbol too, of the function's name: the function goes first.
      auto program = LowerToExec(function, {maxTokens, maxSelected, reuseBuffers, /*statesInArena=*/true, /*sumOnLoad=*/true});
      if (failed(program))
        return signalPassFailure();
      function.erase();
    }
    for (auto param : llvm::make_early_inc_range(getOperation().getOps<lm::ParamOp>()))
      param.erase();
  }
};

} // namespace

FailureOr<exec::ProgramOp> LowerToExec(func::FuncOp function, const LoweringOptions &options) {
  return Lowering(function, options).run();
}

} // namespace compressc
