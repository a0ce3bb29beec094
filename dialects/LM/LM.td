// The lm dialect: what a language model computes.
#ifndef COMPRESSC_LM_TD
#define COMPRESSC_LM_TD

include "dialects/Exec/KernelOp.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def LM_Dialect : Dialect {
  let name = "lm";
  let cppNamespace = "::compressc::lm";
  let summary = "What a language model computes";
  let description = [{
    Values are packed token-major tensors: `tensor<?x576xf32>` holds the tokens of all sequences of a
    batch laid end to end, `?` is their number. One `!lm.batch` value says where sequences begin, what
    their positions are and which cached prefix each continues, so every operation but attention and
    rotary embedding is row-wise, and prefix reuse, ragged batches, scoring and decoding are one program.

    Weights never live in the IR: `lm.param` is a symbol bound to a key of the weight store. Activations
    are fp32; a weight has whatever type its checkpoint stores.

    ```mlir
    lm.param @norm.weight : tensor<64xf16>
    func.func @forward(%tokens: tensor<?xi32>, %batch: !lm.batch) -> tensor<?x320xf32> { ... }
    ```
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
}

//===-- Types and attributes ----------------------------------------------------------------------===//

class LM_Type<string name, string typeMnemonic> : TypeDef<LM_Dialect, name> {
  let mnemonic = typeMnemonic;
}

def LM_BatchType : LM_Type<"Batch", "batch"> {
  let summary = "where sequences begin, their positions, and the cached prefix each continues";
}

def LM_CacheType : LM_Type<"Cache", "cache"> {
  let summary = "keys and values that one attention keeps between calls";
  let description = [{
    `!lm.cache<3 x 64>`: 3 key/value heads of 64 columns, fp32. Slots get their numbers only in the
    lowering to exec, so pruning and CSE of attentions stay legal.
  }];
  let parameters = (ins "int64_t":$heads, "int64_t":$dim);
  let assemblyFormat = "`<` $heads `x` $dim `>`";
  let genVerifyDecl = 1;
}

def LM_RopeAttr : AttrDef<LM_Dialect, "Rope"> {
  let mnemonic = "rope";
  let summary = "how rotary angles are computed";
  let description = [{
    Angle of pair (i, i + D/2) at position p: `p * f_i`, `f_i = theta^(-2i/D)`, changed by the scaling:

    - `default`: none.
    - `linear`: `f_i / factor`.
    - `llama3`: with w = 2 pi / f and L = original_context: w < L/high_freq_factor keeps f,
      w > L/low_freq_factor divides it by factor, in between the two are mixed linearly in L/w.
    - `yarn` (Peng et al. 2023): r = clamp((i - a) / (b - a), 0, 1) mixes (1 - r) f + r f / factor, where a
      and b are the pairs that turn beta_fast and beta_slow times within original_context,
      rounded outwards unless `fractional`. Cosines and sines are multiplied by attention_factor.

    `#lm.rope<theta = 1.000000e+05>`,
    `#lm.rope<theta = 5.0e5, llama3, factor = 8.0, low = 1.0, high = 4.0, original_context = 8192>`,
    `#lm.rope<theta = 1.0e6, yarn, factor = 4.0, beta_fast = 32.0, beta_slow = 1.0, attention_factor = 1.14,
    original_context = 32768>`.
  }];
  let parameters = (ins APFloatParameter<"">:$theta, StringRefParameter<"">:$scaling, APFloatParameter<"">:$factor,
                        APFloatParameter<"">:$lowFrequency, APFloatParameter<"">:$highFrequency,
                        "int64_t":$originalContext, APFloatParameter<"">:$betaFast, APFloatParameter<"">:$betaSlow,
                        APFloatParameter<"">:$attentionFactor, "bool":$fractional);
  let builders = [AttrBuilder<(ins "double":$theta, CArg<"::llvm::StringRef", "\"default\"">:$scaling,
      CArg<"double", "1.0">:$factor, CArg<"double", "1.0">:$low, CArg<"double", "1.0">:$high,
      CArg<"int64_t", "0">:$window, CArg<"double", "1.0">:$betaFast, CArg<"double", "1.0">:$betaSlow,
      CArg<"double", "1.0">:$attentionFactor, CArg<"bool", "false">:$fractional), [{
    using ::llvm::APFloat;
    return $_get($_ctxt, APFloat(theta), scaling, APFloat(factor), APFloat(low), APFloat(high), window,
                 APFloat(betaFast), APFloat(betaSlow), APFloat(attentionFactor), fractional);
  }]>];
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// The dim/2 angular frequencies.
    ::llvm::SmallVector<double> frequencies(int64_t dim) const;
  }];
}

