// Compression passes. The text here is what `compressc --help-passes` and the generated documentation say.
#ifndef COMPRESSC_TRANSFORMS_PASSES_TD
#define COMPRESSC_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def InsertCalibration : Pass<"insert-calibration", "::mlir::ModuleOp"> {
  let summary = "Observe the input of every linear on calibration tokens";
  let description = [{
    Gives each distinct input of the decoder layers' linears a `compress.calibrated` that ties it to its
    statistics. With `propagation=original` (the default) the statistics come from a copy of the layer as
    it stands now, fed by the layers as they stand now: later rewrites don't change them, and one
    calibration pass serves all methods. With `propagation=quantized` the layer itself is observed, so that
    a later layer's statistics see what was done to the earlier ones.

    ```mlir
    %h1 = lm.block 0 (%x = %h0) ... { %q = lm.linear %n, %w ... }
    =>
    %c1, %s = lm.block 0 (%x = %h0) ... { ... %s = compress.observe %n ... }
    %h1 = lm.block 0 (%x = %h0) ... { %m = compress.calibrated %n with %s
                                      %q = lm.linear %m, %w ... }
    ```
    A linear whose input is calibrated already is left as it is.
  }];
  let options = [
    Option<"propagation", "propagation", "std::string", "\"original\"",
           "What later layers see: original or quantized">,
  ];
  let dependentDialects = ["::compressc::compress::CompressDialect"];
}

def AWQScale : Pass<"awq-scale", "::mlir::ModuleOp"> {
  let summary = "Activation-aware scaling of linears that share an input";
  let description = [{
    Where a calibrated activation x is read by linears only and its producer can be divided by a vector,
    multiplies the linears' columns by s and divides the producer by s; `compress.awq_scale` searches s.
    The function is unchanged; what a quantiser rounds away is not. Producers, found along the dataflow: a
    norm (weight and bias), a linear (rows and bias), the `up` operand of a gated
    activation that a linear makes, and attention, whose output is linear in v (for grouped queries s is
    the mean over the heads that share a value head).

    ```mlir
    %n = lm.rms_norm %x, %w
    %q = lm.linear %n, %wq
    =>
    %n = lm.rms_norm %x, (scale_rows %w by inverse %s)
    %q = lm.linear %n, (scale_columns %wq by %s)
    ```
    Lin et al., AWQ, 2023. Needs calibration: run insert-calibration before.
  }];
  let options = [
    Option<"bits", "bits", "int64_t", "4", "Bits of the quantiser that the search imitates: 2, 3, 4 or 8">,
    Option<"groupSize", "group-size", "int64_t", "128", "Its group size">,
    Option<"symmetric", "symmetric", "bool", "false", "Its symmetry">,
    Option<"grid", "grid", "std::string", "\"all\"", "Points to try besides the identity: all, duo or plain">,
    ListOption<"ignore", "ignore", "std::string", "Groups with a weight that matches are left alone">,
  ];
  let dependentDialects = ["::compressc::compress::CompressDialect"];
}

def Clip : Pass<"clip", "::mlir::ModuleOp"> {
  let summary = "Clamp weights to the ranges that quantise best on the calibration tokens";
  let description = [{
    Each group of a row gets the lower and upper limit, searched independently, whose quantisation error
    on the group's diagonal block of the Gram matrix is least. Linears whose result is rotated (q and k)
    are left unclipped, found along the dataflow: clipping them costs more than it gains.

    ```mlir
    lm.linear %n, %w  =>  lm.linear %n, (compress.clip %w, %s)
    ```
    Needs calibration.
  }];
  let options = [
    Option<"bits", "bits", "int64_t", "4", "Bits of the quantiser: 2, 3, 4 or 8">,
    Option<"groupSize", "group-size", "int64_t", "128", "Its group size">,
    Option<"symmetric", "symmetric", "bool", "false", "Its symmetry">,
    Option<"clipQueryKey", "clip-query-key", "bool", "false", "Clip q and k too">,
    ListOption<"ignore", "ignore", "std::string", "Weights to leave alone">,
  ];
  let dependentDialects = ["::compressc::compress::CompressDialect"];
}

