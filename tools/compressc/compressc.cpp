// The compiler's command line.
#include "compressc/Formats/Formats.h"
#include "compressc/Pipelines/Compile.h"
#include "compressc/Pipelines/Pipelines.h"
#include "mlir/IR/AsmState.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "runtime/tasks/compare.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Format.h"

namespace cl = llvm::cl;

static constexpr char help[] =
    R"(compressc: compresses a language model and emits the program that runs it

usage
  compressc MODEL -o OUT [--passes=PIPELINE --calibration FILE] [options]
  compressc MODEL --emit=lm|compress|exec|cpp [--passes=PIPELINE]
  compressc compare BASE.json NEW.json [--perplexity BASE.json NEW.json]

  MODEL is a Hugging Face directory (safetensors), a .gguf file, or a .onnx file (operator set 23)
  or its directory, with config.json beside it: Llama, Qwen2 or Qwen3.
  OUT gets model/ (a Hugging Face directory: compressed-tensors where packed), run (scores and
  generates: `OUT/run --help`) and report.json (what each pass chose, and its error).

examples
  compressc SmolLM2.gguf -o base
      Deploys the model as it is, to compare with.
  compressc SmolLM2.gguf -o w4 --passes='awq{bits=4 group-size=64}' --calibration text.jsonl
      Compresses it to 4 bits: calibrates, scales (AWQ), clips, quantises.
  compressc SmolLM2.gguf -o rtn --passes='quantize{bits=8 group-size=32 ignore=re:.*down_proj}'
      Rounds to nearest, without calibration, and leaves some weights alone.
  compressc DIR -o w4 --passes='awq{bits=4}' --calibration text.jsonl --target=cuda --devices=2
      Calibrates on two GPUs of this machine.
  w4/run mmlu --data DIR --shots 5 --json w4.json;  compressc compare base.json w4.json
  compressc DIR --splat --emit=exec --passes='awq{bits=3}'
      Prints the schedule that config.json alone leads to.

options
  -o OUT                 the directory to write; one that compressc made before is replaced
  --passes=PIPELINE      passes in order, e.g. 'insert-calibration,clip{bits=3},quantize{bits=3}';
                         `compressc --help-passes` lists them with their options
  --calibration FILE     JSON lines (text, MMLU or MATH rows) or plain text, gzipped or not
  --samples N            calibration sequences (128)
  --sequence-length N    tokens in each (512)
  --dtype=TYPE           of what is not packed, and of scales: auto, f16, bf16, f32 (auto: what a format of
                         --export has; else 16-bit checkpoints keep theirs, others become f16)
  --store DIR            keep each finished layer in DIR: a run that is killed goes on where it stopped, and
                         runs that share layers compute them once. A layer is found again when its
                         operations, its weights, the calibration tokens, the processor's instruction
                         set and this program are the same. DIR grows by each compressed layer's size, and while
                         calibration runs by its hidden states (samples x tokens x hidden size x 4 bytes).
                         It is kept; remove it at will. Default: OUT.store, removed after success
  --no-store             keep nothing
  --dry-run              print the plan and stop: time, memory, size, what the store has. Nothing is written
  --memory-limit MB      refuse before any work what would hold more anonymous memory (files that are mapped
                         are not counted)
  --gpu-memory-limit MB  with --target=cuda: take no more of each GPU's memory, the driver's part included where it
                         is known
  --emit=STAGE           print the program instead: lm (imported), compress (after the passes),
                         exec (the schedule), cpp (the source of its program), cuda (its source for
                         GPUs); with -o OUT: bin
                         (OUT/run compiled, an error without a compiler), so (OUT/libmodel.so with
                         the C interface of OUT/compressc.h)
  --ir FILE              the program, as --emit=lm prints it and you edited it; MODEL gives the weights
  --splat                read config.json only; weights are made up. For --emit and
                         --dry-run
  --max-tokens N         rows of the largest batch that OUT/run computes at once (8192; with --target=cuda 4096,
                         which takes less memory)
  --without=NAME,...     optimisations of the program to leave out: sink-selection, answer-head,
                         merge-linears, fuse-epilogues, fuse-rotary, narrow-activations,
                         reuse-buffers, outline-blocks
  --target=TARGET        where OUT/run runs unless --device says otherwise: cpu or cuda (cpu). With cuda the GPU
                         computes calibration and weights too, or else the CPU, which is said
  --devices=N|all|I,J    with --target=cuda: how many GPUs share the calibration samples, or which, counted from 0;
                         the first computes the weights. Several need NCCL (the first, if there is one)
  --compute=TYPE         arithmetic of OUT/run's linears: f32 or bf16 (f32; with --target=cuda bf16)
  --activations=TYPE     of linears with packed weights: f32; int8 (cpu): rounded to 8 bits with a scale for
                         each row and group, several times faster; fp8 (cuda): weights of at most 4 bits in
                         groups of a multiple of 128, rounded to e4m3 with a scale for each row, where an
                         H100 or H200 multiplies many of them (f32)
  --threads N            0: one for each hardware thread (0)
  --remarks[=FILE]       print each decision of each pass, or write them to FILE as YAML, which
                         LLVM's remark tools read
  --quiet                no progress, no summary
  --export=FORMAT,...    write the model in other checkpoint formats too, each a Hugging Face directory
                         OUT/FORMAT; the formats are listed below. A model that one can't hold is refused
                         before any work
  --single-file          weights and tokenizer inside OUT/run; no OUT/model
  --host-compiler=CXX    compiles the emitted program ($CXX, c++, clang++ or g++; none: OUT/run walks
                         its schedule, with the same results)
  --nvcc=NVCC            with --target=cuda compiles the emitted CUDA source ($CUDACXX, nvcc; none: GPUs run the
                         schedule by prebuilt kernels, with the same results)
  --arch=LIST            GPUs that it is compiled for, as nvcc numbers them: 75,80,89,90a,100a,120a (the GPU of
                         this machine, or without one all of these)
  --runtime-dir DIR      headers and object that emitted programs need (../lib/compressc)
  --runtime FILE         the prebuilt runtime to put into OUT (beside this program)
  --mlir-print-ir-after-all, --mlir-print-ir-tree-dir=DIR, --mlir-pass-pipeline-crash-reproducer=FILE,
  --mlir-timing          what MLIR offers to look into the passes
)";

