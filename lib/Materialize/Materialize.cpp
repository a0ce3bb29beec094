// Evaluation of weight- and calibration-time values, layer by layer in dataflow order.
#include "compressc/Materialize/Materialize.h"
#include "Background.h"
#include "CheckpointPlan.h"
#include "Evaluator.h"
#include "StoredSteps.h"
#include "compressc/runtime/progress.h"
#include "llvm/ADT/ScopeExit.h"
#include <chrono>

using namespace mlir;

namespace compressc {
namespace {

/// NaN and infinity of a plain tensor are the checkpoint's fault: say so before they spread.
Status checkFinite(const Tensor &tensor, StringRef name, ThreadPool &pool) {
  if (tensor.dtype != DType::F32 && tensor.dtype != DType::F16 && tensor.dtype != DType::BF16)
    return absl::OkStatus();
  int64_t elements = tensor.elements();
  // All exponent bits set: NaN or infinity.
  auto bad = [&](auto *data, auto mask) {
    constexpr int64_t part = int64_t(1) << 20;
    std::vector<int64_t> first(size_t((elements + part - 1) / part), -1);
    pool.parallelFor(int64_t(first.size()), [&](int64_t index, int) {
      for (int64_t i = index * part; i < std::min(elements, (index + 1) * part) && first[size_t(index)] < 0; ++i)
        if ((data[i] & mask) == mask)
          first[size_t(index)] = i;
    });
    auto found = llvm::find_if(first, [](int64_t index) { return index >= 0; });
    return found == first.end() ? int64_t(-1) : *found;
  };
  int64_t index = tensor.dtype == DType::F32   ? bad(tensor.as<uint32_t>(), uint32_t(0x7f800000))
                  : tensor.dtype == DType::F16 ? bad(tensor.as<uint16_t>(), uint16_t(0x7c00))
                                               : bad(tensor.as<uint16_t>(), uint16_t(0x7f80));
  if (index >= 0)
    return Invalid("tensor ", name.str(), ": element ", index,
                   " is NaN or infinite; the checkpoint is damaged, get it again");
  return absl::OkStatus();
}

double secondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

class Materializer {
public:
  Materializer(ModuleOp module, const MaterializeOptions &options) : module(module), options(options) {}

  StatusOr<MaterializeReport> run() {
    auto found = FindBoundWeights(module);
    if (failed(found))
      return Invalid("the pipeline's result can't be stored");
    weights = std::move(*found);
    COMPRESSC_ASSIGN_OR_RETURN(CheckpointPlan plan, PlanCheckpoint(module, weights));
    report.parameters = plan.parameters;
    report.originalWeightBytes = plan.originalWeightBytes;
    COMPRESSC_RETURN_IF_ERROR(CheckCalibration(module, options));
    for (const CheckpointFile &file : options.files) {
      COMPRESSC_ASSIGN_OR_RETURN(auto writer,
                                 SafetensorsWriter::Create(file.path, plan.entries(*file.format)));
      writers.push_back(std::move(writer));
    }
    std::vector<std::pair<std::string, const Tensor *>> unchanged;
    for (lm::ParamOp param : plan.unchanged) {
      COMPRESSC_ASSIGN_OR_RETURN(const Tensor *tensor, stored(param));
      COMPRESSC_RETURN_IF_ERROR(checkFinite(*tensor, param.getSymName(), *options.pool));
      unchanged.emplace_back(param.getSymName().str(), tensor);
    }
    COMPRESSC_RETURN_IF_ERROR(background.add([this, unchanged = std::move(unchanged)]() -> Status {
      for (const auto &[name, tensor] : unchanged)
        COMPRESSC_RETURN_IF_ERROR(write(name, *tensor));
      return absl::OkStatus();
    }));
    for (func::FuncOp function : module.getOps<func::FuncOp>())
      if (!function.isExternal())
        COMPRESSC_RETURN_IF_ERROR(evaluate(function));
    auto start = std::chrono::steady_clock::now();
    COMPRESSC_RETURN_IF_ERROR(background.wait());
    if (writers.empty())
      return report;
    for (const auto &writer : writers)
      COMPRESSC_RETURN_IF_ERROR(writer->finish());
    report.fileSeconds += secondsSince(start);
    report.weightBytes = writers.front()->fileBytes();
    for (const auto &writer : llvm::drop_begin(writers))
      report.exportBytes.push_back(writer->fileBytes());
    BindWeights(module, weights);
    // In the new checkpoint every tensor has its export name.
    for (lm::ParamOp param : plan.unchanged)
      param.removeKeyAttr();
    return report;
  }

private:
  StatusOr<const Tensor *> stored(lm::ParamOp param) {
    if (!options.weights)
      return Invalid("parameter ", param.getSymName().str(),
                     " has no weights: the model was imported without them");
    return options.weights->get(param.storeKey());
  }

