// Replace a linear by two of lower rank.
#include "CalibrationStream.h"
#include "compressc/Transforms/Passes.h"

using namespace mlir;

namespace compressc {
#define GEN_PASS_DEF_SVDFACTORIZE
#include "compressc/Transforms/Passes.h.inc"

namespace {

struct SVDFactorize : impl::SVDFactorizeBase<SVDFactorize> {
  using SVDFactorizeBase::SVDFactorizeBase;

  void runOnOperation() override {
    if (target != "lm_head") {
      getOperation().emitError() << "svd-factorize: there is no target '" << target << "'; there is lm_head";
      return signalPassFailure();
    }
    if (!(damping >= 0 && damping <= 1)) {
      getOperation().emitError() << "svd-factorize: damping is " << double(damping) << "; it must be from 0 to 1";
      return signalPassFailure();
    }
    for (func::FuncOp function : ModelFunctions(getOperation())) {
      std::vector<lm::LinearOp> heads = HeadLinears(function);
      if (heads.empty()) {
        function.emitError("svd-factorize: there is no head: no linear makes a result of this function");
        return signalPassFailure();
      }
      for (lm::LinearOp head : heads)
        if (failed(factorize(function, head)))
          return signalPassFailure();
    }
  }

  LogicalResult factorize(func::FuncOp function, lm::LinearOp head) {
    Value weight = head.getWeight(), input = head.getInput();
    auto type = cast<RankedTensorType>(weight.getType());
    int64_t rows = type.getDimSize(0), columns = type.getDimSize(1), most = std::min(rows, columns);
    std::string name = ExportName(weight);
    if (input.getDefiningOp<lm::LinearOp>())
      return head.emitError() << "svd-factorize: the head is factorised already; give the original one rank";
    if (rank < 1 || rank > most)
      return head.emitError() << "svd-factorize: rank is " << int64_t(rank) << "; " << name << " is " << rows << "x"
                              << columns << ", so give 1 to " << most;
    if (rank * (rows + columns) >= rows * columns)
      head.emitWarning() << "svd-factorize: at rank " << int64_t(rank) << " the factors of " << name << " have "
                         << rank * (rows + columns) << " elements, the weight itself " << rows * columns;
    if (IsQuantized(weight))
      head.emitRemark() << "svd-factorize: " << name
                        << " is quantised; its dequantised values are factorised, and the factors are not quantised";

    if (isTied(function, weight))
      head.emitRemark() << "svd-factorize: " << name << " is the embedding, which stays: the factors come on top, "
                        << rank * (rows + columns) << " elements";

    OpBuilder builder(head);
    Location loc = head.getLoc();
    Type f32 = builder.getF32Type();
    auto matrix = [&](int64_t n, int64_t k) { return RankedTensorType::get({n, k}, f32); };
    auto svd = compress::SVDOp::create(builder, Named(loc, "factors"), matrix(rows, rank), matrix(rank, columns),
                                       RankedTensorType::get({4}, f32), weight, whiten ? observe(function, head) : Value(),
                                       APFloat(double(damping)));
    compress::RemarkOp::create(builder, loc, builder.getStringAttr(getArgument()), builder.getStrArrayAttr({name}),
                               builder.getStrArrayAttr({"rank", "error", "energy", "damping"}), svd.getChoice());
    Value inner = lm::LinearOp::create(builder, Named(loc, "projected"),
                                       RankedTensorType::get({ShapedType::kDynamic, rank}, f32), input, svd.getRight(),
                                       Value());
    head.getInputMutable().assign(inner);
    head.getWeightMutable().assign(svd.getLeft());
    return success();
  }

  /// Whether an embedding reads the weight's parameter.
  static bool isTied(func::FuncOp function, Value weight) {
    auto param = RootParam(weight);
    return llvm::any_of(function.getOps<lm::EmbeddingOp>(), [&](lm::EmbeddingOp embedding) {
      auto table = RootParam(embedding.getTable());
      return param && table && table.getParam() == param.getParam();
    });
  }

  /// Statistics of what the deployed head reads, of every token: what the batch selects is for the request to say.
  Value observe(func::FuncOp function, lm::LinearOp head) {
    Value input = head.getInput();
    if (auto calibrated = input.getDefiningOp<compress::CalibratedOp>())
      return calibrated.getStatistics();
    CalibrationStream stream;
    for (Operation *op : DeployedOps(function))
      if (op->getParentOp() == function && op != head && !isa<lm::BlockOp>(op))
        stream.follow(op);
    OpBuilder builder(head);
    auto type = compress::StatisticsType::get(&getContext(), cast<RankedTensorType>(input.getType()).getDimSize(1));
    return compress::ObserveOp::create(builder, Named(head.getLoc(), "statistics"), type, stream.lookup(input));
  }
};

} // namespace
} // namespace compressc
