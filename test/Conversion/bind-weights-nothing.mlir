// Without rewrites only remarks go.
// RUN: compressc-opt %S/../Transforms/Inputs/llama.mlir > %t.before
// RUN: compressc-opt %S/../Transforms/Inputs/llama.mlir --bind-weights > %t.after
// RUN: diff %t.before %t.after
// RUN: echo 'module {}' | compressc-opt --bind-weights
// RUN: compressc-opt %s --bind-weights | FileCheck %s

// CHECK-LABEL: func.func @remark
// CHECK-NEXT: return
func.func @remark(%values: tensor<1xf32>) {
  compress.remark "p" ["w"] ["error"] %values : tensor<1xf32>
  return
}