def Quantize : Pass<"quantize", "::mlir::ModuleOp"> {
  let summary = "Round the decoder layers' linear weights to integers with group scales";
  let description = [{
    Round to nearest. The embedding is kept, the head too unless `head` says otherwise; a tied one is untied
    then. Linears that are quantised already are left.

    ```mlir
    lm.linear %x, %w  =>  lm.linear %x, (compress.dequantize (compress.quantize %w))
    ```
  }];
  let options = [
    Option<"bits", "bits", "int64_t", "4", "Bits of a code: 2, 3, 4 or 8">,
    Option<"groupSize", "group-size", "int64_t", "128",
           "Columns that share one scale; must divide every weight's columns">,
    Option<"symmetric", "symmetric", "bool", "false", "Fixed zero point, no zeros stored">,
    Option<"head", "head", "bool", "false", "Quantise the head too, or both of its factors">,
    ListOption<"ignore", "ignore", "std::string",
               "Weights to leave alone: exact module names or re:REGEX, matched without .weight">,
  ];
  let dependentDialects = ["::compressc::compress::CompressDialect"];
}

def PruneLayers : Pass<"prune-layers", "::mlir::ModuleOp"> {
  let summary = "Drop the layers that change the hidden states least";
  let description = [{
    A layer's block influence is the mean over the calibration tokens of 1 - cos(its input, its output),
    in the model as it stands when this pass runs. The `count` layers with the least are left out; which,
    is a `compress.choose` that compilation resolves on the calibration data, so passes before and after
    this one see all layers. Numbers in the report are those of the original model; the exported
    checkpoint's layers are numbered anew. Men et al., ShortGPT, 2024.

    ```mlir
    %h1 = lm.block 0 (%x = %h0) ...
    =>
    %c1 = lm.block 0 (%x = %h0) ...
    %b0 = compress.observe_cosine %h0, %c1 ...
    %d:2 = compress.choose "prune-layers" 1 of ["layer 0", "layer 1"] by "influence" %b0, %b1 ...
    %h1 = lm.block 0 (%x = %h0) ...
    %g1 = arith.select %d#0, %h0, %h1
    ```
    Needs calibration data when the choice is resolved; `--emit=compress` prints it open.
  }];
  let options = [
    Option<"count", "count", "int64_t", "0", "Layers to drop; 0: none">,
  ];
  let dependentDialects = ["::compressc::compress::CompressDialect", "::mlir::arith::ArithDialect"];
}

def SVDFactorize : Pass<"svd-factorize", "::mlir::ModuleOp"> {
  let summary = "Replace the head by two linears of lower rank";
  let description = [{
    The head is the linear whose result the model's function returns. Its weight W [N, K] becomes the product
    of [N, rank] and [rank, K] that changes the logits of the calibration tokens least (see `compress.svd`):
    rank * (N + K) elements for N * K. A tied head is untied, the embedding stays as it is. The head's
    input is observed in the deployed model, so that passes before and after this one are seen alike. Of a
    quantised head the dequantised values are factorised; a later `quantize{head=true}` quantises the factors.
    Of the same size, a head that is only quantised, to 3 bits or more, is better on SmolLM2-135M (README.md
    compares them).

    ```mlir
    %l = lm.linear %x, %w
    =>
    %s = compress.observe %x
    %a, %b, %c = compress.svd %w, %s
    %p = lm.linear %x, %b
    %l = lm.linear %p, %a
    ```
    Wang et al., SVD-LLM, 2024. Needs calibration data, unless `whiten` is false.
  }];
  let options = [
    Option<"target", "target", "std::string", "\"lm_head\"", "What to factorise: lm_head">,
    Option<"rank", "rank", "int64_t", "0", "Width between the two linears; 1 to the smaller side of the weight">,
    Option<"whiten", "whiten", "bool", "true",
           "Least error on the calibration tokens; false: least error of the weight, no calibration">,
    Option<"damping", "damping", "double", "1e-6",
           "Added to the Gram matrix's diagonal, in parts of its mean, 0 to 1">,
  ];
  let dependentDialects = ["::compressc::compress::CompressDialect", "::compressc::lm::LMDialect"];
}

