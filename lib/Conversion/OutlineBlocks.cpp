// One function for the layers that are alike.
#include "compressc/Conversion/Passes.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace compressc {
#define GEN_PASS_DEF_OUTLINEBLOCKS
#include "compressc/Conversion/Passes.h.inc"

namespace {

/// The consecutive calls of one layer.
struct Layer {
  IntegerAttr number;
  SmallVector<exec::CallOp> calls;
  llvm::SetVector<Attribute> arguments; // weights and caches, in the order of their first use
};

/// What remains of a layer when its weights and caches are left out; equal for layers that are alike.
class Shape {
public:
  Shape(const SymbolTable &symbols, MLIRContext *context) : symbols(symbols), builder(context) {}

  Attribute of(Layer &layer) {
    SmallVector<Attribute> parts;
    for (exec::CallOp call : layer.calls) {
      parts.push_back(call.getKernelAttr());
      parts.push_back(call.getConstants());
      for (ArrayAttr names : {call.getInputs(), call.getOutputs()}) {
        SmallVector<Attribute> operands;
        for (auto name : names.getAsRange<FlatSymbolRefAttr>())
          operands.push_back(of(layer, name));
        parts.push_back(builder.getArrayAttr(operands));
      }
    }
    return builder.getArrayAttr(parts);
  }

private:
  Attribute of(Layer &layer, FlatSymbolRefAttr name) {
    Operation *target = symbols.lookup(name.getAttr());
    Attribute kind;
    if (auto weight = dyn_cast<exec::WeightOp>(target))
      kind = weight.getTypeAttr();
    else if (auto cache = dyn_cast<exec::CacheOp>(target))
      kind = builder.getArrayAttr({cache.getHeadsAttr(), cache.getDimAttr()});
    else
      return name;
    layer.arguments.insert(name);
    int64_t index = std::distance(layer.arguments.begin(), llvm::find(layer.arguments, name));
    return builder.getArrayAttr({kind, builder.getI64IntegerAttr(index)});
  }

  const SymbolTable &symbols;
  Builder builder;
};

/// Names of the parameters: what the arguments' names have in common over all layers.
SmallVector<std::string> parameterNames(ArrayRef<Layer> layers) {
  SmallVector<std::string> names;
  llvm::StringMap<int> taken;
  for (size_t index = 0; index < layers[0].arguments.size(); ++index) {
    SmallVector<SmallVector<StringRef>> words;
    for (const Layer &layer : layers) {
      words.emplace_back();
      cast<FlatSymbolRefAttr>(layer.arguments[index]).getValue().split(words.back(), '.');
    }
    // What follows the last word that differs, so "mlp.up_proj.weight" of "model.layers.0.…".
    size_t common = 0, shortest = words[0].size();
    for (auto &other : words)
      shortest = std::min(shortest, other.size());
    while (common < shortest && llvm::all_of(words, [&](auto &other) {
             return other[other.size() - 1 - common] == words[0][words[0].size() - 1 - common];
           }))
      ++common;
    std::string name = llvm::join(ArrayRef<StringRef>(words[0]).take_back(common), ".");
    if (name.empty())
      name = "cache";
    if (int &count = taken[name]; count++ > 0)
      name += "_" + std::to_string(count);
    names.push_back(name);
  }
  return names;
}

void outline(exec::ProgramOp program, exec::EntryOp entry, MutableArrayRef<Layer> layers, SymbolTable &symbols) {
  OpBuilder builder(entry);
  auto function = exec::FunctionOp::create(builder, entry.getLoc(), "layer");
  function.getBody().emplaceBlock();
  symbols.insert(function, entry->getIterator()); // renames it when the name is taken
  builder.setInsertionPointToEnd(&function.getBody().front());
  llvm::DenseMap<Attribute, Attribute> parameters;
  for (auto [argument, name] : llvm::zip(layers[0].arguments, parameterNames(layers))) {
    Operation *target = symbols.lookup(cast<FlatSymbolRefAttr>(argument).getAttr());
    auto weight = dyn_cast<exec::WeightOp>(target);
    auto cache = dyn_cast<exec::CacheOp>(target);
    auto parameter = exec::ParameterOp::create(
        builder, target->getLoc(), builder.getStringAttr(name), cache ? cache.getHeadsAttr() : IntegerAttr(),
        cache ? cache.getDimAttr() : IntegerAttr(), weight ? weight.getTypeAttr() : TypeAttr());
    parameters[argument] = FlatSymbolRefAttr::get(parameter.getSymNameAttr());
  }
  for (exec::CallOp call : layers[0].calls) {
    auto copy = cast<exec::CallOp>(builder.clone(*call));
    SmallVector<Attribute> inputs;
    for (Attribute input : copy.getInputs())
      inputs.push_back(parameters.contains(input) ? parameters[input] : input);
    copy.setInputsAttr(builder.getArrayAttr(inputs));
    copy.removeLayerAttr();
  }
  for (Layer &layer : layers) {
    builder.setInsertionPoint(layer.calls.front());
    exec::InvokeOp::create(builder, layer.calls.front().getLoc(), FlatSymbolRefAttr::get(function.getSymNameAttr()),
                           builder.getArrayAttr(layer.arguments.getArrayRef()), layer.number);
    for (exec::CallOp call : layer.calls)
      call.erase();
  }
}

struct OutlineBlocks : impl::OutlineBlocksBase<OutlineBlocks> {
  void runOnOperation() override {
    for (auto program : getOperation().getOps<exec::ProgramOp>())
      for (auto entry : llvm::make_early_inc_range(program.getBody().getOps<exec::EntryOp>()))
        outlineEntry(program, entry);
  }

  void outlineEntry(exec::ProgramOp program, exec::EntryOp entry) {
    SmallVector<Layer> layers;
    IntegerAttr last;
    for (auto call : entry.getBody().getOps<exec::CallOp>()) {
      IntegerAttr number = call.getLayerAttr();
      if (number && number != last)
        layers.push_back({number, {}, {}});
      if (number)
        layers.back().calls.push_back(call);
      last = number;
    }
    SymbolTable symbols(program);
    Shape shape(symbols, &getContext());
    llvm::MapVector<Attribute, SmallVector<Layer>> alike;
    for (Layer &layer : layers)
      alike[shape.of(layer)].push_back(layer);
    for (auto &[key, group] : alike)
      if (group.size() > 1)
        outline(program, entry, group, symbols);
  }
};

} // namespace
} // namespace compressc
