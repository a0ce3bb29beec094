// No layers asked for, or none there: nothing changes.
// RUN: compressc-opt %S/Inputs/llama.mlir > %t.before
// RUN: compressc-opt %S/Inputs/llama.mlir --prune-layers > %t.none
// RUN: diff %t.before %t.none
// RUN: compressc-opt %s > %t.flat
// RUN: compressc-opt %s --prune-layers=count=1 | diff %t.flat -

func.func @forward(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  return %x : tensor<?x64xf32>
}