def LM_ActivationAttr : I32EnumAttr<"Activation", "activation of a gated product", [
    I32EnumAttrCase<"silu", 0>, I32EnumAttrCase<"gelu", 1>, I32EnumAttrCase<"gelu_tanh", 2>,
    I32EnumAttrCase<"relu", 3>]> {
  let cppNamespace = "::compressc::lm";
}

def LM_Compute : I32EnumAttr<"Compute", "the arithmetic of a product", [
    I32EnumAttrCase<"f32", 0>, I32EnumAttrCase<"bf16", 1>, I32EnumAttrCase<"int8", 2>,
    I32EnumAttrCase<"fp8", 3>]> {
  let cppNamespace = "::compressc::lm";
}

def LM_Tokens : 1DTensorOf<[I32]>;
def LM_Rows : TensorRankOf<[F32], [2]>;
def LM_NarrowRows : TensorRankOf<[F32, BF16], [2]>; // bf16: see narrow-activations
def LM_Weight : TensorOf<[F32, F16, BF16]>;

//===-- Parameters ---------------------------------------------------------------------------------===//

class LM_Op<string opMnemonic, list<Trait> traits = []> : Op<LM_Dialect, opMnemonic, traits>;

class LM_KernelOp<string opMnemonic, list<Trait> traits = [], list<string> overridden = []>
    : LM_Op<opMnemonic, traits # [DeclareOpInterfaceMethods<KernelOpInterface, overridden>]>;

def LM_ParamOp : LM_Op<"param", [Symbol]> {
  let summary = "a parameter, bound by key to the weight store";
  let description = [{
    The symbol is the name under which a checkpoint exports the parameter; `key` is its name in the weight
    store when that differs (a GGUF file). `file` is a safetensors file beside the model's own checkpoint (an
    adapter's); its tensors are no parameters of the original model. The type may be a tensor, GGUF blocks or
    a packed weight.
    `splat` gives every element one value instead, for tests and for planning without weights.

    ```mlir
    lm.param @model.norm.weight : tensor<64xf16>
    lm.param @model.embed_tokens.weight key "token_embd.weight" : !compress.blocks<320x64, q8_0>
    lm.param @a file "adapter/adapter_model.safetensors" key "base_model.model.a.lora_A.weight" : tensor<8x64xf32>
    lm.param @w splat 1.000000e+00 : tensor<64x64xf32>
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, OptionalAttr<StrAttr>:$file, OptionalAttr<StrAttr>:$key,
                       OptionalAttr<F64Attr>:$splat, TypeAttr:$type);
  let assemblyFormat = [{
    $sym_name (`file` $file^)? (`key` $key^)? (`splat` $splat^)? `:` $type attr-dict
  }];
  let extraClassDeclaration = [{
    /// The name in the weight store: of another file's tensor, FILE:KEY.
    std::string storeKey() {
      return ((getFile() ? *getFile() + ":" : ::llvm::Twine()) + (getKey() ? *getKey() : getSymName())).str();
    }
  }];
}

def LM_LoadParamOp : LM_Op<"load_param", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "the value of a parameter";
  let description = [{
    A weight-time value. `as` names this use of a tied parameter: if a pass rewrites it, the result is
    exported under that name and the parameter's other uses stay as they are.

    ```mlir
    %w = lm.load_param @model.embed_tokens.weight as "lm_head.weight" : tensor<320x64xf16>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$param, OptionalAttr<StrAttr>:$alias);
  let results = (outs AnyType:$value);
  let assemblyFormat = "$param (`as` $alias^)? `:` type($value) attr-dict";
  let extraClassDeclaration = [{
    /// The name under which a rewritten value of this use is exported.
    ::llvm::StringRef exportName() { return getAlias() ? *getAlias() : getParam(); }
  }];
}

//===-- Computation --------------------------------------------------------------------------------===//

def LM_EmbeddingOp : LM_KernelOp<"embedding", [Pure]> {
  let summary = "row of the table for each token";
  let description = [{
    `out[t, :] = scale * table[tokens[t], :]`; tokens [T], table [V, D], out [T, D]; the product in fp32, scale 1
    where it is missing. A token id outside 0..V-1 is a run-time error.
  }];
  let arguments = (ins LM_Tokens:$tokens, LM_Weight:$table, OptionalAttr<F64Attr>:$scale);
  let results = (outs LM_Rows:$result);
  let assemblyFormat = "$tokens `,` $table (`scale` $scale^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def LM_RMSNormOp : LM_KernelOp<"rms_norm", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "root mean square normalisation";
  let description = [{
    `out = x / sqrt(mean(x^2) + epsilon) * weight` over each run of D columns, weight [D], x [T, H*D]:
    H = 1 is the usual norm over the hidden size, H > 1 the q/k-norm of each head (Qwen3). Statistics are
    taken in fp32. Zhang and Sennrich, 2019.
  }];
  let arguments = (ins LM_Rows:$input, LM_Weight:$weight, F64Attr:$epsilon);
  let results = (outs LM_Rows:$result);
  let assemblyFormat = "$input `,` $weight `epsilon` $epsilon attr-dict `:` type($input) `,` type($weight)";
  let hasVerifier = 1;
}

def LM_LayerNormOp : LM_KernelOp<"layer_norm", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "layer normalisation";
  let description = "`out = (x - mean) / sqrt(variance + epsilon) * weight + bias`; x [T, D], weight and bias [D]. Ba et al., 2016.";
  let arguments = (ins LM_Rows:$input, LM_Weight:$weight, Optional<LM_Weight>:$bias, F64Attr:$epsilon);
  let results = (outs LM_Rows:$result);
  let assemblyFormat = [{
    $input `,` $weight (`bias` $bias^)? `epsilon` $epsilon attr-dict `:` type($input) `,` type($weight) (`,` type($bias)^)?
  }];
  let hasVerifier = 1;
}

