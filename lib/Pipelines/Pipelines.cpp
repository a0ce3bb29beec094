// The only place that orders passes.
#include "compressc/Pipelines/Pipelines.h"
#include "compressc/Conversion/Passes.h"
#include "compressc/Transforms/Passes.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace compressc {
namespace {

struct AWQOptions : PassPipelineOptions<AWQOptions> {
  Option<int64_t> bits{*this, "bits", llvm::cl::desc("Bits of a code: 2, 3, 4 or 8"), llvm::cl::init(4)};
  Option<int64_t> groupSize{*this, "group-size",
                            llvm::cl::desc("Columns that share one scale; must divide every weight's columns"),
                            llvm::cl::init(128)};
  Option<bool> symmetric{*this, "symmetric", llvm::cl::desc("Fixed zero point, no zeros stored"),
                         llvm::cl::init(false)};
  Option<std::string> grid{*this, "grid", llvm::cl::desc("Points to try besides the identity: all, duo or plain"),
                           llvm::cl::init("all")};
  Option<std::string> propagation{*this, "propagation",
                                  llvm::cl::desc("What later layers see in calibration: original or quantized"),
                                  llvm::cl::init("original")};
  Option<bool> clipQueryKey{*this, "clip-query-key", llvm::cl::desc("Clip q and k too"), llvm::cl::init(false)};
  Option<bool> head{*this, "head", llvm::cl::desc("Quantise the head too, or both of its factors"),
                    llvm::cl::init(false)};
  ListOption<std::string> ignore{*this, "ignore",
                                 llvm::cl::desc("Weights to leave alone: exact module names or re:REGEX")};
};

/// Scales first: they move the ranges that clip looks at. Clip before rounding: the quantiser takes its
/// range from the clamped weights.
void buildAWQ(OpPassManager &manager, const AWQOptions &options) {
  auto ignore = llvm::to_vector_of<std::string>(options.ignore);
  InsertCalibrationOptions calibration;
  calibration.propagation = options.propagation;
  AWQScaleOptions scale;
  scale.bits = options.bits, scale.groupSize = options.groupSize, scale.symmetric = options.symmetric;
  scale.grid = options.grid;
  scale.ignore = ignore;
  ClipOptions clip;
  clip.bits = options.bits, clip.groupSize = options.groupSize, clip.symmetric = options.symmetric;
  clip.clipQueryKey = options.clipQueryKey;
  clip.ignore = ignore;
  QuantizeOptions quantize;
  quantize.bits = options.bits, quantize.groupSize = options.groupSize;
  quantize.symmetric = options.symmetric;
  quantize.head = options.head;
  quantize.ignore = ignore;

  manager.addPass(createInsertCalibration(calibration));
  manager.addPass(createAWQScale(scale));
  manager.addPass(createClip(clip));
  manager.addPass(createQuantize(quantize));
}

} // namespace

void RegisterPassesAndPipelines() {
  registerTransformsPasses();
  registerConversionPasses();
  registerCanonicalizerPass();
  registerCSEPass();
  registerSymbolDCEPass();
  PassPipelineRegistration<AWQOptions>(
      "awq", "AWQ: insert-calibration, awq-scale, clip, quantize", buildAWQ);
}

llvm::ArrayRef<llvm::StringLiteral> OptimizationNames() {
  static constexpr llvm::StringLiteral names[] = {"sink-selection", "answer-head",        "merge-linears", "fuse-epilogues",
                                                  "fuse-rotary",    "narrow-activations", "reuse-buffers", "outline-blocks"};
  return names;
}

void BuildDeploymentPipeline(OpPassManager &manager, const DeploymentOptions &options) {
  auto with = [&](StringRef name) { return !llvm::is_contained(options.without, name); };
  manager.addPass(createDropCalibration());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
  SetComputeOptions compute;
  compute.compute = options.compute, compute.activations = options.activations;
  manager.addPass(createSetCompute(compute));
  // Selection first: what works on selected rows only is no longer merged with what works on all.
  if (with("sink-selection"))
    manager.addPass(createSinkSelection());
  if (with("answer-head"))
    manager.addPass(createAnswerHead());
  // Merge before fusing: a norm can go into the linears that read it when they are one.
  if (with("merge-linears"))
    manager.addPass(createMergeLinears());
  if (with("fuse-epilogues"))
    manager.addPass(createFuseEpilogues());
  // After norms of heads went into the rotations.
  if (with("fuse-rotary"))
    manager.addPass(createFuseRotary());
  if (with("narrow-activations"))
    manager.addPass(createNarrowActivations());
  manager.addPass(createCanonicalizerPass());
  LowerToExecOptions lowering;
  lowering.maxTokens = options.maxTokens, lowering.maxSelected = options.maxSelected;
  lowering.reuseBuffers = with("reuse-buffers");
  manager.addPass(createLowerToExec(lowering));
  if (with("outline-blocks"))
    manager.addPass(createOutlineBlocks());
}

} // namespace compressc