/// A shared LLVM registers options of its own; ours go first where a name is the same.
static bool makeRoom() {
  for (const char *name : {"threads", "passes", "emit", "samples", "runtime", "quiet", "remarks", "target", "compute",
                           "activations"})
    if (auto found = cl::getRegisteredOptions().find(name); found != cl::getRegisteredOptions().end())
      found->second->removeArgument();
  return true;
}

struct Options {
  bool room = makeRoom();
  cl::opt<std::string> model{cl::Positional, cl::desc("MODEL")};
  cl::opt<std::string> output{"o", cl::desc("output directory")};
  cl::opt<std::string> passes{"passes", cl::desc("pass pipeline")};
  cl::opt<std::string> emit{"emit", cl::desc("lm, compress or exec")};
  cl::opt<std::string> ir{"ir"};
  cl::opt<std::string> dtype{"dtype", cl::init("auto")};
  cl::opt<bool> splat{"splat"};
  cl::opt<std::string> calibration{"calibration"};
  cl::opt<int64_t> samples{"samples", cl::init(128)};
  cl::opt<int64_t> sequenceLength{"sequence-length", cl::init(512)};
  cl::opt<int64_t> maxTokens{"max-tokens", cl::init(8192)};
  cl::list<std::string> without{"without", cl::CommaSeparated};
  cl::opt<std::string> target{"target", cl::init("cpu")};
  cl::opt<std::string> devices{"devices"};
  cl::opt<std::string> compute{"compute", cl::init("")};
  cl::opt<std::string> activations{"activations", cl::init("f32")};
  cl::opt<int> threads{"threads", cl::init(0)};
  cl::opt<std::string> store{"store"};
  cl::opt<bool> noStore{"no-store"};
  cl::opt<bool> dryRun{"dry-run"};
  cl::opt<int64_t> memoryLimit{"memory-limit", cl::init(0)};
  cl::opt<int64_t> gpuMemoryLimit{"gpu-memory-limit", cl::init(0)};
  cl::opt<std::string> remarks{"remarks", cl::ValueOptional};
  cl::opt<bool> quiet{"quiet"};
  cl::opt<std::string> runtimeFile{"runtime"};
  cl::opt<std::string> runtimeDirectory{"runtime-dir"};
  cl::list<std::string> exports{"export", cl::CommaSeparated};
  cl::opt<bool> singleFile{"single-file"};
  cl::opt<std::string> hostCompiler{"host-compiler"};
  cl::opt<std::string> nvcc{"nvcc"};
  cl::opt<std::string> architectures{"arch"};
  cl::opt<bool> helpPasses{"help-passes"};
};

static int fail(const compressc::Status &status) {
  llvm::errs() << "compressc: error: " << std::string(status.message()) << "\n";
  return 1;
}

