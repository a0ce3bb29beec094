// One compilation, from a checkpoint on disk to OUT or to printed IR.
#include "compressc/Pipelines/Compile.h"
#include "compressc/Conversion/Passes.h"
#include "compressc/Conversion/ToSchedule.h"
#include "compressc/Export/Export.h"
#include "compressc/Import/Import.h"
#include "compressc/Materialize/CalibrationData.h"
#include "compressc/Materialize/Resolve.h"
#include "compressc/Pipelines/Pipelines.h"
#include "compressc/Transforms/Dataflow.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "llvm/Support/Format.h"
#include <chrono>
#include <filesystem>

using namespace mlir;

namespace compressc {

void LoadDialects(MLIRContext &context) {
  context.loadDialect<lm::LMDialect, compress::CompressDialect, exec::ExecDialect, arith::ArithDialect,
                      func::FuncDialect>();
}

namespace {

/// Runs a pass manager; a diagnostic becomes the status' message, in one line.
Status runPasses(ModuleOp module, PassManager &manager) {
  std::string message;
  ScopedDiagnosticHandler handler(module.getContext(), [&](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == DiagnosticSeverity::Error && message.empty())
      message = diagnostic.str();
    return success();
  });
  module.getContext()->printOpOnDiagnostic(false);
  if (succeeded(manager.run(module)))
    return absl::OkStatus();
  return Invalid(message.empty() ? "a pass failed" : message);
}

Status runPipeline(ModuleOp module, const std::string &passes) {
  auto manager = PassManager::on<ModuleOp>(module.getContext());
  std::string message;
  llvm::raw_string_ostream errors(message);
  if (failed(applyPassManagerCLOptions(manager)))
    return Invalid("bad pass manager options");
  if (failed(parsePassPipeline(passes, manager, errors))) {
    std::string line;
    for (char c : StringRef(message).trim())
      line += c == '\n' ? ' ' : c;
    return Invalid("--passes='", passes, "': ", line, "; `compressc --help-passes` lists what there is");
  }
  return runPasses(module, manager);
}

Status lowerModule(ModuleOp module, int64_t maxTokens) {
  auto manager = PassManager::on<ModuleOp>(module.getContext());
  if (failed(applyPassManagerCLOptions(manager)))
    return Invalid("bad pass manager options");
  // A logits buffer for every token would dwarf the rest; the planner cuts batches at 512 selected rows.
  BuildLoweringPipeline(manager, maxTokens, std::min<int64_t>(maxTokens, 512));
  return runPasses(module, manager);
}

StatusOr<std::string> findRuntime(const std::string &given) {
  std::error_code error;
  std::filesystem::path path = given;
  if (given.empty())
    path = std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "compressc-runtime";
  if (!std::filesystem::is_regular_file(path, error))
    return Invalid("the runtime ", path.string(),
                   " is missing; build the target compressc-runtime or give --runtime FILE");
  return path.string();
}

void printRemark(const Decision &decision) {
  llvm::errs() << "remark: " << decision.pass << ": ";
  llvm::interleave(decision.params, llvm::errs(), ", ");
  for (const auto &[name, value] : decision.numbers)
    llvm::errs() << ", " << name << " " << llvm::format("%.6g", value);
  llvm::errs() << "\n";
}

/// One line for each pass: how many decisions, and the mean of each number.
void printSummary(const std::vector<Decision> &decisions) {
  std::vector<std::string> passes;
  for (const Decision &decision : decisions)
    if (!llvm::is_contained(passes, decision.pass))
      passes.push_back(decision.pass);
  for (const std::string &pass : passes) {
    std::vector<std::pair<std::string, double>> sums;
    int64_t count = 0;
    for (const Decision &decision : decisions) {
      if (decision.pass != pass)
        continue;
      if (++count == 1)
        for (const auto &[name, value] : decision.numbers)
          sums.emplace_back(name, 0);
      for (size_t i = 0; i < decision.numbers.size(); ++i)
        sums[i].second += decision.numbers[i].second;
    }
    llvm::errs() << "  " << pass << ": " << count << " decisions";
    for (const auto &[name, sum] : sums)
      if (name != "kind")
        llvm::errs() << ", mean " << name << " " << llvm::format("%.4g", sum / double(count));
    llvm::errs() << "\n";
  }
}

class Compilation {
public:
  Compilation(MLIRContext &context, const CompileOptions &options, raw_ostream &out)
      : context(context), options(options), out(out) {}