def LoraMerge : Pass<"lora-merge", "::mlir::ModuleOp"> {
  let summary = "Add a LoRA adapter's updates to the weights";
  let description = [{
    `adapter` is a directory that PEFT saved: adapter_config.json and adapter_model.safetensors. Each update
    goes to the parameter that the adapter names, in every linear that reads it. With `trained-on=base` (the
    default) the adapter was trained on the original model: its update is added to the original weight, beneath
    the scales, clips and roundings that other passes put there, so that AWQ's column scales apply to it too.
    With `trained-on=current` it was trained on the model as it stands here, and is added on top; a weight that
    is quantised already is dequantised, merged and quantised again, with a warning. Layers have the original
    model's numbers either way. An update of no linear's weight, or of another shape, is an error, found before
    anything is merged. Layers that are gone take their updates along, counted in a remark; those that
    compilation drops (`prune-layers`, before or after this pass) in a decision: `updates` and `dropped` of the
    adapter. An adapter of which nothing is left is an error.

    ```mlir
    lm.linear %x, %w  =>  lm.linear %x, (compress.lora_merge %w, %a, %b scale 2.0)
    ```
    LoRA and rank-stabilised LoRA (Hu et al., 2021; Kalajdzievski, 2023). DoRA, trained biases, embeddings
    and replaced modules are refused.
  }];
  let options = [
    Option<"adapter", "adapter", "std::string", "", "The adapter's directory">,
    Option<"trainedOn", "trained-on", "std::string", "\"base\"", "What the adapter was trained on: base or current">,
  ];
  let dependentDialects = ["::compressc::compress::CompressDialect", "::compressc::lm::LMDialect"];
}

def DropCalibration : Pass<"drop-calibration", "::mlir::ModuleOp"> {
  let summary = "Forget statistics: what is left computes the same";
  let description = [{
    Replaces each `compress.calibrated` by its operand, and removes what only calibration needed.
  }];
  let dependentDialects = ["::compressc::compress::CompressDialect"];
}

//===-- Optimising the deployed program ------------------------------------------------------------===//

def SinkSelection : Pass<"sink-selection", "::mlir::ModuleOp"> {
  let summary = "Compute only the rows whose logits are asked for, as far up as that goes";
  let description = [{
    Moves `lm.select_rows` above row-wise operations, into the last layer and through its attention, whose
    keys and values still need every row: the last layer's queries, output projection and MLP then work on
    the selected rows only.

    ```mlir
    lm.select_rows (lm.linear %x, %w), %batch  =>  lm.linear (lm.select_rows %x, %batch), %w
    ```
  }];
  let dependentDialects = ["::compressc::lm::LMDialect"];
}

def AnswerHead : Pass<"answer-head", "::mlir::ModuleOp"> {
  let summary = "Compute the logits of the answers only, where a batch says which they are";
  let description = [{
    Marks the linear whose result the function returns: scoring four answers needs four rows of the head,
    not the whole vocabulary. A batch that names no answers gets all logits.

    ```mlir
    %l = lm.linear %x, %w      =>      %l = lm.linear %x, %w answers
    return %l                          return %l
    ```
  }];
  let dependentDialects = ["::compressc::lm::LMDialect"];
}

def MergeLinears : Pass<"merge-linears", "::mlir::ModuleOp"> {
  let summary = "One operation for the linears that read the same input";
  let description = [{
    q, k and v, or gate and up: the input is prepared once and the threads share one larger piece of work.

    ```mlir
    %q = lm.linear %x, %wq
    %k = lm.linear %x, %wk
    =>
    %q, %k = lm.fused_linear %x weights(%wq, %wk)
    ```
  }];
  let dependentDialects = ["::compressc::lm::LMDialect"];
}

