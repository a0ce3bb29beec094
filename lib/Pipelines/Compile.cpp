// One compilation, from a checkpoint on disk to OUT or to printed IR.
#include "compressc/Pipelines/Compile.h"
#include "DeployProgram.h"
#include "PrintDecisions.h"
#include "PrintPlan.h"
#include "RemarkFile.h"
#include "compressc/Conversion/Passes.h"
#include "compressc/Conversion/ToSchedule.h"
#include "compressc/Export/Export.h"
#include "compressc/Import/Import.h"
#include "compressc/Materialize/BlockStore.h"
#include "compressc/Materialize/CalibrationData.h"
#include "compressc/Materialize/Resolve.h"
#include "compressc/Pipelines/Pipelines.h"
#include "compressc/Target/EmitCpp.h"
#include "compressc/Target/EmitCuda.h"
#include "compressc/Transforms/Dataflow.h"
#include "compressc/runtime/collective.h"
#include "compressc/runtime/device.h"
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
    if (diagnostic.getSeverity() == DiagnosticSeverity::Error) {
      if (message.empty())
        message = diagnostic.str();
    } else if (diagnostic.getSeverity() != DiagnosticSeverity::Note) {
      bool warns = diagnostic.getSeverity() == DiagnosticSeverity::Warning;
      llvm::errs() << "compressc: " << (warns ? "warning: " : "remark: ") << diagnostic.str() << "\n";
    }
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

Status lowerModule(ModuleOp module, const CompileOptions &options) {
  auto manager = PassManager::on<ModuleOp>(module.getContext());
  if (failed(applyPassManagerCLOptions(manager)))
    return Invalid("bad pass manager options");
  // A logits buffer for every token would dwarf the rest; the planner cuts batches at 512 selected rows.
  BuildDeploymentPipeline(manager, {options.maxTokens, std::min<int64_t>(options.maxTokens, 512), options.compute,
                                    options.activations, options.without});
  return runPasses(module, manager);
}

class Compilation {
public:
  Compilation(MLIRContext &context, const CompileOptions &options, raw_ostream &out)
      : context(context), options(options), out(out) {}