  Status evaluate(func::FuncOp function) {
    StepPlan plan = CutIntoSteps(function, weights);
    Evaluator evaluator(module, plan, options);
    StoredSteps stored(plan.steps, evaluator, options);
    auto start = std::chrono::steady_clock::now();
    COMPRESSC_RETURN_IF_ERROR(stored.open(module));
    report.fileSeconds += secondsSince(start);
    llvm::scope_exit settled([&] { (void)background.wait(); }); // its jobs name the steps
    Progress progress("materialize", int64_t(plan.steps.size()), "steps", options.quiet);
    std::string note = stored.count() > 0 ? absl::StrCat(stored.count(), " from the store") : "";
    for (size_t index = 0; index < plan.steps.size(); ++index) {
      const Step &step = plan.steps[index];
      std::vector<OwnedTensor> results(step.results.size());
      if (stored.has(index))
        results = stored.load(index);
      COMPRESSC_RETURN_IF_ERROR(evaluator.run(step, stored.has(index), stored.needsStates(index), results));
      start = std::chrono::steady_clock::now();
      COMPRESSC_RETURN_IF_ERROR(accept(step, results));
      COMPRESSC_RETURN_IF_ERROR(background.add([this, &step, &stored, index, results = std::move(results)]() -> Status {
        COMPRESSC_RETURN_IF_ERROR(write(step, results));
        if (!stored.has(index))
          stored.save(index, results);
        return absl::OkStatus();
      }));
      if (stored.shouldSaveStates(index)) {
        COMPRESSC_RETURN_IF_ERROR(background.wait());
        stored.saveStates(index);
      }
      report.fileSeconds += secondsSince(start);
      progress.advance(1, note);
    }
    progress.finish();
    COMPRESSC_RETURN_IF_ERROR(background.wait());
    stored.close();
    report.calibrationSeconds += evaluator.calibrationSeconds;
    report.slices += evaluator.slices;
    report.slicesOnDevice += evaluator.slicesOnDevice;
    report.weightSeconds += evaluator.weightSeconds;
    return absl::OkStatus();
  }

  /// Checks a step's weights, and puts what was decided into the report.
  Status accept(const Step &step, const std::vector<OwnedTensor> &results) {
    size_t next = 0;
    for (const BoundWeight *weight : step.weights)
      COMPRESSC_RETURN_IF_ERROR(checkFinite(results[next++].tensor, weight->name, *options.pool));
    for (compress::RemarkOp remark : step.remarks)
      decide(remark, results[next++].tensor);
    return absl::OkStatus();
  }

  Status write(const Step &step, const std::vector<OwnedTensor> &results) {
    for (auto [index, weight] : llvm::enumerate(step.weights))
      COMPRESSC_RETURN_IF_ERROR(write(weight->name, results[index].tensor));
    return absl::OkStatus();
  }

  Status write(const std::string &name, const Tensor &weight) {
    for (auto [file, writer] : llvm::zip_equal(options.files, writers))
      COMPRESSC_RETURN_IF_ERROR(WriteWeight(*file.format, *writer, name, weight));
    return absl::OkStatus();
  }

  void decide(compress::RemarkOp remark, const Tensor &values) {
    Decision decision{remark.getPass().str(), {}, {}, remark.getLoc(),
                      remark->getParentOfType<func::FuncOp>().getSymName().str()};
    for (auto param : remark.getParams().getAsRange<StringAttr>())
      decision.params.push_back(param.str());
    for (auto [index, field] : llvm::enumerate(remark.getFields().getAsRange<StringAttr>()))
      decision.numbers.emplace_back(field.str(), values.as<float>()[index]);
    report.decisions.push_back(std::move(decision));
  }

  ModuleOp module;
  const MaterializeOptions &options;
  MaterializeReport report;
  std::vector<BoundWeight> weights;
  std::vector<std::unique_ptr<SafetensorsWriter>> writers; // of options.files
  Background background; // writes; ends before what it writes to
};

} // namespace

StatusOr<MaterializeReport> Materialize(ModuleOp module, const MaterializeOptions &options) {
  return Materializer(module, options).run();
}

} // namespace compressc
