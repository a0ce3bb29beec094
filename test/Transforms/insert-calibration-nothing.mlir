// What is calibrated already is left, and so is a model without linears in layers.
// RUN: compressc-opt %S/Inputs/llama.mlir --insert-calibration > %t.once
// RUN: compressc-opt %t.once --insert-calibration > %t.twice
// RUN: diff %t.once %t.twice
// RUN: compressc-opt %S/Inputs/llama.mlir --insert-calibration=propagation=quantized > %t.once
// RUN: compressc-opt %t.once --insert-calibration=propagation=quantized > %t.twice
// RUN: diff %t.once %t.twice
// RUN: compressc-opt %s --insert-calibration | FileCheck %s

// CHECK-LABEL: func.func @only_a_head
// CHECK-NOT: compress
func.func @only_a_head(%x: tensor<?x8xf32>, %w: tensor<16x8xf16>) -> tensor<?x16xf32> {
  %h = lm.block 0 (%y = %x) : (tensor<?x8xf32>) -> tensor<?x8xf32> {
    %r = arith.addf %y, %y : tensor<?x8xf32>
    lm.yield %r : tensor<?x8xf32>
  }
  %0 = lm.linear %h, %w : (tensor<?x8xf32>, tensor<16x8xf16>) -> tensor<?x16xf32>
  return %0 : tensor<?x16xf32>
}

// CHECK-LABEL: func.func private @elsewhere
func.func private @elsewhere(tensor<?x8xf32>)