  Status run() {
    static constexpr llvm::StringLiteral stages[] = {"lm", "compress", "exec", "cpp", "cuda", "bin", "so"};
    if (!options.emit.empty() && !llvm::is_contained(stages, options.emit))
      return Invalid("--emit=", options.emit, ": ", llvm::join(ArrayRef(stages), ", "));
    bool prints = !options.emit.empty() && options.emit != "bin" && options.emit != "so";
    if (!prints && options.output.empty() && !options.dryRun)
      return Invalid("give an output directory with -o OUT, or --emit=lm|compress|exec|cpp|cuda to print the program");
    if (!options.remarkFile.empty() && (prints || options.dryRun))
      return Invalid("--remarks=", options.remarkFile, ": decisions are taken by a run with -o OUT, not by ",
                     options.dryRun ? "--dry-run" : "--emit=" + options.emit);
    for (const std::string &name : options.without)
      if (!llvm::is_contained(OptimizationNames(), name))
        return Invalid("--without=", name, ": there is ", llvm::join(OptimizationNames(), ", "));
    if (options.target != "cpu" && options.target != "cuda")
      return Invalid("--target=", options.target, ": cpu or cuda");
    if (options.target == "cuda" && options.activations == "int8")
      return Invalid("--activations=int8: the CPU's; with --target=cuda choose fp8 or leave it out");
    if (options.target == "cpu" && options.activations == "fp8")
      return Invalid("--activations=fp8: the GPU's; give --target=cuda, or choose int8");
    if (options.target == "cpu" && !options.devices.empty())
      return Invalid("--devices=", options.devices, ": GPUs; give --target=cuda, or leave it out");
    if (!options.architectures.empty())
      COMPRESSC_RETURN_IF_ERROR(CudaArchitectures(options.architectures).status());
    for (const std::string &name : options.exports) {
      COMPRESSC_ASSIGN_OR_RETURN(const CheckpointFormat *format, FindCheckpointFormat(name));
      if (!llvm::is_contained(exports, format))
        exports.push_back(format);
    }
    if (prints && !exports.empty())
      return Invalid("--export=", exports.front()->name(),
                     ": written by a run with -o OUT, not by --emit=", options.emit);
    if (options.compute != "f32" && options.compute != "bf16")
      return Invalid("--compute=", options.compute, ": f32 or bf16");
    if (options.activations != "f32" && options.activations != "int8" && options.activations != "fp8")
      return Invalid("--activations=", options.activations, ": f32, int8 or fp8");
    ImportOptions importOptions;
    importOptions.dtype = options.dtype;
    for (const CheckpointFormat *format : exports)
      if (options.dtype == "auto" && format->dtype())
        importOptions.dtype = DTypeName(*format->dtype());
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
    if (options.emit == "exec" || options.emit == "cpp" || options.emit == "cuda") {
      if (std::string pass = OpenChoice(module); !pass.empty())
        return Invalid("--emit=", options.emit, ": ", pass, " chooses by calibration data, so the schedule is still open; compile ",
                       "with -o OUT and --calibration FILE, or print --emit=compress");
      auto weights = FindBoundWeights(module);
      if (failed(weights))
        return Invalid("the pipeline's result can't be stored");
      BindWeights(module, *weights);
      COMPRESSC_RETURN_IF_ERROR(lowerModule(module, options));
      if (options.emit == "exec")
        return print(module);
      return (options.emit == "cpp" ? EmitCpp : EmitCuda)(programOf(module), title(), out);
    }
    COMPRESSC_RETURN_IF_ERROR(checkExports(module));
    return options.dryRun ? printPlan(module) : deploy(module);
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
    COMPRESSC_RETURN_IF_ERROR(openFiles(*module));
    for (auto param : module->getOps<lm::ParamOp>()) {
      if (!model.weights)
        break;
      auto expected = ToStorageType(param.getType());
      COMPRESSC_ASSIGN_OR_RETURN(const Tensor *tensor, model.weights->get(param.storeKey()));
      if (!expected || expected->dtype != tensor->dtype || expected->shape != tensor->shape)
        return Invalid("--ir ", options.ir, ": @", param.getSymName().str(),
                       " differs in type from the checkpoint's tensor ", param.storeKey());
    }
    if (ModelFunctions(*module).empty())
      return Invalid("--ir ", options.ir, " has no function with layers");
    model.module = std::move(module);
    return absl::OkStatus();
  }

  /// Files beside the checkpoint that parameters are in.
  Status openFiles(ModuleOp module) {
    for (auto param : module.getOps<lm::ParamOp>())
      if (param.getFile() && model.weights)
        COMPRESSC_RETURN_IF_ERROR(model.weights->addFile(param.getFile()->str()));
    return absl::OkStatus();
  }

  Status print(ModuleOp module) {
    module.print(out, OpPrintingFlags().printNameLocAsPrefix());
    out << "\n";
    return absl::OkStatus();
  }

  Status checkExports(ModuleOp module) {
    ModelLayout layout = DescribeModel(module);
    for (const CheckpointFormat *format : exports)
      COMPRESSC_RETURN_IF_ERROR(
          WithContext(format->check(layout), "--export=" + std::string(format->name())));
    return absl::OkStatus();
  }

  static exec::ProgramOp programOf(ModuleOp module) { return *module.getOps<exec::ProgramOp>().begin(); }

  /// What an emitted program is, in words.
  std::string title() const {
    return model.name + (options.passes.empty() ? ", as it was" : ", " + options.passes);
  }