def LM_LinearOp : LM_KernelOp<"linear", [Pure], ["getKernelAttributes"]> {
  let summary = "product with a weight, and a bias";
  let description = [{
    `out[t, n] = sum_k x[t, k] * weight[n, k] + bias[n]`; x [T, K], weight [N, K] as checkpoints store it,
    bias [N], out [T, N]; accumulated in fp32. `compute` is the arithmetic of the deployed kernel: f32
    (where it is missing), bf16 (x and weight rounded to bf16), int8 (x rounded to 8 bits with a scale for
    each group of the weight, times the weight's codes; plain weights stay in fp32), fp8 (x rounded to bf16 and
    then to e4m3 with a scale for each row, times the weight in fp32). `answers`: the columns that the batch
    does not name as answers may be left out, if it names any. A quantised linear is
    `linear(x, compress.dequantize(packed))`: the lowering lets the kernel read the packed codes in place.
  }];
  let arguments = (ins LM_NarrowRows:$input, LM_Weight:$weight, Optional<LM_Weight>:$bias,
                       OptionalAttr<LM_Compute>:$compute, UnitAttr:$answers);
  let results = (outs LM_Rows:$result);
  let assemblyFormat = [{
    $input `,` $weight (`bias` $bias^)? (`compute` $compute^)? (`answers` $answers^)? attr-dict
    `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "::mlir::Type":$result, "::mlir::Value":$input, "::mlir::Value":$weight,
                             "::mlir::Value":$bias), [{
    build($_builder, $_state, result, input, weight, bias, ComputeAttr(), ::mlir::UnitAttr());
  }]>];
}

def LM_FusedLinearOp : LM_KernelOp<"fused_linear", [Pure, AttrSizedOperandSegments],
                                   ["getKernelName", "getKernelAttributes"]> {
  let summary = "linears that read the same input, with the norm before and what follows them";
  let description = [{
    What `merge-linears` and `fuse-epilogues` make of `lm.linear`; every form gives the bits of the
    operations it stands for. x [T, K], weights [N_i, K], a bias [N_i] for each i whose bit is set in
    `biased`, in order. With `norm` [K], x is normalised first (see rms_norm). Results: [T, N_i] each; with
    `gate`, the two weights are gate and up and the one result is activation(x gateᵀ) * (x upᵀ); with
    `residual` [T, N], the one result has it added. `compute` and `answers` are lm.linear's.

    ```mlir
    %q, %k, %v = lm.fused_linear %h norm %n epsilon 1.0e-5 weights(%wq, %wk, %wv) : ...
    %r = lm.fused_linear %a weights(%wo) add %h : ...
    ```
  }];
  let arguments = (ins LM_NarrowRows:$input, Optional<LM_Weight>:$norm, Variadic<LM_Weight>:$weights,
                       Variadic<LM_Weight>:$biases, Optional<LM_Rows>:$residual,
                       DefaultValuedAttr<I64Attr, "0">:$biased, OptionalAttr<F64Attr>:$epsilon,
                       OptionalAttr<LM_ActivationAttr>:$gate, OptionalAttr<LM_Compute>:$compute,
                       UnitAttr:$answers);
  let results = (outs Variadic<LM_NarrowRows>:$results);
  let assemblyFormat = [{
    (`gate` $gate^)? $input (`norm` $norm^ `epsilon` $epsilon)? `weights` `(` $weights `)`
    (`biases` `(` $biases^ `)`)? (`add` $residual^)? (`compute` $compute^)?
    (`answers` $answers^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def LM_RotaryEmbeddingOp : LM_KernelOp<"rotary_embedding", [Pure, AllTypesMatch<["input", "result"]>],
                                       ["getKernelAttributes"]> {
  let summary = "rotary position embedding";
  let description = [{
    Rotates the pairs (i, i + D/2) of each head by the angle of its row's position; x [T, H*D], D =
    `head_dim`. Half-split pairs, as Hugging Face checkpoints store q and k. With `norm` [D], each head is
    normalised first (see rms_norm). `selected`: x has the batch's selected rows only. Su et al., 2021.
  }];
  let arguments = (ins LM_Rows:$input, LM_BatchType:$batch, Optional<LM_Weight>:$norm, I64Attr:$head_dim,
                       LM_RopeAttr:$rope, OptionalAttr<F64Attr>:$epsilon, UnitAttr:$selected);
  let results = (outs LM_Rows:$result);
  let builders = [OpBuilder<(ins "::mlir::Value":$input, "::mlir::Value":$batch, "int64_t":$headDim, "RopeAttr":$rope), [{
    build($_builder, $_state, input.getType(), input, batch, ::mlir::Value(), $_builder.getI64IntegerAttr(headDim), rope,
          ::mlir::FloatAttr(), ::mlir::UnitAttr());
  }]>];
  let assemblyFormat = [{
    $input `,` $batch (`selected` $selected^)? (`norm` $norm^ `epsilon` $epsilon)? `head_dim` $head_dim $rope attr-dict
    `:` type($input) (`,` type($norm)^)?
  }];
  let hasVerifier = 1;
}

def LM_CacheOp : LM_Op<"cache"> {
  let summary = "the keys and values that an attention keeps";
  let description = "Each operation is a cache of its own, empty when a session starts.";
  let results = (outs Res<LM_CacheType, "", [MemAlloc]>:$cache);
  let assemblyFormat = "`:` qualified(type($cache)) attr-dict";
}

def LM_AttentionOp : LM_KernelOp<"attention", [Pure, AllTypesMatch<["cache", "next"]>], ["getKernelAttributes"]> {
  let summary = "causal attention over a sequence's cached prefix and its own rows";
  let description = [{
    q [T, H*D], k and v [T, G*D], H a multiple of G (grouped queries: query head h reads key head
    h / (H/G)); `out = softmax(scale * q kᵀ) v` per head, keys limited to the sequence's context and to
    rows not after the query's, and to the last `sliding_window` positions when that is given. k and v are
    added to the cache; `next` is the cache after that. `selected`: q and the result have the batch's
    selected rows only, k and v all of them. With `rope`, q and k are rotated first, as
    `lm.rotary_embedding` does with `head_dim` D, an even number; with `norms`, two weights [D], those of q
    and of k, each head is normalised before that. This is what `fuse-rotary` makes, with the same bits.

    ```mlir
    %a, %next = lm.attention %q, %k, %v, %c, %batch heads 4 kv_heads 2 scale 0.25
        rope <theta = 1.0e6> norms(%qn, %kn) epsilon 1.0e-6 : ...
    ```
  }];
  let arguments = (ins LM_Rows:$query, LM_Rows:$key, LM_Rows:$value, LM_CacheType:$cache,
                       LM_BatchType:$batch, Variadic<LM_Weight>:$norms, I64Attr:$num_heads,
                       I64Attr:$num_kv_heads, F64Attr:$scale, OptionalAttr<I64Attr>:$sliding_window,
                       OptionalAttr<LM_RopeAttr>:$rope, OptionalAttr<F64Attr>:$epsilon, UnitAttr:$selected);
  let results = (outs LM_NarrowRows:$result, LM_CacheType:$next);
  let builders = [OpBuilder<(ins "::mlir::Type":$result, "::mlir::Value":$query, "::mlir::Value":$key,
                             "::mlir::Value":$value, "::mlir::Value":$cache, "::mlir::Value":$batch,
                             "int64_t":$heads, "int64_t":$kvHeads, "double":$scale, "int64_t":$window), [{
    build($_builder, $_state, result, cache.getType(), query, key, value, cache, batch, ::mlir::ValueRange(),
          $_builder.getI64IntegerAttr(heads), $_builder.getI64IntegerAttr(kvHeads), $_builder.getF64FloatAttr(scale),
          window ? $_builder.getI64IntegerAttr(window) : ::mlir::IntegerAttr(), RopeAttr(), ::mlir::FloatAttr(),
          ::mlir::UnitAttr());
  }]>];
  let assemblyFormat = [{
    $query `,` $key `,` $value `,` $cache `,` $batch (`selected` $selected^)? `heads` $num_heads `kv_heads` $num_kv_heads
    `scale` $scale (`window` $sliding_window^)? (`rope` $rope^)? (`norms` `(` $norms^ `)` `epsilon` $epsilon)? attr-dict
    `:` type($query) `,` type($key) `,` type($value) `,` qualified(type($cache)) (`,` type($norms)^)? `->` type($result)
  }];
  let hasVerifier = 1;
}

def LM_GatedActivationOp : LM_KernelOp<"gated_activation", [Pure, SameOperandsAndResultType],
                                        ["getKernelAttributes"]> {
  let summary = "activation(gate) * up";
  let description = "silu: `g / (1 + exp(-g))`; gelu exact (erf); gelu_tanh its tanh approximation; relu. Both operands [T, F]. Shazeer, 2020.";
  let arguments = (ins LM_ActivationAttr:$kind, LM_Rows:$gate, LM_Rows:$up);
  let results = (outs LM_Rows:$result);
  let assemblyFormat = "$kind $gate `,` $up attr-dict `:` type($gate)";
}

def LM_SelectRowsOp : LM_KernelOp<"select_rows", [Pure]> {
  let summary = "the rows whose logits the batch asks for";
  let arguments = (ins LM_Rows:$input, LM_BatchType:$batch);
  let results = (outs LM_Rows:$result);
  let assemblyFormat = "$input `,` $batch attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

//===-- Structure ----------------------------------------------------------------------------------===//

def LM_YieldOp : LM_Op<"yield", [Pure, ReturnLike, Terminator, ParentOneOf<["BlockOp"]>]> {
  let summary = "results of a block";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "attr-dict ($values^ `:` type($values))?";
  let builders = [OpBuilder<(ins), [{ /* no values */ }]>];
}

def LM_BlockOp : LM_Op<"block", [RecursiveMemoryEffects, SingleBlockImplicitTerminator<"YieldOp">]> {
  let summary = "one decoder layer";
  let description = [{
    A region so that layers can be pruned, reordered, streamed and outlined. `layer` is the layer's number
    in the model it came from. Values that hold for all layers (the batch, calibration statistics) are
    used from outside; hidden states come in through arguments.

    ```mlir
    %h1 = lm.block 0 (%x = %h0) : (tensor<?x64xf32>) -> tensor<?x64xf32> {
      ...
      lm.yield %r : tensor<?x64xf32>
    }
    ```
    Canonicalisation drops unused results and arguments, and replaces a result that only passes a value
    through by that value.
  }];
  let arguments = (ins I64Attr:$layer, Variadic<AnyType>:$inputs);
  let results = (outs Variadic<AnyType>:$results);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let hasCanonicalizer = 1;
  let skipDefaultBuilders = 1;
  let builders = [OpBuilder<(ins "int64_t":$layer, "::mlir::ValueRange":$inputs, "::mlir::TypeRange":$results)>];
  let extraClassDeclaration = [{
    YieldOp yield();
  }];
}

#endif // COMPRESSC_LM_TD
