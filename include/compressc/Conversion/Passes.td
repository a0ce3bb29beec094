// Lowering of the lm and compress dialects to schedules.
#ifndef COMPRESSC_CONVERSION_PASSES_TD
#define COMPRESSC_CONVERSION_PASSES_TD

include "mlir/Pass/PassBase.td"

def BindWeights : Pass<"bind-weights", "::mlir::ModuleOp"> {
  let summary = "Replace each weight expression that the deployed model needs by a parameter";
  let description = [{
    The result is the program as it will be deployed, without evaluating anything: what `compressc
    --emit=exec` shows, and the plan of what materialisation has to compute. A packed value becomes a
    packed parameter, any other one a parameter of the checkpoint's type, both under the export name of the
    parameter that the expression rewrites. Calibration and remarks are dropped.

    ```mlir
    lm.linear %x, (dequantize (quantize (load_param @a)))  =>  lm.linear %x, (dequantize (load_param @a))
    ```
  }];
  let dependentDialects = ["::compressc::compress::CompressDialect"];
}

def LowerToExec : Pass<"lower-to-exec", "::mlir::ModuleOp"> {
  let summary = "Lower functions of lm and compress operations to exec programs";
  let description = [{
    Every `KernelOpInterface` operation becomes one `exec.call`; layers are flattened; caches get their
    slots; buffers get offsets in one arena, first fit by lifetime, for batches of at most `max-tokens`
    rows and `max-selected` selected rows. A kernel that can writes over an operand that nothing reads
    later, and buffers of one type in one place are one buffer. A packed weight that its readers can read in place is handed to
    them as it is.
  }];
  let options = [
    Option<"maxTokens", "max-tokens", "int64_t", "8192", "Rows of the largest batch">,
    Option<"maxSelected", "max-selected", "int64_t", "512", "Selected rows of the largest batch">,
    Option<"reuseBuffers", "reuse-buffers", "bool", "true",
           "Plan by lifetime and write over operands that are read no more; false: memory of its own for each value">,
  ];
  let dependentDialects = ["::compressc::exec::ExecDialect"];
}

def OutlineBlocks : Pass<"outline-blocks", "::mlir::ModuleOp"> {
  let summary = "One function for the layers that are alike";
  let description = [{
    Layers whose calls differ in their weights and caches only become one `exec.function`, and each of
    them an `exec.invoke` of it: a schedule that reads as the model is built, and in emitted source one
    loop over the layers.

    ```mlir
    exec.call "linear" [@b0, @layers.0.w] -> [@b1] {} layer 0
    exec.call "linear" [@b0, @layers.1.w] -> [@b1] {} layer 1
    =>
    exec.function @layer { exec.parameter @w : ...  exec.call "linear" [@b0, @w] -> [@b1] {} }
    exec.invoke @layer [@layers.0.w]
    exec.invoke @layer [@layers.1.w]
    ```
  }];
  let dependentDialects = ["::compressc::exec::ExecDialect"];
}

#endif // COMPRESSC_CONVERSION_PASSES_TD
