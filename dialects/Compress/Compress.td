// The compress dialect: what compression computes.
#ifndef COMPRESSC_COMPRESS_TD
#define COMPRESSC_COMPRESS_TD

include "dialects/Exec/KernelOp.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Compress_Dialect : Dialect {
  let name = "compress";
  let cppNamespace = "::compressc::compress";
  let summary = "What compression computes: calibration statistics and weight expressions";
  let description = [{
    Calibration is a value in the graph: `compress.observe` turns an activation into the statistics of all
    calibration tokens, weight expressions read them, and `compress.calibrated` ties them to the
    activation that a linear consumes, so that passes find them along the dataflow.

    Each value has a binding time. **weight**: depends on parameters only. **calibration**: depends on
    statistics too. **run**: depends on the request. Passes only rewrite; materialisation evaluates the
    weight- and calibration-time values that run-time operations need.
  }];
  let useDefaultTypePrinterParser = 1;
}

//===-- Types --------------------------------------------------------------------------------------===//

class Compress_Type<string name, string typeMnemonic> : TypeDef<Compress_Dialect, name> {
  let mnemonic = typeMnemonic;
}

def Compress_PackedType : Compress_Type<"Packed", "packed"> {
  let summary = "a weight as b-bit integers with group scales";
  let description = [{
    `!compress.packed<576x1536, bits = 4, group = 64, asymmetric, f16>`: W[n,k] = scale[n, k/group] *
    (code[n,k] - zero[n, k/group]), codes and zeros in 0 .. 2^bits - 1; symmetric weights have the zero
    2^(bits-1). Codes, scales and zeros are tensors of the value, never attributes of the type. The last
    word is the scales' type.
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$columns, "int64_t":$bits, "int64_t":$group,
                        "bool":$symmetric, "::mlir::Type":$scaleType);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Compress_BlocksType : Compress_Type<"Blocks", "blocks"> {
  let summary = "a weight in GGUF blocks";
  let description = [{
    `!compress.blocks<576x1536, q4_1>`: q4_0, q4_1, q5_0, q5_1 or q8_0 in blocks of 32 along the columns, or
    q4_k, q5_k or q6_k in blocks of 256.
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$columns, StringRefParameter<"">:$format);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Compress_StatisticsType : Compress_Type<"Statistics", "statistics"> {
  let summary = "what calibration measured of a linear's input";
  let description = [{
    `!compress.statistics<576>` holds, over all calibration tokens x [576]: the Gram matrix G = sum of
    x xᵀ [576, 576], the sum of |x| [576] and the number of tokens; fp32.
  }];
  let parameters = (ins "int64_t":$width);
  let assemblyFormat = "`<` $width `>`";
  let genVerifyDecl = 1;
}

def Compress_Plain : RankedTensorOf<[F32, F16, BF16]>;
def Compress_Vector : TensorRankOf<[F32], [1]>;
def Compress_Rows : TensorRankOf<[F32], [2]>;
def Compress_Encoded : AnyTypeOf<[Compress_PackedType, Compress_BlocksType]>;
def Compress_AnyWeight : AnyTypeOf<[Compress_Plain, Compress_PackedType]>;

class Compress_Op<string opMnemonic, list<Trait> traits = []> : Op<Compress_Dialect, opMnemonic, traits>;

class Compress_KernelOp<string opMnemonic, list<Trait> traits = [], list<string> overridden = []>
    : Compress_Op<opMnemonic, traits # [Pure, DeclareOpInterfaceMethods<KernelOpInterface, overridden>]>;

//===-- Calibration --------------------------------------------------------------------------------===//

def Compress_ObserveOp : Compress_KernelOp<"observe", []> {
  let summary = "statistics of an activation over the calibration tokens";
  let description = [{
    The operand is a run-time value, the result a calibration-time one: it is complete when every
    calibration batch has passed.
    `%s = compress.observe %x : tensor<?x576xf32> -> !compress.statistics<576>`
  }];
  let arguments = (ins Compress_Rows:$input);
  let results = (outs Compress_StatisticsType:$statistics);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` qualified(type($statistics))";
  let hasVerifier = 1;
}

def Compress_ObserveCosineOp
    : Compress_KernelOp<"observe_cosine", [AllTypesMatch<["input", "output"]>]> {
  let summary = "how far two activations are from parallel, over the calibration tokens";
  let description = [{
    `influence` [2]: the mean over the tokens t of 1 - cos(input_t, output_t), and their number. Of a
    layer's input and output it is the layer's block influence (Men et al., ShortGPT, 2024). A token of
    which one row is 0 counts 1, of which both are, 0.
    `%b = compress.observe_cosine %x, %y : tensor<?x576xf32> -> tensor<2xf32>`
  }];
  let arguments = (ins Compress_Rows:$input, Compress_Rows:$output);
  let results = (outs Compress_Vector:$influence);
  let assemblyFormat = "$input `,` $output attr-dict `:` type($input) `->` type($influence)";
  let hasVerifier = 1;
}

def Compress_CalibratedOp : Compress_Op<"calibrated", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "an activation together with its statistics";
  let description = [{
    The identity at run time. Linears that read the result can be compressed with these statistics; a
    pass that changes the activation (AWQ divides it by s) changes the statistics with it.
  }];
  let arguments = (ins Compress_Rows:$input, Compress_StatisticsType:$statistics);
  let results = (outs Compress_Rows:$result);
  let assemblyFormat = "$input `with` $statistics attr-dict `:` type($input) `,` qualified(type($statistics))";
  let hasVerifier = 1;
}

def Compress_ScaleStatisticsOp : Compress_KernelOp<"scale_statistics", [AllTypesMatch<["statistics", "result"]>]> {
  let summary = "the statistics of x / s";
  let description = "`G' = diag(1/s) G diag(1/s)`, `sum|x|' = sum|x| / s`: no new forward pass. s [K].";
  let arguments = (ins Compress_StatisticsType:$statistics, Compress_Vector:$scale);
  let results = (outs Compress_StatisticsType:$result);
  let assemblyFormat = "$statistics `by` $scale attr-dict `:` qualified(type($statistics)) `,` type($scale)";
  let hasVerifier = 1;
}

//===-- Weight expressions -------------------------------------------------------------------------===//

def Compress_DequantizeOp : Compress_KernelOp<"dequantize", []> {
  let summary = "the values that packed codes or GGUF blocks stand for";
  let description = "A linear that reads a dequantised packed weight reads the codes in place.";
  let arguments = (ins Compress_Encoded:$input);
  let results = (outs Compress_Plain:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Compress_ConvertOp : Compress_KernelOp<"convert"> {
  let summary = "rounds to another floating-point type";
  let description = "To nearest, ties to even. NaN, infinity and overflow are errors that name the tensor.";
  let arguments = (ins Compress_Plain:$input);
  let results = (outs Compress_Plain:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Compress_UnpermuteRowsOp : Compress_KernelOp<"unpermute_rows", [SameOperandsAndResultType]> {
  let summary = "undoes the row order that GGUF's llama architecture uses for q and k";
  let description = [{
    GGUF stores the pairs of rotary embedding side by side; this brings back half-split order per head:
    row i of a head's first half is row 2i there, row i of the second half row 2i + 1. [N, K] or [N].
  }];
  let arguments = (ins Compress_Plain:$input, I64Attr:$heads);
  let results = (outs Compress_Plain:$result);
  let assemblyFormat = "$input `heads` $heads attr-dict `:` type($input)";
  let hasVerifier = 1;
}

def Compress_TransposeOp : Compress_KernelOp<"transpose"> {
  let summary = "swaps the rows and columns of a weight";
  let description = [{
    `out[n, k] = in[k, n]`: ONNX graphs store the weight of a MatMul as [K, N], `lm.linear` reads [N, K].
    `%w = compress.transpose %stored : tensor<64x128xf16> -> tensor<128x64xf16>`
  }];
  let arguments = (ins Compress_Plain:$input);
  let results = (outs Compress_Plain:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Compress_OffsetOp : Compress_KernelOp<"offset", [AllShapesMatch<["input", "result"]>]> {
  let summary = "W + c";
  let description = [{
    The sum in fp32, rounded to the result's type; overflow is an error that names the tensor. Of a checkpoint
    that stores a norm's weight as its distance from 1, the last operation before the norm adds it: the tensor
    is stored as it was, and the deployed model adds when it loads it.
    `%n = compress.offset %w by 1.0 : tensor<640xbf16> -> tensor<640xf32>`
  }];
  let arguments = (ins Compress_Plain:$input, F64Attr:$amount);
  let results = (outs Compress_Plain:$result);
  let assemblyFormat = "$input `by` $amount attr-dict `:` type($input) `->` type($result)";
}

def Compress_ScaleColumnsOp : Compress_KernelOp<"scale_columns"> {
  let summary = "W[n,k] * s[k]";
  let arguments = (ins Compress_Plain:$weight, Compress_Vector:$scale);
  let results = (outs Compress_Plain:$result);
  let assemblyFormat = "$weight `by` $scale attr-dict `:` type($weight) `,` type($scale) `->` type($result)";
  let hasVerifier = 1;
}

def Compress_ScaleRowsOp : Compress_KernelOp<"scale_rows", [], ["getKernelAttributes"]> {
  let summary = "W[n,k] * s[n], or W[n,k] / s[n]";
  let description = "Of a vector [N] (a norm's weight, a bias) each element is scaled.";
  let arguments = (ins Compress_Plain:$weight, Compress_Vector:$scale, UnitAttr:$inverse);
  let results = (outs Compress_Plain:$result);
  let assemblyFormat = [{
    $weight `by` (`inverse` $inverse^)? $scale attr-dict `:` type($weight) `,` type($scale) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Compress_LoraMergeOp : Compress_KernelOp<"lora_merge"> {
  let summary = "W + scale * B A: a weight with a low-rank update";
  let description = [{
    W [N, K], A [r, K], B [N, r]; the product is accumulated in fp32. `change` [1] is |scale B A| / |W|
    (Frobenius). Hu et al., LoRA, 2021.
  }];
  let arguments = (ins Compress_Plain:$weight, Compress_Plain:$a, Compress_Plain:$b, F64Attr:$scale);
  let results = (outs Compress_Plain:$result, Compress_Vector:$change);
  let assemblyFormat = "$weight `,` $a `,` $b `scale` $scale attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Compress_ExpandHeadsOp : Compress_KernelOp<"expand_heads"> {
  let summary = "repeats each key/value head's run for the query heads that share it";
  let description = "[G*D] -> [G*repeat*D]: run g of D elements comes `repeat` times in a row.";
  let arguments = (ins Compress_Vector:$input, I64Attr:$repeat, I64Attr:$head_dim);
  let results = (outs Compress_Vector:$result);
  let assemblyFormat = "$input `repeat` $repeat `head_dim` $head_dim attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Compress_AWQScaleOp : Compress_KernelOp<"awq_scale", [], ["getKernelAttributes"]> {
  let summary = "AWQ's per-channel scale for linears that share an input";
  let description = [{
    Minimises tr(D G Dᵀ), D = Q(W diag(s)) / s - W, over all weights [N_i, K] together, Q the group
    quantiser. Grid: the identity; duo points s = mean|x|^r / (w^(1-r) + 1e-4), r = 0, .05, .., .95, with
    w[k] the mean over rows of |W[n,k]| / its group's maximum; plain points s = mean|x|^r, r = .05 .. 1;
    each at least 1e-4 and divided by sqrt(max s * min s). Lin et al., 2023, in Gram form: the cost does
    not grow with the tokens.

    With `repeat` R > 1 the input is attention's output of G*R heads of `head_dim` D columns: s is the mean
    over the R query heads of a key/value head, [K / R] elements.

    `choice` [4]: kind (0 identity, 1 duo, 2 plain), r, relative error tr(D G Dᵀ) / tr(W G Wᵀ) with s,
    and without.
  }];
  let arguments = (ins Compress_StatisticsType:$statistics, Variadic<Compress_Plain>:$weights, I64Attr:$bits,
                       I64Attr:$group, BoolAttr:$symmetric, TypeAttr:$scale_type, StrAttr:$grid,
                       I64Attr:$repeat, I64Attr:$head_dim);
  let results = (outs Compress_Vector:$scale, Compress_Vector:$choice);
  let assemblyFormat = "$statistics `,` $weights attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Compress_ClipOp : Compress_KernelOp<"clip", [], ["getKernelAttributes"]> {
  let summary = "clamps each group of a row to the range that quantises best";
  let description = [{
    For each row and group, over lower and upper limits shrunk independently by 1, .95, .., .55:
    minimises dᵀ G_gg d, d = Q(clamp(w)) - w, G_gg the group's diagonal block of the Gram matrix.
    The quantiser then takes its range from the clamped weights. Symmetric: both limits together.

    `choice` [2]: sum of the errors after / before, mean ratio of the chosen to the full range.
  }];
  let arguments = (ins Compress_Plain:$weight, Compress_StatisticsType:$statistics, I64Attr:$bits,
                       I64Attr:$group, BoolAttr:$symmetric, TypeAttr:$scale_type);
  let results = (outs Compress_Plain:$result, Compress_Vector:$choice);
  let assemblyFormat = "$weight `,` $statistics attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Compress_QuantizeOp : Compress_KernelOp<"quantize"> {
  let summary = "rounds a weight to integers with group scales";
  let description = [{
    Per row and group, with lo = min(w, 0) and hi = max(w, 0): scale = (hi - lo) / (2^bits - 1) rounded to
    the scales' type, zero = round(-lo / scale), code = clamp(round(w / scale) + zero). Symmetric: scale =
    max|w| / (2^(bits-1) - 1), zero = 2^(bits-1). The format is the result's type.
  }];
  let arguments = (ins Compress_Plain:$weight);
  let results = (outs Compress_PackedType:$result);
  let assemblyFormat = "$weight attr-dict `:` type($weight) `->` qualified(type($result))";
  let hasVerifier = 1;
}

def Compress_SVDOp : Compress_KernelOp<"svd"> {
  let summary = "a weight as the product of two of lower rank";
  let description = [{
    `W ≈ left · right`, left [N, R] and right [R, K]: of all products of rank R the one with the least
    error of the output, tr(D H Dᵀ) with D = left · right - W and H = G + damping · mean(diag G) · I. With
    L Lᵀ = H and U S Vᵀ the singular value decomposition of W L: left = U_R S_R E⁻¹, right = E V_Rᵀ L⁻¹,
    the error the sum of the squares of the singular values left out (Wang et al., SVD-LLM, 2024). The
    diagonal E gives column r of left and row r of right one length; each singular vector's largest
    element is positive. Where H has no L, damping grows tenfold until it has. Without statistics H = I.

    `choice` [4]: R, tr(D H Dᵀ) / tr(W H Wᵀ), 1 minus that, the damping used.

    `%a, %b, %c = compress.svd %w, %s damping 1.0e-6 : (tensor<96x64xf16>, !compress.statistics<64>) -> (tensor<96x8xf32>, tensor<8x64xf32>, tensor<4xf32>)`
  }];
  let arguments = (ins Compress_Plain:$weight, Optional<Compress_StatisticsType>:$statistics, F64Attr:$damping);
  let results = (outs Compress_Rows:$left, Compress_Rows:$right, Compress_Vector:$choice);
  let assemblyFormat = [{
    $weight (`,` $statistics^)? `damping` $damping attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Compress_OutputErrorOp : Compress_KernelOp<"output_error", []> {
  let summary = "relative error of a linear's output on the calibration tokens";
  let description = "tr(D G Dᵀ) / tr(W G Wᵀ), D = approximation - weight; result [1].";
  let arguments = (ins Compress_Plain:$weight, Compress_AnyWeight:$approximation,
                       Compress_StatisticsType:$statistics);
  let results = (outs Compress_Vector:$error);
  let assemblyFormat = [{
    $weight `,` $approximation `,` $statistics attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Compress_ChooseOp : Compress_Op<"choose", [Pure]> {
  let summary = "picks the candidates with the least score";
  let description = [{
    What a pass can't decide before numbers are known: `count` of the flags are true, those whose scores
    (the first element of each) are least; of equal ones the first. Each flag selects between values of
    the program (`arith.select`). `resolve` evaluates the scores on the calibration tokens, puts
    constants in place of the flags, and reports each candidate with its score under the name `field`.
    Until then every rewrite sees the program as a whole, whatever is chosen.

    ```mlir
    %d:3 = compress.choose "prune-layers" 1 of ["layer 0", "layer 1", "layer 2"] by "influence" %b0, %b1, %b2
        : (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> (i1, i1, i1)
    %g1 = arith.select %d#0, %h0, %h1 : tensor<?x576xf32>
    ```
  }];
  let arguments = (ins StrAttr:$pass, I64Attr:$count, StrArrayAttr:$candidates, StrAttr:$field,
                       Variadic<Compress_Vector>:$scores);
  let results = (outs Variadic<I1>:$chosen);
  let assemblyFormat = [{
    $pass $count `of` $candidates `by` $field $scores attr-dict `:` functional-type($scores, $chosen)
  }];
  let hasVerifier = 1;
}

def Compress_RemarkOp : Compress_Op<"remark", [MemoryEffects<[MemWrite]>]> {
  let summary = "reports numbers of a decision when they are known";
  let description = [{
    Materialisation turns it into a remark and a row of report.json: the pass, the parameters it
    concerns (by export name) and a named number for each element of `values`.
    `compress.remark "awq-scale" ["a.weight"] ["kind", "ratio", "error", "identity_error"] %c : tensor<4xf32>`
  }];
  let arguments = (ins StrAttr:$pass, StrArrayAttr:$params, StrArrayAttr:$fields, Compress_Vector:$values);
  let assemblyFormat = "$pass $params $fields $values attr-dict `:` type($values)";
  let hasVerifier = 1;
}

#endif // COMPRESSC_COMPRESS_TD