int main(int argc, char **argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  if (!arguments.empty() && arguments[0] == "compare") {
    arguments.erase(arguments.begin());
    return compressc::CompareMain(arguments);
  }
  if (arguments.empty() || arguments[0] == "help" || llvm::is_contained(arguments, "--help") ||
      llvm::is_contained(arguments, "-h")) {
    llvm::outs() << help << "\ncheckpoint formats (--export)\n";
    for (const compressc::CheckpointFormat *format : compressc::CheckpointFormats())
      llvm::outs() << "  " << llvm::left_justify(format->name(), 20) << " " << format->summary()
                   << "\n";
    return arguments.empty();
  }
  Options flags;
  compressc::RegisterPassesAndPipelines();
  mlir::registerAsmPrinterCLOptions();
  mlir::registerPassManagerCLOptions();
  mlir::registerDefaultTimingManagerCLOptions();
  std::string message;
  llvm::raw_string_ostream errors(message);
  if (!cl::ParseCommandLineOptions(argc, argv, "", &errors)) {
    llvm::StringRef first = llvm::StringRef(message).split('\n').first;
    return fail(compressc::Invalid(first.str(), " (compressc --help)"));
  }
  if (flags.helpPasses) {
    mlir::printRegisteredPasses();
    llvm::outs() << "Pipelines:\n";
    for (llvm::StringRef name : {"awq"})
      mlir::PassPipelineInfo::lookup(name)->printHelpStr(/*indent=*/2, /*descIndent=*/38);
    return 0;
  }
  if (flags.model.empty())
    return fail(compressc::Invalid("give a MODEL: a Hugging Face directory or a .gguf file"));
  for (auto [name, value, most] : {std::tuple("samples", flags.samples.getValue(), int64_t(1) << 20),
                                   std::tuple("sequence-length", flags.sequenceLength.getValue(), int64_t(1) << 20),
                                   std::tuple("max-tokens", flags.maxTokens.getValue(), int64_t(1) << 20)})
    if (value < 1 || value > most)
      return fail(compressc::Invalid("--", name, " must be 1 to ", most, ", not ", value));
  for (auto [name, limit] : {std::pair("memory-limit", flags.memoryLimit.getValue()),
                             std::pair("gpu-memory-limit", flags.gpuMemoryLimit.getValue())})
    if (limit < 0 || limit > (int64_t(1) << 40))
      return fail(compressc::Invalid("--", name, " must be a number of megabytes, not ", limit));
  if (flags.threads < 0 || flags.threads > 1024)
    return fail(compressc::Invalid("--threads must be 0 to 1024, not ", flags.threads.getValue()));

  compressc::CompileOptions options;
  options.model = flags.model;
  options.output = flags.output;
  options.passes = flags.passes;
  options.emit = flags.emit;
  options.ir = flags.ir;
  options.dtype = flags.dtype;
  options.splat = flags.splat;
  options.calibration = flags.calibration;
  options.samples = flags.samples;
  options.sequenceLength = flags.sequenceLength;
  options.without = flags.without;
  options.target = flags.target.getNumOccurrences() == 0 && flags.emit == "cuda" ? "cuda" : flags.target.getValue();
  options.maxTokens = flags.maxTokens;
  if (options.target == "cuda" && flags.maxTokens.getNumOccurrences() == 0)
    options.maxTokens = 4096;
  options.devices = flags.devices;
  if (flags.devices.getNumOccurrences() > 0 && flags.devices.empty())
    return fail(compressc::Invalid("--devices=: wanted a number of GPUs, all, or their indices, as in 0,2"));
  options.compute = flags.compute;
  if (options.compute.empty())
    options.compute = options.target == "cuda" ? "bf16" : "f32";
  options.activations = flags.activations;
  options.threads = flags.threads;
  options.dryRun = flags.dryRun;
  options.memoryLimit = flags.memoryLimit * 1000000;
  options.gpuMemoryLimit = flags.gpuMemoryLimit * 1000000;
  options.store = flags.store;
  options.useStore = !flags.noStore && (flags.store.getNumOccurrences() == 0 || !flags.store.empty());
  options.runtime = flags.runtimeFile;
  options.runtimeDirectory = flags.runtimeDirectory;
  options.exports = flags.exports;
  options.singleFile = flags.singleFile;
  options.hostCompiler = flags.hostCompiler;
  options.nvcc = flags.nvcc;
  options.architectures = flags.architectures;
  options.remarks = flags.remarks.getNumOccurrences() > 0 && flags.remarks.empty();
  options.remarkFile = flags.remarks;
  options.quiet = flags.quiet;
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  compressc::LoadDialects(context);
  if (compressc::Status status = compressc::Compile(context, options, llvm::outs()); !status.ok())
    return fail(status);
  return 0;
}