  Status run() {
    if (!options.emit.empty() && options.emit != "lm" && options.emit != "compress" && options.emit != "exec")
      return Invalid("--emit=", options.emit, ": lm, compress or exec");
    if (options.emit.empty() && options.output.empty())
      return Invalid("give an output directory with -o OUT, or --emit=lm|compress|exec to print the IR");
    ImportOptions importOptions;
    importOptions.dtype = options.dtype;
    importOptions.splat = options.splat;
    COMPRESSC_ASSIGN_OR_RETURN(model, ImportModel(context, options.model, importOptions));
    for (const std::string &warning : model.warnings)
      llvm::errs() << "compressc: warning: " << warning << "\n";
    if (!options.ir.empty())
      COMPRESSC_RETURN_IF_ERROR(readIR());
    ModuleOp module = *model.module;
    if (options.emit == "lm")
      return print(module);
    if (!options.passes.empty())
      COMPRESSC_RETURN_IF_ERROR(runPipeline(module, options.passes));
    if (options.emit == "compress")
      return print(module);
    if (options.emit == "exec") {
      if (std::string pass = OpenChoice(module); !pass.empty())
        return Invalid("--emit=exec: ", pass, " chooses by calibration data, so the schedule is still open; compile ",
                       "with -o OUT and --calibration FILE, or print --emit=compress");
      auto weights = FindBoundWeights(module);
      if (failed(weights))
        return Invalid("the pipeline's result can't be stored");
      BindWeights(module, *weights);
      COMPRESSC_RETURN_IF_ERROR(lowerModule(module, options.maxTokens));
      return print(module);
    }
    return deploy(module);
  }

private:
  /// Takes the program from a file; its parameters must be the checkpoint's.
  Status readIR() {
    std::string message;
    ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
      if (message.empty()) {
        llvm::raw_string_ostream stream(message);
        stream << diagnostic.getLocation() << ": " << diagnostic;
      }
      return success();
    });
    auto module = parseSourceFile<ModuleOp>(options.ir, ParserConfig(&context));
    if (!module)
      return Invalid("--ir ", message.empty() ? options.ir + " can't be read" : message);
    for (auto param : module->getOps<lm::ParamOp>()) {
      if (!model.weights)
        break;
      auto expected = ToStorageType(param.getType());
      COMPRESSC_ASSIGN_OR_RETURN(const Tensor *tensor, model.weights->get(param.storeKey().str()));
      if (!expected || expected->dtype != tensor->dtype || expected->shape != tensor->shape)
        return Invalid("--ir ", options.ir, ": @", param.getSymName().str(),
                       " differs in type from the checkpoint's tensor ", param.storeKey().str());
    }
    if (ModelFunctions(*module).empty())
      return Invalid("--ir ", options.ir, " has no function with layers");
    model.module = std::move(module);
    return absl::OkStatus();
  }

  Status print(ModuleOp module) {
    module.print(out, OpPrintingFlags().printNameLocAsPrefix());
    out << "\n";
    return absl::OkStatus();
  }

  Status deploy(ModuleOp module) {
    auto start = std::chrono::steady_clock::now();
    if (options.splat)
      return Invalid("--splat has no weights to deploy; use it with --emit");
    COMPRESSC_ASSIGN_OR_RETURN(std::string runtime, findRuntime(options.runtime));
    auto tokenizerFile = model.files.find("tokenizer.json");
    if (tokenizerFile == model.files.end())
      return Invalid(options.model, " has no tokenizer.json; the deployed program needs it");
    COMPRESSC_ASSIGN_OR_RETURN(auto tokenizer,
                               Tokenizer::FromJson(tokenizerFile->second, options.model + "/tokenizer.json"));
    CalibrationSet calibration;
    if (!options.calibration.empty()) {
      COMPRESSC_ASSIGN_OR_RETURN(calibration, ReadCalibration(options.calibration, *tokenizer, options.samples,
                                                              options.sequenceLength));
      for (const auto &sample : calibration.samples)
        for (int32_t id : sample)
          if (id < 0 || id >= model.config.vocabularySize)
            return Invalid(options.model, "/tokenizer.json gives token ", id, ", but the embedding has ",
                           model.config.vocabularySize, " rows; use the model's own tokenizer");
    }
    COMPRESSC_ASSIGN_OR_RETURN(auto staging, StagingDirectory::Create(options.output));
    ThreadPool pool(options.threads);

    MaterializeOptions materialize;
    materialize.weights = model.weights.get();
    materialize.calibration = &calibration;
    materialize.pool = &pool;
    materialize.output = staging->path() + "/model/model.safetensors";
    materialize.batchTokens = std::max<int64_t>(2048, options.sequenceLength);
    materialize.quiet = options.quiet;
    std::string checkpointType;
    llvm::raw_string_ostream(checkpointType) << CheckpointType(module);
    COMPRESSC_ASSIGN_OR_RETURN(MaterializeReport result, materializeModule(module, materialize));
    ConfigChanges changes{QuantizationConfig(module), layers};
    COMPRESSC_RETURN_IF_ERROR(WriteModelFiles(staging->path() + "/model", model.files, changes));

    ModelInfo info;
    info.name = model.name;
    info.architecture = model.config.architecture;
    info.pipeline = options.passes;
    info.vocabularySize = model.config.vocabularySize;
    info.contextLength = model.config.contextLength;
    info.originalWeightBytes = result.originalWeightBytes;
    info.weightBytes = result.weightBytes;
    info.endTokens = model.config.endTokens;
    info.addSpecialTokens = true;

    COMPRESSC_RETURN_IF_ERROR(lowerModule(module, options.maxTokens));
    Schedule schedule = ToSchedule(*module.getOps<exec::ProgramOp>().begin());
    std::string payload = absl::StrCat("{\"model\":", SerializeModelInfo(info), ",\n\"schedule\":",
                                       SerializeSchedule(schedule), "}\n");
    COMPRESSC_RETURN_IF_ERROR(WriteExecutable(runtime, staging->path() + "/run", payload));

    ReportInputs inputs;
    inputs.info = info;
    inputs.checkpointType = checkpointType;
    if (!calibration.samples.empty()) {
      inputs.calibrationFile = std::filesystem::path(options.calibration).filename().string();
      inputs.samples = options.samples;
      inputs.sequenceLength = options.sequenceLength;
      inputs.tokenDigest = TokenDigest(calibration);
    }
    COMPRESSC_RETURN_IF_ERROR(WriteFileAtomically(staging->path() + "/report.json", Report(inputs, result)));
    COMPRESSC_RETURN_IF_ERROR(staging->commit());
    if (options.remarks)
      for (const Decision &decision : result.decisions)
        printRemark(decision);
    if (!options.quiet)
      summarize(result, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    return absl::OkStatus();
  }

  StatusOr<MaterializeReport> materializeModule(ModuleOp module, const MaterializeOptions &materialize) {
    std::string message;
    ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
      if (message.empty())
        message = diagnostic.str();
      return success();
    });
    auto result = resolveAndMaterialize(module, materialize);
    if (!result.ok() && !message.empty())
      return WithContext(result.status(), message);
    return result;
  }

  StatusOr<MaterializeReport> resolveAndMaterialize(ModuleOp module, const MaterializeOptions &materialize) {
    COMPRESSC_ASSIGN_OR_RETURN(std::vector<Decision> choices, Resolve(module, materialize));
    layers = RenumberLayers(module);
    COMPRESSC_ASSIGN_OR_RETURN(MaterializeReport result, Materialize(module, materialize));
    result.decisions.insert(result.decisions.begin(), choices.begin(), choices.end());
    return result;
  }

  void summarize(const MaterializeReport &result, double seconds) {
    printSummary(result.decisions);
    llvm::errs() << options.output << ": " << model.name << ", "
                 << llvm::format("%.1f MB (%.2f times smaller than 16 bits)", double(result.weightBytes) / 1e6,
                                 double(result.originalWeightBytes) / double(result.weightBytes))
                 << llvm::format(", %.1f s (calibration %.1f s, weights %.1f s)\n", seconds,
                                 result.calibrationSeconds, result.weightSeconds);
  }

  MLIRContext &context;
  const CompileOptions &options;
  raw_ostream &out;
  ImportedModel model;
  std::vector<int64_t> layers; // original numbers of those that are left
};

} // namespace

Status Compile(MLIRContext &context, const CompileOptions &options, raw_ostream &out) {
  return Compilation(context, options, out).run();
}

} // namespace compressc
