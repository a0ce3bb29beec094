// The exec dialect: a schedule.
#ifndef COMPRESSC_EXEC_TD
#define COMPRESSC_EXEC_TD

include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/CommonAttrConstraints.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/SymbolInterfaces.td"

def Exec_Dialect : Dialect {
  let name = "exec";
  let cppNamespace = "::compressc::exec";
  let summary = "A schedule: planned buffers, kernel calls, entry points";
  let description = [{
    The waist between the compiler and everything that executes. Nothing in it is specific to a model, and
    it prints as a table: a program declares weights (bound by key), caches, buffers (at planned offsets of
    one arena) and entry points, which are lists of kernel calls. Operands are symbols of the program.
  }];
}

def Exec_Role : I32EnumAttr<"Role", "what a buffer is for", [
    I32EnumAttrCase<"temporary", 0>, I32EnumAttrCase<"state", 1>, I32EnumAttrCase<"input", 2>]> {
  let cppNamespace = "::compressc::exec";
}
def Exec_Rows : I32EnumAttr<"RowCount", "how many rows a buffer has", [
    I32EnumAttrCase<"fixed", 0>, I32EnumAttrCase<"tokens", 1>, I32EnumAttrCase<"selected", 2>]> {
  let cppNamespace = "::compressc::exec";
}

class Exec_Op<string opMnemonic, list<Trait> traits = []> : Op<Exec_Dialect, opMnemonic, traits>;

def Exec_ProgramOp : Exec_Op<"program", [SymbolTable, Symbol, NoTerminator, SingleBlock, IsolatedFromAbove]> {
  let summary = "a schedule";
  let description = [{
    `max_tokens` rows and `max_selected` selected rows are what the arena of `arena` bytes is planned for.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, I64Attr:$max_tokens, I64Attr:$max_selected, I64Attr:$arena);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $sym_name `max_tokens` $max_tokens `max_selected` $max_selected `arena` $arena attr-dict-with-keyword $body
  }];
  let hasVerifier = 1;
}

def Exec_WeightOp : Exec_Op<"weight", [Symbol, HasParent<"ProgramOp">]> {
  let summary = "a tensor of the weight store";
  let description = [{
    `exec.weight @w0 "model.norm.weight" : tensor<64xf16>`; packed weights are named by their module. With `plus`
    it is the tensor of the store, of type `stored`, plus that number, summed in fp32 when the model is loaded:
    `exec.weight @w0 "model.norm.weight" plus 1.0 stored tensor<64xf16> : tensor<64xf32>`.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, StrAttr:$key, OptionalAttr<F64Attr>:$plus,
                       OptionalAttr<TypeAttr>:$stored, TypeAttr:$type);
  let assemblyFormat = "$sym_name $key (`plus` $plus^ `stored` $stored)? `:` $type attr-dict";
  let hasVerifier = 1;
}

def Exec_TokensOp : Exec_Op<"tokens", [Symbol, HasParent<"ProgramOp">]> {
  let summary = "the batch's token ids";
  let arguments = (ins SymbolNameAttr:$sym_name);
  let assemblyFormat = "$sym_name attr-dict";
}

def Exec_CacheOp : Exec_Op<"cache", [Symbol, HasParent<"ProgramOp">]> {
  let summary = "keys and values of one attention";
  let arguments = (ins SymbolNameAttr:$sym_name, I64Attr:$heads, I64Attr:$dim);
  let assemblyFormat = "$sym_name `heads` $heads `dim` $dim attr-dict";
  let hasVerifier = 1;
}

def Exec_BufferOp : Exec_Op<"buffer", [Symbol, HasParent<"ProgramOp">]> {
  let summary = "memory of an intermediate value";
  let description = [{
    A temporary lies at byte `offset` of the arena. A state is zeroed when a session starts and keeps its
    contents between runs. An input is memory that the caller of an entry point lends. Rows: fixed by the
    type, or one for each token or each selected row of the batch (the type's `?`).
    `exec.buffer @b0 temporary tokens offset 4096 : tensor<?x64xf32>`
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, Exec_Role:$role, Exec_Rows:$rows,
                       OptionalAttr<I64Attr>:$offset, TypeAttr:$type);
  let assemblyFormat = "$sym_name $role $rows (`offset` $offset^)? `:` $type attr-dict";
  let hasVerifier = 1;
}

def Exec_EntryOp : Exec_Op<"entry", [Symbol, HasParent<"ProgramOp">, NoTerminator, SingleBlock]> {
  let summary = "an entry point: kernel calls in order";
  let arguments = (ins SymbolNameAttr:$sym_name, FlatSymbolRefArrayAttr:$inputs, FlatSymbolRefArrayAttr:$outputs);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name `inputs` $inputs `outputs` $outputs attr-dict-with-keyword $body";
  let hasVerifier = 1;
}

def Exec_CallOp : Exec_Op<"call", [ParentOneOf<["EntryOp", "FunctionOp"]>]> {
  let summary = "runs a kernel of the runtime's table";
  let description = [{
    `exec.call "rms_norm" [@b0, @w1] -> [@b1] {epsilon = 1.0e-05 : f64}`. Operands in the order of the
    kernel's contract; caches stand among the inputs. `layer`: the model's layer that it computes a part of.
  }];
  let arguments = (ins StrAttr:$kernel, FlatSymbolRefArrayAttr:$inputs, FlatSymbolRefArrayAttr:$outputs,
                       DictionaryAttr:$constants, OptionalAttr<I64Attr>:$layer);
  let assemblyFormat = "$kernel $inputs `->` $outputs $constants (`layer` $layer^)? attr-dict";
  let hasVerifier = 1;
}

def Exec_FunctionOp : Exec_Op<"function", [Symbol, SymbolTable, HasParent<"ProgramOp">, NoTerminator, SingleBlock]> {
  let summary = "calls that several layers share";
  let description = [{
    Its parameters stand for what the layers don't have in common, weights and caches; buffers are the
    program's.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name attr-dict-with-keyword $body";
  let hasVerifier = 1;
}

def Exec_ParameterOp : Exec_Op<"parameter", [Symbol, HasParent<"FunctionOp">]> {
  let summary = "a weight or a cache that an invocation names";
  let description = "`exec.parameter @w : tensor<64x64xf16>` or `exec.parameter @c heads 2 dim 16`.";
  let arguments = (ins SymbolNameAttr:$sym_name, OptionalAttr<I64Attr>:$heads, OptionalAttr<I64Attr>:$dim,
                       OptionalAttr<TypeAttr>:$type);
  let assemblyFormat = "$sym_name (`heads` $heads^ `dim` $dim)? (`:` $type^)? attr-dict";
  let hasVerifier = 1;
}

def Exec_InvokeOp : Exec_Op<"invoke", [HasParent<"EntryOp">]> {
  let summary = "runs a function's calls with these weights and caches, in the order of its parameters";
  let arguments = (ins FlatSymbolRefAttr:$function, FlatSymbolRefArrayAttr:$arguments, OptionalAttr<I64Attr>:$layer);
  let assemblyFormat = "$function $arguments (`layer` $layer^)? attr-dict";
  let hasVerifier = 1;
}

#endif // COMPRESSC_EXEC_TD