def FuseEpilogues : Pass<"fuse-epilogues", "::mlir::ModuleOp"> {
  let summary = "Do norms, residual sums and gated activations inside the linears next to them";
  let description = [{
    A value that only the next operation reads never goes to memory. Bits stay what they were.

    ```mlir
    %n = lm.rms_norm %h, %w
    %g, %u = lm.fused_linear %n weights(%wg, %wu)
    %a = lm.gated_activation silu %g, %u
    =>
    %a = lm.fused_linear gate silu %h norm %w weights(%wg, %wu)

    arith.addf %h, (lm.linear %a, %w)  =>  lm.fused_linear %a weights(%w) add %h
    ```
    A norm of each head (q/k-norm) goes into the rotary embedding that reads it. Norms that other operations
    read too are left.
  }];
  let dependentDialects = ["::compressc::lm::LMDialect"];
}

def FuseRotary : Pass<"fuse-rotary", "::mlir::ModuleOp"> {
  let summary = "Rotate queries and keys inside the attention that reads them";
  let description = [{
    Keys are rotated on their way to the cache, queries where the attention reads them: neither goes to memory and
    back once more, and a GPU starts one kernel for both and for writing the cache. Bits stay what they were.

    ```mlir
    %r = lm.rotary_embedding %q, %batch head_dim 64 <theta = 1.0e4>
    %s = lm.rotary_embedding %k, %batch head_dim 64 <theta = 1.0e4>
    %a, %next = lm.attention %r, %s, %v, %c, %batch heads 9 kv_heads 3 scale 0.125
    =>
    %a, %next = lm.attention %q, %k, %v, %c, %batch heads 9 kv_heads 3 scale 0.125 rope <theta = 1.0e4>
    ```
    Norms of heads that `fuse-epilogues` put into the rotations come along. Left as they are: rotations that something
    else reads too, and two that differ in more than their norms' weights and their rows.
  }];
  let dependentDialects = ["::compressc::lm::LMDialect"];
}

def SetCompute : Pass<"set-compute", "::mlir::ModuleOp"> {
  let summary = "Choose the arithmetic of the deployed linears";
  let description = [{
    With `activations=int8` the linears whose weight is quantised round their input to 8 bits; with `activations=fp8`
    those whose weight has at most 4 bits in groups of a multiple of 128 round it to e4m3, with a scale for each row (a
    GPU multiplies such codes exactly, and reads them 128 columns at a time). The others, or all with `activations=f32`,
    compute in `compute`. Not for calibration: statistics and weights come from fp32 activations.

    ```mlir
    lm.linear %x, (compress.dequantize %packed)  =>  lm.linear %x, (...) compute int8
    ```
  }];
  let options = [
    Option<"compute", "compute", "std::string", "\"f32\"", "f32 or bf16">,
    Option<"activations", "activations", "std::string", "\"f32\"", "Of quantised linears: f32, int8 or fp8">,
  ];
}

def NarrowActivations : Pass<"narrow-activations", "::mlir::ModuleOp"> {
  let summary = "Store activations in bf16 that only linears read which round them to bf16";
  let description = [{
    What attentions and gated linears give is rounded when it is stored, not when it is read: half the bytes,
    and the same bits. Values that anything but the input of a linear `compute bf16` or `fp8` without a norm reads
    are left.

    ```mlir
    %a = lm.fused_linear gate silu %h weights(%wg, %wu) : (...) -> tensor<?x64xf32>
    %r = lm.fused_linear %a weights(%wd) compute bf16 : (tensor<?x64xf32>, ...) -> ...
    =>
    %a = lm.fused_linear gate silu %h weights(%wg, %wu) : (...) -> tensor<?x64xbf16>
    %r = lm.fused_linear %a weights(%wd) compute bf16 : (tensor<?x64xbf16>, ...) -> ...
    ```
  }];
}

#endif // COMPRESSC_TRANSFORMS_PASSES_TD
