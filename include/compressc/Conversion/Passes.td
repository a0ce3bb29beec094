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
    rows and `max-selected` selected rows. A packed weight that its readers can read in place is handed to
    them as it is.
  }];
  let options = [
    Option<"maxTokens", "max-tokens", "int64_t", "8192", "Rows of the largest batch">,
    Option<"maxSelected", "max-selected", "int64_t", "512", "Selected rows of the largest batch">,
  ];
  let dependentDialects = ["::compressc::exec::ExecDialect"];
}

#endif // COMPRESSC_CONVERSION_PASSES_TD
