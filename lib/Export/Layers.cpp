// Layers of the exported checkpoint are numbered in the order of the program.
#include "compressc/Export/Export.h"
#include "compressc/Transforms/Dataflow.h"
#include <set>

using namespace mlir;

namespace compressc {
namespace {

constexpr StringRef layerPrefix = "model.layers.";

/// Splits "model.layers.3.rest" into 3 and ".rest".
std::optional<std::pair<int64_t, StringRef>> splitName(StringRef name) {
  int64_t number;
  if (!name.consume_front(layerPrefix) || name.consumeInteger(10, number) || !name.starts_with("."))
    return std::nullopt;
  return std::pair(number, name);
}

} // namespace

std::vector<int64_t> RenumberLayers(ModuleOp module) {
  std::vector<int64_t> order;
  std::set<int64_t> seen;
  for (func::FuncOp function : ModelFunctions(module))
    for (lm::BlockOp block : DeployedBlocks(function)) {
      order.push_back(block.getLayer());
      // A layer that is used twice has one set of weights: the numbers stay.
      if (!seen.insert(order.back()).second)
        return {};
    }
  // Layers that are left out come after the others: their parameters still count as the original model's.
  std::set<int64_t> leftOut;
  for (auto param : module.getOps<lm::ParamOp>())
    if (auto split = splitName(param.getSymName()); split && !seen.count(split->first))
      leftOut.insert(split->first);
  std::map<int64_t, int64_t> numbers;
  for (int64_t layer : order)
    numbers.emplace(layer, int64_t(numbers.size()));
  for (int64_t layer : leftOut)
    numbers.emplace(layer, int64_t(numbers.size()));

  auto renamed = [&](StringAttr name) -> StringAttr {
    auto split = splitName(name);
    if (!split || !numbers.count(split->first))
      return name;
    return StringAttr::get(name.getContext(), layerPrefix + Twine(numbers[split->first]) + split->second);
  };
  for (auto param : module.getOps<lm::ParamOp>()) {
    StringAttr name = renamed(param.getSymNameAttr());
    if (name == param.getSymNameAttr())
      continue;
    if (!param.getKey())
      param.setKey(param.getSymName());
    param.setSymNameAttr(name);
  }
  module.walk([&](lm::LoadParamOp load) {
    load.setParamAttr(FlatSymbolRefAttr::get(renamed(load.getParamAttr().getAttr())));
    if (StringAttr alias = load.getAliasAttr())
      load.setAliasAttr(renamed(alias));
  });
  return order;
}

} // namespace compressc