  Status deploy(ModuleOp module) {
    auto start = std::chrono::steady_clock::now();
    if (options.splat)
      return Invalid("--splat has no weights to deploy; use it with --emit or --dry-run");
    COMPRESSC_ASSIGN_OR_RETURN(Toolchain toolchain, Toolchain::Find(options));
    std::unique_ptr<RemarkFile> remarks;
    if (!options.remarkFile.empty()) {
      COMPRESSC_ASSIGN_OR_RETURN(remarks, RemarkFile::Create(context, options.remarkFile));
    }
    COMPRESSC_RETURN_IF_ERROR(openFiles(module));
    COMPRESSC_ASSIGN_OR_RETURN(CalibrationSet calibration, readCalibration());
    COMPRESSC_ASSIGN_OR_RETURN(auto staging, StagingDirectory::Create(options.output));
    ThreadPool pool(options.threads);
    COMPRESSC_ASSIGN_OR_RETURN(auto store, openStore());
    COMPRESSC_ASSIGN_OR_RETURN(Gpus gpus, openGpus(calibration));

    MaterializeOptions materialize = materializeOptions(calibration, pool);
    if (!gpus.devices.empty()) {
      materialize.device = gpus.devices.front().get();
      for (const auto &other : llvm::drop_begin(gpus.devices))
        materialize.others.push_back(other.get());
      materialize.collective = gpus.collective.get();
      materialize.batchTokens = std::max<int64_t>(8192, options.sequenceLength);
    }
    materialize.files = {{&StoreFormat(), staging->path() + "/model/model.safetensors"}};
    for (const CheckpointFormat *format : exports) {
      COMPRESSC_ASSIGN_OR_RETURN(std::string directory,
                                 staging->makeDirectory(std::string(format->name())));
      materialize.files.push_back({format, directory + "/model.safetensors"});
    }
    materialize.store = store.get();
    if (options.memoryLimit > 0) {
      COMPRESSC_ASSIGN_OR_RETURN(PlanRange plan, PlanCompilation(module, materialize));
      if (plan.most.peakBytes > options.memoryLimit)
        return Invalid("this needs about ", plan.most.peakBytes / 1000000, " MB of memory, --memory-limit allows ",
                       options.memoryLimit / 1000000, " MB; give fewer --samples or a larger limit");
    }
    std::string checkpointType;
    llvm::raw_string_ostream(checkpointType) << CheckpointType(module);
    std::vector<std::unique_ptr<DeviceWatch>> watches;
    for (const auto &device : gpus.devices)
      watches.push_back(device->watch());
    StatusOr<MaterializeReport> materialized = materializeModule(module, materialize);
    if (absl::IsAborted(materialized.status())) // the GPU was lost
      return absl::AbortedError(absl::StrCat(
          materialized.status().message(), "; ",
          store ? "finished layers are kept in " + storeDirectory() + ": the same command goes on from there" : "nothing is kept"));
    COMPRESSC_ASSIGN_OR_RETURN(MaterializeReport result, std::move(materialized));
    ReportInputs inputs;
    for (auto [device, watch] : llvm::zip(gpus.devices, watches)) {
      inputs.gpus.push_back({device->number(), device->name(), device->peakBytes(), {}});
      if (watch)
        inputs.gpus.back().usage = watch->stop();
    }
    ModelLayout layout = DescribeModel(module);
    if (layout.headRank && !options.singleFile)
      llvm::errs() << "compressc: remark: " << options.output
                   << "/model has a head of two linears, lm_head.0 and lm_head.1; transformers knows one and fills it with "
                      "random numbers: give its lm_head a torch.nn.Sequential of the two\n";
    for (const CheckpointFile &file : materialize.files)
      COMPRESSC_RETURN_IF_ERROR(
          WriteModelFiles(std::filesystem::path(file.path).parent_path().string(), model.files,
                          *file.format, layout, layers));

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
    info.device = options.target;

    COMPRESSC_RETURN_IF_ERROR(lowerModule(module, options));
    COMPRESSC_ASSIGN_OR_RETURN(CompileSeconds compileSeconds,
                               DeployProgram(programOf(module), info, title(), options, toolchain, staging->path()));

    inputs.info = info;
    inputs.checkpointType = checkpointType;
    inputs.compute = options.compute;
    inputs.activations = options.activations;
    if (!calibration.samples.empty()) {
      inputs.calibrationFile = std::filesystem::path(options.calibration).filename().string();
      inputs.samples = options.samples;
      inputs.sequenceLength = options.sequenceLength;
      inputs.tokenDigest = TokenDigest(calibration);
    }
    COMPRESSC_RETURN_IF_ERROR(WriteFileAtomically(staging->path() + "/report.json", Report(inputs, result)));
    if (remarks) {
      EmitRemarks(result.decisions);
      COMPRESSC_RETURN_IF_ERROR(remarks->commit());
    }
    COMPRESSC_RETURN_IF_ERROR(staging->commit());
    // Its own store served to go on after a kill; one that the user named serves other runs too.
    if (store && options.store.empty())
      store->discard(pool);
    if (options.remarks)
      PrintDecisions(llvm::errs(), result.decisions);
    if (!options.quiet)
      summarize(result, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), inputs.gpus);
    if (!options.quiet && toolchain.compiler.empty())
      llvm::errs() << "run walks its schedule (" << toolchain.note << ")\n";
    else if (!options.quiet)
      llvm::errs() << toolchain.productName() << " is program.cpp compiled by " << toolchain.compiler << " in "
                   << llvm::format("%.1f s\n", compileSeconds.host);
    if (!options.quiet && !toolchain.nvcc.empty())
      llvm::errs() << "with program.cu compiled by " << toolchain.nvcc << " for " << llvm::join(toolchain.architectures, ", ")
                   << llvm::format(" in %.1f s\n", compileSeconds.cuda);
    else if (!options.quiet && !toolchain.cudaNote.empty())
      llvm::errs() << "GPUs run its schedule by prebuilt kernels (" << toolchain.cudaNote << ")\n";
    return absl::OkStatus();
  }

  /// What calibrates and computes weights beside the CPU; none: the CPU alone.
  struct Gpus {
    std::vector<std::unique_ptr<Device>> devices;
    std::unique_ptr<Collective> collective; // of several
  };

  /// With --target=cuda those of --devices, or the first, if there is one.
  StatusOr<Gpus> openGpus(const CalibrationSet &calibration) {
    Gpus gpus;
    if (options.target != "cuda" || options.passes.empty())
      return gpus;
    std::vector<int> numbers = {0};
    if (!options.devices.empty()) {
      COMPRESSC_ASSIGN_OR_RETURN(numbers, namedGpus(calibration));
    }
    gpus.devices.resize(numbers.size());
    Status opened = OnThreads(numbers.size(), [&](size_t i) -> Status {
      DeviceOptions wanted;
      wanted.index = numbers[i];
      wanted.memoryLimit = options.gpuMemoryLimit;
      wanted.remedy = "give fewer --samples or a smaller --sequence-length, or let the CPU compute with --target=cpu";
      COMPRESSC_ASSIGN_OR_RETURN(gpus.devices[i], OpenCudaDevice(wanted));
      return absl::OkStatus();
    });
    // GPUs that were named, and a limit, are kept to.
    if (!opened.ok() && (!options.devices.empty() || (options.gpuMemoryLimit > 0 && absl::IsResourceExhausted(opened))))
      return opened;
    if (!opened.ok()) {
      llvm::errs() << "compressc: remark: calibration and weights are computed on the CPU: "
                   << StringRef(std::string(opened.message())).split(';').first << "\n";
      return Gpus();
    }
    if (numbers.size() > 1) {
      std::vector<Device *> devices;
      for (const auto &device : gpus.devices)
        devices.push_back(device.get());
      COMPRESSC_ASSIGN_OR_RETURN(gpus.collective, OpenCudaCollective(devices));
    }
    return gpus;
  }

  /// Those of --devices that have something to do: a sample at least.
  StatusOr<std::vector<int>> namedGpus(const CalibrationSet &calibration) {
    StatusOr<int> count = CountCudaDevices();
    if (!count.ok())
      return Invalid("--devices=", options.devices, ": ", StringRef(std::string(count.status().message())).split(';').first.str(),
                     "; leave it out, and the CPU computes");
    COMPRESSC_ASSIGN_OR_RETURN(std::vector<int> numbers, ParseDevices(options.devices, *count));
    size_t useful = std::max<size_t>(calibration.samples.size(), 1);
    if (numbers.size() > useful) {
      llvm::errs() << "compressc: remark: --devices=" << options.devices << ": the first " << useful
                   << (useful == 1 ? " alone is" : " are") << " used, as GPUs share calibration by whole --samples\n";
      numbers.resize(useful);
    }
    return numbers;
  }

  StatusOr<CalibrationSet> readCalibration() {
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
    return calibration;
  }

  MaterializeOptions materializeOptions(const CalibrationSet &calibration, ThreadPool &pool) {
    MaterializeOptions materialize;
    materialize.weights = model.weights.get();
    materialize.calibration = &calibration;
    materialize.pool = &pool;
    materialize.batchTokens = std::max<int64_t>(2048, options.sequenceLength);
    materialize.quiet = options.quiet;
    return materialize;
  }

  /// Prints what deploy() would do and take. Nothing is written.
  Status printPlan(ModuleOp module) {
    CalibrationSet calibration;
    if (options.splat) { // shapes are all there is
      calibration.samples.assign(size_t(options.samples), std::vector<int32_t>(size_t(options.sequenceLength)));
    } else {
      COMPRESSC_RETURN_IF_ERROR(openFiles(module));
      COMPRESSC_ASSIGN_OR_RETURN(calibration, readCalibration());
    }
    ThreadPool pool(options.threads);
    MaterializeOptions materialize = materializeOptions(calibration, pool);
    std::string directory = options.store.empty() && !options.output.empty() ? DefaultStore(options.output) : options.store;
    std::unique_ptr<BlockStore> store;
    if (options.useStore && !options.splat && !directory.empty())
      store = BlockStore::OpenToRead(directory);
    materialize.store = store.get();
    materialize.quiet = true;
    COMPRESSC_ASSIGN_OR_RETURN(PlanRange plan, PlanCompilation(module, materialize));
    PrintPlan(out, plan);
    return absl::OkStatus();
  }

  /// Null when nothing is to be kept: without passes there is nothing that takes long.
  StatusOr<std::unique_ptr<BlockStore>> openStore() {
    if (!options.useStore || (options.store.empty() && options.passes.empty()))
      return std::unique_ptr<BlockStore>();
    return BlockStore::Open(storeDirectory());
  }

  std::string storeDirectory() const { return options.store.empty() ? DefaultStore(options.output) : options.store; }

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
    COMPRESSC_RETURN_IF_ERROR(checkExports(module)); // what a choice left
    COMPRESSC_ASSIGN_OR_RETURN(MaterializeReport result, Materialize(module, materialize));
    result.decisions.insert(result.decisions.begin(), choices.begin(), choices.end());
    return result;
  }

  void summarize(const MaterializeReport &result, double seconds, ArrayRef<ReportInputs::Gpu> gpus) {
    PrintDecisionSummary(llvm::errs(), result.decisions);
    llvm::errs() << options.output << ": " << model.name << ", "
                 << llvm::format("%.1f MB (%.2f times smaller than 16 bits)", double(result.weightBytes) / 1e6,
                                 double(result.originalWeightBytes) / double(result.weightBytes))
                 << llvm::format(", %.1f s (calibration %.1f s, weights %.1f s, files %.1f s)\n", seconds,
                                 result.calibrationSeconds, result.weightSeconds, result.fileSeconds);
    for (auto [format, bytes] : llvm::zip_equal(exports, result.exportBytes))
      llvm::errs() << options.output << "/" << format->name() << ": "
                   << llvm::format("%.1f MB\n", double(bytes) / 1e6);
    for (const ReportInputs::Gpu &gpu : gpus) {
      if (&gpu == gpus.begin())
        llvm::errs() << gpu.name << " computed " << result.slicesOnDevice << " of " << result.slices << " slices";
      else
        llvm::errs() << gpu.name << ", GPU " << gpu.number << ", had its share of the calibration batches";
      llvm::errs() << llvm::format(", %.2f GiB of its memory at most\n", double(gpu.allocatedBytes) / double(1 << 30));
      if (gpu.usage)
        llvm::errs() << "the driver saw it " << DeviceUsageText(*gpu.usage) << "\n";
    }
  }

  MLIRContext &context;
  const CompileOptions &options;
  raw_ostream &out;
  ImportedModel model;
  std::vector<const CheckpointFormat *> exports;
  std::vector<int64_t> layers; // original numbers of those that are left
};

} // namespace

Status Compile(MLIRContext &context, const CompileOptions &options, raw_ostream &out) {
  return Compilation(context, options, out).run();
}

} // namespace compressc
