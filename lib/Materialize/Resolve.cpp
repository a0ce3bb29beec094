// Resolving choices: the slice behind one is a program of its own, whose only results are the scores.
#include "compressc/Materialize/Resolve.h"
#include "compressc/Transforms/Dataflow.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include <cmath>
#include <map>
#include <numeric>
#include <set>

using namespace mlir;

namespace compressc {
namespace {

compress::ChooseOp firstChoice(ModuleOp module) {
  compress::ChooseOp first;
  module.walk([&](compress::ChooseOp choose) {
    first = choose;
    return WalkResult::interrupt();
  });
  return first;
}

/// Removes the layers and operations that nothing reads. What such a layer would report is dropped with it.
void eraseUnread(func::FuncOp function) {
  SmallVector<Operation *> operations;
  for (Operation &op : function.getBody().front().without_terminator())
    operations.push_back(&op);
  for (Operation *op : llvm::reverse(operations))
    if (isOpTriviallyDead(op) || (isa<lm::BlockOp>(op) && op->use_empty()))
      op->erase();
}

/// A copy of the module that computes and reports the scores, and nothing else.
OwningOpRef<ModuleOp> programOfScores(ModuleOp module, compress::ChooseOp original) {
  IRMapping mapping;
  OwningOpRef<ModuleOp> program = cast<ModuleOp>(module->clone(mapping));
  auto choose = mapping.lookup(original.getChosen().front()).getDefiningOp<compress::ChooseOp>();
  auto function = choose->getParentOfType<func::FuncOp>();
  SmallVector<Operation *> unwanted;
  program->walk([&](compress::RemarkOp remark) { unwanted.push_back(remark); });
  for (auto other : program->getOps<func::FuncOp>())
    if (other != function)
      unwanted.push_back(other);
  for (Operation *op : unwanted)
    op->erase();

  OpBuilder builder(choose);
  for (Value score : choose.getScores()) {
    int64_t elements = cast<RankedTensorType>(score.getType()).getDimSize(0);
    SmallVector<Attribute> fields(elements, builder.getStringAttr("score"));
    compress::RemarkOp::create(builder, choose.getLoc(), choose.getPassAttr(), builder.getArrayAttr({}),
                               builder.getArrayAttr(fields), score);
  }
  function.getBody().front().getTerminator()->setOperands({});
  function.setFunctionType(builder.getFunctionType(function.getArgumentTypes(), {}));
  eraseUnread(function);
  return program;
}

MaterializeOptions scoreOptions(const MaterializeOptions &options) {
  MaterializeOptions scores = options;
  scores.files.clear();
  scores.store = nullptr; // the steps of this program are not those of the model
  return scores;
}

StatusOr<std::vector<double>> evaluateScores(ModuleOp module, compress::ChooseOp choose,
                                             const MaterializeOptions &options) {
  OwningOpRef<ModuleOp> program = programOfScores(module, choose);
  COMPRESSC_ASSIGN_OR_RETURN(MaterializeReport report, Materialize(*program, scoreOptions(options)));
  std::vector<double> values;
  for (const Decision &decision : report.decisions) {
    values.push_back(decision.numbers.front().second);
    if (!std::isfinite(values.back()))
      return Invalid(choose.getPass().str(), ": the score of candidate ", values.size() - 1, " is NaN or infinite");
  }
  return values;
}

/// The adapters' updates in the weights of the deployed program: by file, the names of their first factors.
using Updates = std::map<std::string, std::set<std::string>>;

Updates updatesOf(ModuleOp module) {
  Updates updates;
  SymbolTable symbols(module);
  for (func::FuncOp function : ModelFunctions(module))
    for (Operation *op : DeployedOps(function))
      if (auto linear = dyn_cast<lm::LinearOp>(op))
        for (Operation *above = linear.getWeight().getDefiningOp(); above && above->getNumOperands();
             above = above->getOperand(0).getDefiningOp())
          if (auto merge = dyn_cast<compress::LoraMergeOp>(above)) {
            auto factor = symbols.lookup<lm::ParamOp>(RootParam(merge.getA()).getParam());
            updates[factor.getFile().value_or("").str()].insert(factor.getSymName().str());
          }
  return updates;
}

/// How many of each adapter's updates were lost with the layers that the choices dropped.
StatusOr<std::vector<Decision>> lostUpdates(ModuleOp module, const Updates &before) {
  std::vector<Decision> decisions;
  Updates after = updatesOf(module);
  for (const auto &[file, updates] : before) {
    size_t lost = updates.size() - after[file].size();
    if (lost == updates.size())
      return Invalid("lora-merge: all ", lost, " updates of ", file,
                     " are for layers that were dropped; drop fewer layers, or leave the adapter out");
    if (lost)
      decisions.push_back({"lora-merge",
                           {file},
                           {{"updates", double(updates.size())}, {"dropped", double(lost)}},
                           module.getLoc(),
                           ModelFunctions(module).front().getSymName().str()});
  }
  return decisions;
}

} // namespace

std::string OpenChoice(ModuleOp module) {
  compress::ChooseOp choose = firstChoice(module);
  return choose ? choose.getPass().str() : std::string();
}

size_t CandidatesOfChoice(ModuleOp module) { return firstChoice(module).getCandidates().size(); }
size_t CountOfChoice(ModuleOp module) { return size_t(firstChoice(module).getCount()); }

Status Choose(ModuleOp module, ArrayRef<size_t> chosen) {
  compress::ChooseOp choose = firstChoice(module);
  auto function = choose->getParentOfType<func::FuncOp>();
  for (auto [index, flag] : llvm::enumerate(choose.getChosen()))
    for (Operation *user : llvm::make_early_inc_range(flag.getUsers()))
      if (auto select = dyn_cast<arith::SelectOp>(user)) {
        bool taken = llvm::is_contained(chosen, index);
        select.getResult().replaceAllUsesWith(taken ? select.getTrueValue() : select.getFalseValue());
        select.erase();
      }
  if (!choose.use_empty())
    return Invalid("internal: ", choose.getPass().str(), " uses a choice for something else than a selection");
  choose.erase();
  eraseUnread(function);
  return absl::OkStatus();
}

StatusOr<MaterializePlan> PlanChoice(ModuleOp module, const MaterializeOptions &options) {
  OwningOpRef<ModuleOp> program = programOfScores(module, firstChoice(module));
  return PlanMaterialization(*program, scoreOptions(options));
}

StatusOr<std::vector<Decision>> Resolve(ModuleOp module, const MaterializeOptions &options) {
  std::vector<Decision> decisions;
  if (!firstChoice(module))
    return decisions;
  Updates updates = updatesOf(module);
  while (compress::ChooseOp choose = firstChoice(module)) {
    COMPRESSC_ASSIGN_OR_RETURN(std::vector<double> scores, evaluateScores(module, choose, options));
    std::vector<size_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    llvm::sort(order, [&](size_t a, size_t b) { return std::pair(scores[a], a) < std::pair(scores[b], b); });
    order.resize(choose.getCount());
    for (auto [index, candidate] : llvm::enumerate(choose.getCandidates().getAsRange<StringAttr>())) {
      bool chosen = llvm::is_contained(order, index);
      decisions.push_back({choose.getPass().str(),
                           {candidate.str()},
                           {{choose.getField().str(), scores[index]}, {"chosen", double(chosen)}},
                           choose.getLoc(),
                           choose->getParentOfType<func::FuncOp>().getSymName().str()});
    }
    COMPRESSC_RETURN_IF_ERROR(Choose(module, order));
  }
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<Decision> lost, lostUpdates(module, updates));
  decisions.insert(decisions.end(), lost.begin(), lost.end());
  return decisions;
}

} // namespace compressc
