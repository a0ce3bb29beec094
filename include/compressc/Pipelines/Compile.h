// One compilation, from a checkpoint on disk to OUT or to printed IR.
#pragma once

#include "compressc/runtime/status.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdint>
#include <string>
#include <vector>

namespace compressc {

struct CompileOptions {
  std::string model;              // Hugging Face directory or .gguf file
  std::string output;             // OUT; unused when `emit` is set
  std::string passes;             // textual pipeline
  std::string emit;               // "", lm, compress, exec, cpp, cuda, bin or so
  std::string ir;                 // lm IR to take in place of what the configuration says
  std::string dtype = "auto";     // of the checkpoint: auto, f16, bf16, f32
  bool splat = false;             // no weights: config.json alone
  std::string calibration;        // file, or "" for none
  int64_t samples = 128;
  int64_t sequenceLength = 512;
  int64_t maxTokens = 8192;       // rows of a batch that the deployed schedule is planned for
  std::vector<std::string> without; // optimisations to leave out
  int threads = 0;                // 0: one for each hardware thread
  std::string target = "cpu";      // where OUT/run runs unless it is asked otherwise: cpu or cuda
  std::string devices;             // GPUs that share calibration: a number, all, or a list; "": the first, if there is one
  std::string compute = "f32";     // of deployed linears: f32 or bf16
  std::string activations = "f32"; // of deployed linears with packed weights: f32, int8 (cpu) or fp8 (cuda)
  std::string store;              // where finished work is kept; "": OUT.store until the end
  bool useStore = true;
  bool dryRun = false;            // print the plan and stop
  int64_t memoryLimit = 0;        // bytes of anonymous memory; a plan that needs more is refused; 0: none
  int64_t gpuMemoryLimit = 0;     // bytes to take of the GPU's memory; 0: all there are
  std::string runtime;            // the prebuilt runtime; "": beside this executable
  std::string runtimeDirectory;   // headers and object that emitted programs need; "": ../lib/compressc
  std::vector<std::string> exports; // checkpoint formats to write beside OUT/model
  bool singleFile = false;        // weights and tokenizer inside OUT/run, no OUT/model
  std::string hostCompiler;       // what compiles emitted programs; "": the first found, none: nothing
  std::string nvcc;               // with the target cuda, likewise
  std::string architectures;      // of GPUs, "75,90a"; "": this machine's, or all
  bool remarks = false;           // print every decision
  std::string remarkFile;         // write every decision there, as YAML; "": nowhere
  bool quiet = false;
};

/// Loads the dialects that a compilation uses.
void LoadDialects(mlir::MLIRContext &context);

/// Printed IR goes to `out`; remarks, progress and the summary to standard error.
Status Compile(mlir::MLIRContext &context, const CompileOptions &options, llvm::raw_ostream &out);

} // namespace compressc
